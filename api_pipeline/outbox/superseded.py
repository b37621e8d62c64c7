"""Rows of people with more than one row, as some versions of the staging SQL leave them: one for each change.

Only the newest row is due (contract 3). The older rows that would be due are closed once the newest is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from api_pipeline.db import UnreadableText
from api_pipeline.model import StagedRow
from api_pipeline.outbox.staged_rows import DUE_STATUSES, Selection, word
from api_pipeline.outbox.staging_table import StagingTable


class RowsOfPerson(NamedTuple):
    """The rows of a person with more than one: the newest's id, whether it is `sent`, and the older ones still open.

    `sent_before` is the id of the newest older row that is `sent`.
    """

    newest: int
    is_sent: bool
    open_ids: tuple[int, ...]
    sent_before: int | None = None


def people_with_several_rows(store: StagingTable, person_id: str | None = None) -> dict[str, RowsOfPerson]:
    """Return, by `person_id`, the rows of people who have more than one. Errors: DatabaseError."""
    person, parameters = ("", ()) if person_id is None else ("AND person_id = ?", (person_id,))
    found: dict[str, list[tuple[int, str]]] = {}
    try:
        rows = store.query("read_people_with_several_rows", parameters, person=person)
    except UnreadableText:
        # The rows go out in the order of their ids then, the newest last.
        return {}
    for person, row_id, status, beginning in rows:
        if str(person).strip():
            is_blank = not str(beginning or "").strip()
            found.setdefault(str(person), []).append((int(row_id), "" if is_blank else word(status)))
    return {person: _rows_of(sorted(rows)) for person, rows in found.items() if len(rows) > 1}


def _rows_of(rows: Sequence[tuple[int, str]]) -> RowsOfPerson:
    newest, status = rows[-1]
    older = rows[:-1]
    return RowsOfPerson(
        newest,
        status == "sent",
        tuple(row_id for row_id, word_ in older if word_ in DUE_STATUSES),
        max((row_id for row_id, word_ in older if word_ == "sent"), default=None),
    )


def newest_only(rows: Sequence[StagedRow], people: Mapping[str, RowsOfPerson]) -> list[StagedRow]:
    """Return the rows that are not superseded; each knows the older rows of its person."""
    kept = []
    for row in rows:
        several = people.get(row.person_id)
        if several is None or row.id > several.newest:
            kept.append(row)
        elif row.id == several.newest:
            kept.append(row._replace(supersedes=several.open_ids, sent_before=several.sent_before))
    return kept


def newest_of(rows: Sequence[tuple[int, str]], people: Mapping[str, RowsOfPerson]) -> list[tuple[int, str]]:
    """Return the rows, each an id and its person, that are not superseded."""
    return [(row_id, person) for row_id, person in rows if person not in people or row_id >= people[person].newest]


def superseded_before(people: Mapping[str, RowsOfPerson], selection: Selection) -> Iterator[tuple[str, RowsOfPerson]]:
    """Return the people of this run's share whose newest row was accepted by an earlier run, with older rows open."""
    for person, rows in people.items():
        if rows.is_sent and rows.open_ids and selection.is_ours(rows.newest, person):
            yield person, rows
