"""Stop a staging on an SSD that is being refilled or is half loaded (mapping 8 and 10). Pure.

Such an SSD looks like one in which children, or a whole kind of record, were deleted. A table that is empty matters
only where something that is staged came from it: then it was not empty before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from api_pipeline.errors import DatabaseError
from api_pipeline.staging import tables

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
