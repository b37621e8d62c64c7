"""Stop a staging on an SSD that is being refilled or is half loaded (mapping 8 and 10). Pure.

Such an SSD looks like one in which children, or many or all records of a kind, were deleted. A table that is empty
matters only where something that is staged came from it: then it was not empty before. Of a table that holds too
little, the staged payloads tell how much is gone: parts that are in them, and not in the SSD.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from api_pipeline.errors import DatabaseError
from api_pipeline.model import ElementPath
from api_pipeline.payloads.retained import paths_in
from api_pipeline.staging import tables

# So few parts of a kind may go in any night: corrections, not a table that holds too little.
FEWEST_PARTS = 20
_CHILD = {
    "former_unique_pupil_number": tables.LINKED_IDENTIFIER,
    "postcode": tables.ADDRESS,
}
_EPISODE = {
    "child_and_family_assessments": (tables.ASSESSMENT,),
    "child_in_need_plans": (tables.CIN_PLAN,),
    "section_47_assessments": (tables.S47_ENQUIRY,),
    "child_protection_plans": (tables.CP_PLAN,),
    "child_looked_after_placements": (tables.CLA_EPISODE, tables.PLACEMENT),
    "adoption": (tables.PERMANENCE,),
    "care_leavers": (tables.CARE_LEAVER,),
    # Only children with a plan have workers.
    "care_worker_details": (tables.INVOLVEMENT, tables.PROFESSIONAL, tables.CIN_PLAN),
}


class StagingRefused(DatabaseError):
    """The SSD looks half loaded; nothing was changed."""


def tables_behind(payload: Mapping[str, Any]) -> set[str]:
    """Return the names of the SSD tables that a payload shows rows of."""
    found = {tables.PERSON.name}
    details = _object(payload.get("child_details"))
    found.update(table.name for member, table in _CHILD.items() if details.get(member))
    if any(code != "NONE" for code in _list(details.get("disabilities"))):
        found.add(tables.DISABILITY.name)
    if details.get("uasc_flag") is True:
        found.add(tables.IMMIGRATION_STATUS.name)
    if payload.get("health_and_wellbeing"):
        found.add(tables.SDQ_SCORE.name)
    for episode in map(_object, _list(payload.get("social_care_episodes"))):
        found.add(tables.CIN_EPISODE.name)
        found.update(table.name for member, behind in _EPISODE.items() if episode.get(member) for table in behind)
        assessments = map(_object, _list(episode.get("child_and_family_assessments")))
        if any(assessment.get("factors") for assessment in assessments):
            found.add(tables.ASSESSMENT_FACTORS.name)
        enquiries = map(_object, _list(episode.get("section_47_assessments")))
        if any(enquiry.get("icpc_date") for enquiry in enquiries):
            found.add(tables.CONFERENCE.name)
    return found


def emptied(empty: Collection[str], payloads: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return those of the `empty` tables that staged payloads show rows of; stops reading once all are found."""
    missing = set(empty)
    found: set[str] = set()
    for payload in payloads if missing else ():
        found |= tables_behind(payload) & missing
        if found == missing:
            break
    return sorted(found)


def parts_of(payload: Mapping[str, Any], outside: Collection[ElementPath] = ()) -> Counter[str]:
    """Return how many parts of each kind a payload has: its elements by the name of their array, a block once.

    Those that are among `outside`, or within one of these, do not count.
    """
    paths = paths_in(dict(payload))
    if outside:
        paths = {path for path in paths if not any(path[:end] in outside for end in range(1, len(path) + 1))}
    # The path of an element ends with its id, that of a block with its name. A block may stand in every episode.
    found = Counter(path[-2] for path in paths if len(path) % 2 == 0)
    found.update({path[-1] for path in paths if len(path) % 2})
    return found


def gone_parts(staged: Mapping[str, Any], now: Mapping[str, Any], outside: Collection[ElementPath]) -> Counter[str]:
    """Return how many parts of each kind a child had when it was staged, and has no longer in the SSD.

    `outside` is what left the time window: it is in the SSD. Numbers are compared, because ids may be renumbered. What
    left the window under another id counts: the receiver has the old one, which the next run purges.
    """
    return parts_of(staged, outside) - parts_of(now)


def check_parts(gone: Mapping[str, int], staged: Mapping[str, int], max_share: float) -> None:
    """Let a staging go on, or not. By kind: `gone` are the parts that vanished from the SSD, of all that are `staged`.

    Errors: StagingRefused naming kinds and numbers, and what to do.
    """
    lost = [kind for kind in sorted(gone) if are_many(gone[kind]) and gone[kind] / staged[kind] > max_share]
    if lost:
        numbers = ", ".join(f"{gone[kind]} of {staged[kind]} {kind}" for kind in lost)
        raise StagingRefused(
            f"No longer in the SSD: {numbers} that are staged, more than MAX_DELETED_SHARE ({max_share:g}) allows. The "
            "SSD may be half loaded, or a new year began where parts get new numbers; nothing was changed. See whose "
            "with --dry-run. Stage again when it is refilled, or with --allow-deletions if it is right."
        )


def are_many(parts: int) -> bool:
    """Return whether so many parts of one kind do not go in a usual night."""
    return parts >= FEWEST_PARTS


def check(*, live_rows: int, leaving: int, emptied_tables: Collection[str], max_share: float) -> None:
    """Let a staging go on, or not. `live_rows` are the rows not yet deleted, `leaving` those about to be.

    Errors: StagingRefused naming the tables or the numbers, and what to do.
    """
    if emptied_tables:
        raise StagingRefused(
            f"Empty, although staged payloads were made from it: {', '.join(emptied_tables)}. The SSD may be half "
            "loaded; nothing was changed. Stage again when it is refilled, or with --allow-deletions if it is right."
        )
    if leaving and leaving / live_rows > max_share:
        raise StagingRefused(
            f"{leaving} of {live_rows} rows would be deleted, more than MAX_DELETED_SHARE ({max_share:g}) allows. The "
            "SSD may be half loaded, or a new year began; nothing was changed. See who with --dry-run, and stage with "
            "--allow-deletions if it is right."
        )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
