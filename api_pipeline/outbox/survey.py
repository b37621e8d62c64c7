"""Look at the whole staging table once before a run: ids, status words, and whether changes are kept.

A row that no run will ever take must not be passed over in silence (contract 3). It is counted and named here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from api_pipeline.db import DatabaseBusy, KeyTaken, Row, UnreadableText, check_ids_whole, unless_refused
from api_pipeline.errors import DatabaseError
from api_pipeline.outbox.staged_rows import DUE_STATUSES, word
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.run_summary import Counts, counted
from api_pipeline.sql.identifiers import Dialect

_LOG = logging.getLogger(__name__)
KNOWN_STATUSES = DUE_STATUSES | {"sent"}
_DELETED = "deleted"
_KNOWN_STATES = frozenset({"new", "updated", "unchanged", _DELETED})
_TRIAL = "d2i-csc-api: is this row writable? (never committed)"
_UNREADABLE = "(unreadable)"
_NO_PERSON = "(no person id)"
_NAMED = 5
# How many due rows must refuse a change before it is the table's fault.
_TRIED = 5
_LOOKED_AT = 100


class _RolledBack(Exception):
    """End a transaction of which nothing is to be kept."""


class _NotKept(Exception):
    """The database takes a change and does not keep it."""


class Survey(NamedTuple):
    """The rows of a table by their words.

    `words` counts the rows by row state and status, as they are compared. `unknown` counts, by status, the rows that no
    run takes because the word is none of the known ones ("" for null or blank), and `examples` names a person of each.
    `without_payload` counts the rows that would be due and have no payload. `odd_statuses` and `odd_states` are those
    of `Selection`.
    """

    words: Mapping[tuple[str, str], int] = MappingProxyType({})
    unknown: Mapping[str, int] = MappingProxyType({})
    examples: Mapping[str, str] = MappingProxyType({})
    without_payload: int = 0
    odd_statuses: tuple[str, ...] = ()
    odd_states: tuple[str, ...] = ()


def survey(store: StagingTable) -> Survey:
    """Return what the words of the table say. Errors: DatabaseError."""
    try:
        groups = _groups(store)
        without = store.query("count_words_without_payload")
    except UnreadableText:
        # Which word it is cannot be known, only that no run takes its row.
        rows = store.number("count_ids")
        return Survey({("", _UNREADABLE): rows}, unknown={_UNREADABLE: 1}, examples={_UNREADABLE: ""})
    unknown: Counter[str] = Counter()
    examples: dict[str, str] = {}
    words: Counter[tuple[str, str]] = Counter()
    for state, status, count, person in groups:
        words[word(state), word(status)] += int(count)
        if word(state) == _DELETED:
            continue
        if word(status) not in KNOWN_STATUSES:
            unknown[word(status)] += int(count)
            examples.setdefault(word(status), str(person or _NO_PERSON))
    return Survey(
        words=dict(words),
        unknown=dict(unknown),
        examples=examples,
        without_payload=sum(
            int(count) for state, status, count in without if word(state) != _DELETED and word(status) in DUE_STATUSES
        ),
        odd_statuses=_odd((group[1] for group in groups), DUE_STATUSES),
        odd_states=_odd((group[0] for group in groups), {_DELETED}),
    )


def _groups(store: StagingTable) -> list[Row]:
    """Return the rows by their words as they are stored: row state, status, number, and a person where it may matter.

    Errors: DatabaseError.
    """
    usual = _usual_words(store)
    # Counted first: of rows that are added meanwhile none can then seem to be gone.
    rows = store.number("count_rows")
    others = store.query("count_words", usual)
    remaining = rows - sum(int(group[2]) for group in others)
    return [*others, (*usual, remaining, None)] if remaining > 0 else others


def _usual_words(store: StagingTable) -> tuple[str, str]:
    """Return the row state and status that most of the newest rows have, of those whose words are ordinary."""
    newest = store.query("read_words", size=_LOOKED_AT)
    found = Counter((state, status) for state, status in newest if state in _KNOWN_STATES and status in KNOWN_STATUSES)
    return max(found, key=lambda words: found[words], default=("unchanged", "sent"))


def count_what_no_run_takes(store: StagingTable, found: Survey, counts: Counts) -> None:
    """Add to `counts` what no run takes, with examples. Errors: DatabaseError."""
    # Asked first: this may be done again where the database is away meanwhile.
    people = store.query("read_people_without_payload", size=_NAMED) if found.without_payload else []
    counts.unknown_status = sum(found.unknown.values())
    named = [f'"{status or "(blank)"}" of person {found.examples[status]}' for status in found.unknown]
    counts.name("unknown_status", named)
    counts.blank += found.without_payload
    counts.name("blank", [str(row[0] or _NO_PERSON) for row in people])


def count_blank_payloads(store: StagingTable, counts: Counts) -> None:
    """Add to `counts` the rows that would be due and whose payload is blank; a run sees them itself as it reads.

    Errors: DatabaseError.
    """
    with suppress(UnreadableText):
        rows = store.query("read_payload_beginnings")
        blank = [str(person or _NO_PERSON) for person, begins in rows if not str(begins).strip()]
        counts.blank += len(blank)
        counts.name("blank", blank)


def count_children_without_row(store: StagingTable, receiver: str, counts: Counts) -> None:
    """Put into `counts` the children whom `receiver` holds, or may hold, and who have no row in the table.

    There are none where the database refuses the question. Errors: DatabaseError where it is away or busy.
    """
    found: list[str] = []
    # A quick look first, which compares ids by their indexes alone.
    quick = partial(store.query, "has_held_without_row", [receiver], size=1)
    seen = unless_refused(lambda: store.connection.read_together(quick))
    if seen is None or seen:
        for statement in ("read_held_without_row", "read_held_without_row_of_a_person"):
            # It is refused where types or collations of the two tables cannot be compared.
            rows = unless_refused(partial(store.query, statement, [receiver]))
            found = sorted({str(row[0]) for row in rows or ()})
            if not found:
                break
    counts.held_without_row = len(found)
    counts.name("held_without_row", found)


def check_ids(store: StagingTable) -> None:
    """Check that every row has an id of its own, which the driver reads whole. Errors: DatabaseError with the table."""
    rows, filled, different = (int(count) for count in store.query("count_ids")[0])
    if different < rows:
        what = (
            f"{counted(rows - filled, '{row has|rows have}')} no id"
            if filled < rows
            else f"{counted(rows - different, '{id is|ids are}')} not unique"
        )
        raise DatabaseError(
            f"The staging table {store.tables.staging} cannot be used: {what}. Nothing was sent; give every row an id "
            "of its own, with a primary key, as the script that deploy-schema prints does."
        )
    outermost = store.query("read_outermost_ids")
    check_ids_whole(store.tables.staging, outermost)
    is_decimal = any(isinstance(row[0], Decimal) for row in outermost)
    if is_decimal and (broken := store.number("count_broken_ids")):
        what = counted(broken, "{id is not a whole number|ids are not whole numbers}")
        raise DatabaseError(
            f"The staging table {store.tables.staging} cannot be used: {what}. Nothing was "
            "sent; give every row a whole number as its id, in a column of the type BIGINT."
        )


def try_to_write(store: StagingTable, further: Callable[[int], None] = lambda _row_id: None) -> None:
    """Check that due rows take a change, in transactions that are rolled back. Errors: DatabaseError.

    Row-level security, a trigger or a view can let a change go without an error. `further` changes the row with this id
    in more ways. What only some rows refuse is left to them.
    """
    if store.connection.dialect is Dialect.SQLITE:
        return
    refusal: DatabaseError | None = None
    row_id: int | None = None
    try:
        for row_id in store.first_due_ids(_TRIED):
            refusal = _refusal_of(store, row_id, further)
            if refusal is None:
                return
    except DatabaseBusy as error:
        what = "the table" if row_id is None else f"the row {row_id}"
        _LOG.debug("%s is locked by another program, so writing to it was not tried: %s", what, error)
        return
    except _NotKept:
        raise DatabaseError(
            f"The staging table {store.tables.staging} cannot be written to: the database takes a change of a row and "
            "does not keep it (row-level security, a trigger or a view). Nothing was sent; ask the database "
            "administrator to let this login update all rows."
        ) from None
    if refusal:
        raise type(refusal)(f"The staging table {store.tables.staging} cannot be written to. {refusal}")


def _refusal_of(store: StagingTable, row_id: int, further: Callable[[int], None]) -> DatabaseError | None:
    """Return why the database refuses to write to a row, None where it does not.

    Errors: _NotKept, and DatabaseErrors that say nothing about the row, such as ConnectionLost.
    """
    try:
        with suppress(_RolledBack), store.connection.transaction():
            store.execute("try_to_write", [_TRIAL, row_id])
            written = store.rows_by_id("read_written", [row_id], ("id", "submission_status", "api_response"))
            if not any(str(row[2] or "").strip() == _TRIAL for row in written):
                raise _NotKept
            further(row_id)
            raise _RolledBack
    except DatabaseError as error:
        if type(error) not in (DatabaseError, KeyTaken):
            raise
        return error
    return None


def _odd(stored: Iterable[object], meant: Collection[str]) -> tuple[str, ...]:
    """Return the stored words that mean one of these, but that SQL's own comparison would miss."""
    words = {text for text in stored if isinstance(text, str)}
    return tuple(sorted(text for text in words if word(text) in meant and text.strip(" ").lower() not in meant))
