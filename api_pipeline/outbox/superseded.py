"""Several rows of one person, as older builds of the staging SQL leave them: one more for each change.

They go out in the order of their ids. What a newer row says must stand at the receiver in the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from api_pipeline.model import StagedRow
from api_pipeline.outbox.staging_table import Selection, StagingTable, was_sent


def deletions_superseded(store: StagingTable, rows: Sequence[StagedRow]) -> set[int]:
    """Return the ids of deleted rows whose person has a newer living row: the child is back, and must stay."""
    deleted = [row for row in rows if row.is_deleted]
    living = _newest_living(store, deleted)
    return {row.id for row in deleted if living.get(row.person_id, row.id) > row.id}


def newer_than_failed(store: StagingTable, rows: Sequence[StagedRow]) -> dict[int, int]:
    """Return, by the id of a row that an earlier run tried in vain, the id of its person's newest living row.

    Where that one is newer and not among `rows`, it may have been sent meanwhile.
    """
    failed = [row for row in rows if _has_failed(row)]
    living = _newest_living(store, failed)
    newest = {row.id: living.get(row.person_id, row.id) for row in failed}
    here = {row.id for row in rows}
    return {row_id: other for row_id, other in newest.items() if other > row_id and other not in here}


def in_their_turn(store: StagingTable, selection: Selection, rows: Sequence[StagedRow]) -> list[StagedRow]:
    """Return the rows without those of whose person another shard has an older row yet to try: they go another time.

    Must be asked before what the receiver holds is read: what the older row did to it is recorded with its outcome.
    """
    if selection.shard is None:
        return list(rows)
    others: dict[str, list[int]] = {}
    for person, row_id in store.waiting(sorted({row.person_id for row in rows if row.person_id})):
        if not selection.is_ours(row_id):
            others.setdefault(person, []).append(row_id)
    return [row for row in rows if row.id < min(others.get(row.person_id, [row.id + 1]))]


def _has_failed(row: StagedRow) -> bool:
    is_put_back = row.submission_status == "pending" and bool(row.api_response) and not was_sent(row)
    return not row.is_deleted and (row.submission_status == "error" or is_put_back)


def _newest_living(store: StagingTable, rows: Sequence[StagedRow]) -> dict[str, int]:
    people = sorted({row.person_id for row in rows if row.person_id})
    return store.newest_living(people) if people else {}
