"""What `status` and `requeue` do: show the state of the table, and put rows in error back to pending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api_pipeline.common.clock import as_utc, latest_start, stored_time
from api_pipeline.db import Row, UnreadableText, unless_refused
from api_pipeline.errors import DatabaseError
from api_pipeline.logs.masking import Mask
from api_pipeline.outbox.staged_rows import word
from api_pipeline.outbox.staging_table import StagingTable, or_among
from api_pipeline.outbox.survey import (
    Survey,
    count_blank_payloads,
    count_children_without_row,
    count_what_no_run_takes,
    survey,
)
from api_pipeline.run_summary import NOT_TAKEN, Counts

_ERROR_GROUPS = 200
_JOURNAL_TIMES = ((4, "started_at"), (5, "finished_at"))
_UNDECODABLE = "(answers of which one cannot be decoded)"


@dataclass(frozen=True, slots=True)
class StateCount:
    """How many rows have these two status words."""

    row_state: str
    submission_status: str
    rows: int


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How many rows got this answer (values masked), and the person id of one of them."""

    answer: str
    rows: int
    person_id: str


@dataclass(frozen=True, slots=True)
class PastRun:
    """One entry of the journal; counts are None while the run lasts or where it was killed. Times are UTC."""

    run_id: str
    mode: str
    payloads: str
    shard: str | None
    started_at: datetime
    finished_at: datetime | None
    due: int | None
    accepted: int | None
    refused: int | None
    undelivered: int | None
    deleted: int | None
    unchanged: int | None
    not_tried: int | None
    exit_code: int | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of the table. `oldest_pending` is the `last_updated` of the row that has waited longest, as text.

    `remarks` name rows that no run takes, and children whom a receiver holds without a row.
    """

    counts: list[StateCount]
    oldest_pending: str | None
    errors: list[ErrorCount]
    runs: list[PastRun]
    remarks: list[str] = field(default_factory=list)


def overview(
    store: StagingTable,
    table: str,
    mask: Mask,
    *,
    receiver: str = "",
    runs: int = 5,
    errors: int = 10,
) -> Overview:
    """Return the state of the table; `mask` takes values out of answers. Errors: DatabaseError.

    Children without a row are looked for where `receiver` is named.
    """
    store.check_table()
    found, counts = survey(store), Counts()
    count_what_no_run_takes(store, found, counts)
    oldest_pending, may_be_blank = _due_rows(store, found)
    if may_be_blank:
        count_blank_payloads(store, counts)
    if receiver and store.has_control_tables():
        count_children_without_row(store, receiver, counts)
    return Overview(
        counts=[StateCount(state, status, rows) for (state, status), rows in sorted(found.words.items())],
        remarks=counts.remarks_on(NOT_TAKEN),
        oldest_pending=oldest_pending,
        errors=_frequent_errors(store, found, mask)[:errors],
        runs=past_runs(store, table, runs),
    )


def past_runs(store: StagingTable, table: str, most: int) -> list[PastRun]:
    """Return the latest runs on a table, however TABLE_NAME was spelled, newest first; none where there is no journal.

    A run that began more than a day from now, by a clock that was wrong, comes after all others. Errors: DatabaseError.
    """
    if not store.has_journal():
        return []
    found = store.query("last_runs", [store.spellings(table), latest_start()], size=most)
    return [past_run(store, row) for row in found]


def past_run(store: StagingTable, row: Row) -> PastRun:
    """Return an entry of the journal from its columns, which stand in the order of the fields.

    Errors: DatabaseError where one of its times, which somebody may have written by hand, cannot be read.
    """
    values = list(row)
    for place, name in _JOURNAL_TIMES:
        values[place] = _journal_time(store, row[0], name, row[place])
    return PastRun(*values)


def _journal_time(store: StagingTable, run_id: object, column: str, value: object) -> datetime | None:
    try:
        moment = stored_time(value)
    except ValueError:
        moment = value
    if isinstance(moment, datetime):
        return as_utc(moment)
    if moment is None and column == "finished_at":
        return None
    raise DatabaseError(
        f"The table {store.tables.runs} has no readable time in {column} of run {run_id}; write the time there (UTC, "
        "such as 2026-11-02 03:04:05), or delete the row, then try again."
    )


def requeue(store: StagingTable, *, person_id: str | None = None, matching: str | None = None) -> int:
    """Put rows in error back to pending and return how many. Errors: DatabaseError.

    `person_id` limits it to one person, `matching` to answers that hold this text (whatever its case).
    """
    store.check_table()
    condition, odd = _odd_words(survey(store), "error")
    pieces = {"odd_words": condition, "person": "", "matching": ""}
    parameters: list[object] = [*odd]
    if person_id is not None:
        pieces["person"] = "AND person_id = ?"
        parameters.append(person_id)
    if matching is not None:
        # Not every database lowers letters beyond ASCII as Python does; the text as it is given always counts.
        pieces["matching"] = "AND (LOWER(api_response) LIKE ? ESCAPE '!' OR api_response LIKE ? ESCAPE '!')"
        parameters += (f"%{_literal(text)}%" for text in (matching.lower(), matching))
    with store.connection.transaction():
        rows = store.number("count_requeue", parameters, **pieces)
        changed = store.execute("requeue", parameters, **pieces)
    # A run that is at work may have taken some of them since they were counted.
    return rows if changed < 0 else changed


def oldest_due(store: StagingTable) -> str | None:
    """Return the `last_updated` of the due row that waits longest, None where none waits. Errors: DatabaseError."""
    found = _times(store, "oldest_due")
    return None if found is None or found[0] is None else str(found[0])


def _odd_words(found: Survey, meant: str) -> tuple[str, list[str]]:
    """Return the condition that takes a status whose blanks SQL does not strip, and its parameters; none: no text."""
    odd = [text for text in found.odd_statuses if word(text) == meant]
    return or_among("submission_status", odd), odd


def _due_rows(store: StagingTable, found: Survey) -> tuple[str | None, bool]:
    """Return the `last_updated` of the pending row that waits longest, and whether a due row may have a blank payload.

    Errors: DatabaseError.
    """
    condition, odd = _odd_words(found, "pending")
    times = _times(store, "oldest_pending", [*odd, *odd], odd_words=condition)
    if times is None:
        return None, True
    oldest, may_be_blank = times
    return None if oldest is None else str(oldest), bool(may_be_blank)


def _times(store: StagingTable, name: str, parameters: Sequence[str] = (), **pieces: str) -> Row | None:
    """Return a statement's row, None where the database refuses it: a council's own table may lack `last_updated`."""
    rows = unless_refused(lambda: store.query(name, parameters, **pieces))
    return rows[0] if rows else None


def _frequent_errors(store: StagingTable, table: Survey, mask: Mask) -> list[ErrorCount]:
    condition, odd = _odd_words(table, "error")
    counts: Counter[str] = Counter()
    people: dict[str, str] = {}
    try:
        found = store.query("frequent_errors", [*odd, *odd], size=_ERROR_GROUPS, odd_words=condition)
    except UnreadableText:
        # Half of a letter is enough, and SQL Server cuts one in two where the beginning of an answer ends in it.
        rows = store.number("count_requeue", odd_words="", person="", matching="")
        return [ErrorCount(_UNDECODABLE, rows, "")]
    payloads = store.payloads_of([int(row[3]) for row in found if row[3] is not None])
    for answer, rows, person, row_id in found:
        text = mask(str(answer or "(no answer stored)"), payloads.get(row_id))
        counts[text] += int(rows)
        people.setdefault(text, str(person or ""))
    return [ErrorCount(text, rows, people[text]) for text, rows in counts.most_common()]


def _literal(text: str) -> str:
    """Return a text for LIKE in which no character is a wildcard, on any of the databases."""
    for character in "!%_[":
        text = text.replace(character, f"!{character}")
    return text
