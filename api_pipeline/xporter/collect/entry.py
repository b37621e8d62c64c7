"""What is kept of a complete round beside its rows: the state that it leads to, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api_pipeline.common.clock import utc_now
from api_pipeline.run_summary import counted
from api_pipeline.xporter.collect.desk import Collected
from api_pipeline.xporter.landing import RoundEntry, TableChange
from api_pipeline.xporter.rows import is_loose


def entry_of(
    item: Collected, changes: Sequence[TableChange], missing: Mapping[str, int], *, is_minimised: bool
) -> RoundEntry:
    """Return what is kept of a round. `missing` has the landed rows of each table that is not in the answer."""
    answer = item.answer
    return RoundEntry(
        started=item.asked.started,
        ended=utc_now(),
        message=_remarks(item, changes, missing, is_minimised=is_minimised),
        params_hash=item.asked.question.params_hash,
        data_as_of=answer.data_from.isoformat(sep=" ", timespec="seconds") if answer.data_from else None,
        meta=answer.meta_text,
        dropped=item.dropped,
        received_bytes=answer.received_bytes,
        next_hash=answer.next_hash[:128] if item.change_key and answer.next_hash and _are_named(changes) else None,
        change_key=item.change_key,
        is_whole=item.changes is None,
        is_minimised=is_minimised,
    )


def _are_named(changes: Sequence[TableChange]) -> bool:
    """Return whether every row about a person has an Id: a change set cannot say that a row without one is gone."""
    unpublished = (change for change in changes if change.landing.table.owner and not change.landing.table.is_published)
    return not any(is_loose(key) for change in unpublished for key in change.difference.seen)


def _remarks(
    item: Collected, changes: Sequence[TableChange], missing: Mapping[str, int], *, is_minimised: bool
) -> str | None:
    """Say what could not be kept or known, and which tables were missing; names of tables and counts alone."""
    kept = "{row is kept as it is|rows are kept as they are}"
    said = [f"{name}: not in the answer, its {counted(count, kept)}" for name, count in missing.items()]
    if is_minimised and "UPN" in item.withheld.get("Students", ()):
        said.append("the consent does not cover UPN, so children who have one are not known among the pupils")
    for change in changes:
        name, found = change.landing.name, change.difference
        if found.null_keys:
            said.append(
                f"{name}: {counted(found.null_keys, '{row without a key was|rows without a key were}')} not landed"
            )
        if found.duplicates:
            said.append(f"{name}: {counted(found.duplicates, '{row|rows} had the key of another')}; the last was kept")
    if item.answer.unreadable:
        what = "{member of the answer is not a table and was|members of the answer are not tables and were} not landed"
        said.append(counted(len(item.answer.unreadable), what))
    return "; ".join(said) or None
