"""The staging table and its control tables, as the pipeline reads them: due rows, baselines, records in doubt.

What is written back stands in `write_back.py`. Statements come from `data/queries.sql`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from typing import TypeVar

from api_pipeline.api_response import last_receipt
from api_pipeline.db import (
    Connection,
    Parameters,
    Row,
    UnreadableText,
    UnstorableText,
    check_ids_grow,
    in_chunks,
    rows_as_table,
)
from api_pipeline.errors import DatabaseError
from api_pipeline.model import Baseline, ElementPath, StagedRow, State
from api_pipeline.payloads.retained import read_paths
from api_pipeline.sql.identifiers import Dialect, TableNames
from api_pipeline.sql.statements import load, placeholders

PAGE_SIZE = 100
FILL_THE_TABLE = (
    "fill it: d2i-csc-api stage does it from the council's own tables (SSD), or run the council's own SQL that fills it"
)
"""What to do about an empty staging table, in words that follow a colon or semicolon."""

_Value = TypeVar("_Value")
_ROWS_IN_A_STATEMENT = 100
DUE_STATUSES = frozenset({"pending", "error", "testing"})


# What a row is read as, in the order of `_staged_row`, and what the version of a row is read as.
_HAS_PREVIOUS = "CASE WHEN previous_hash IS NULL AND previous_json_payload IS NULL THEN 0 ELSE 1 END"
_ROW = (
    *("id", "person_id", "row_state", "submission_status", "json_payload", "current_hash"),
    *(_HAS_PREVIOUS, "api_response"),
)
_KEY = ("id", "person_id")
_KEYS_IN_A_PAGE = 2000
# Without these a row cannot be sent or written back.
_NEEDED_TEXT = {"person_id": 1, "json_payload": 4, "current_hash": 5}
_BLANKS = r"[\s\x00\u200b-\u200d\u2060\ufeff]+"
_OUTER_BLANKS = re.compile(rf"^{_BLANKS}|{_BLANKS}$")
UNREADABLE = object()
UNSTORABLE = Baseline()
"""Stands for the baseline of a child in whose id the database's code page lacks a letter: none can be recorded."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of the table a run works on.

    `every_row` reads all rows with a payload instead of the due ones, `person_id` one person's, `shard` (I, N) the
    people of the I-th of N shares. `odd_statuses` and `odd_states` are words as they are stored that mean a due status
    or `deleted`, with blanks around them that SQL does not strip.
    """

    every_row: bool = False
    person_id: str | None = None
    shard: tuple[int, int] | None = None
    odd_statuses: tuple[str, ...] = ()
    odd_states: tuple[str, ...] = ()

    def is_ours(self, row_id: int, person_id: str) -> bool:
        """Return whether a row is of this run's share: all rows of a person are, one without a person by its id."""
        if self.shard is None:
            return True
        key = word(person_id) or str(row_id)
        number = int.from_bytes(sha256(key.encode("utf-8", "replace")).digest()[:4], "big")
        return number % self.shard[1] == self.shard[0] - 1


def utc_now() -> datetime:
    """Return the time for control tables: UTC, without a zone, to the millisecond that DATETIME keeps."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class StagingTable:
    """One connection's view of the staging table and its control tables."""

    def __init__(self, connection: Connection, tables: TableNames) -> None:
        self.connection = connection
        self.tables = tables
        self._names = {
            "table": tables.staging,
            "held": tables.held,
            "log": tables.log,
            "unconfirmed": tables.unconfirmed,
            "runs": tables.runs,
            "left_window": tables.left_window,
            "exact": connection.page(0)["exact"],
        }
        self._keeps_retained: bool | None = None
        self._has_retained: bool | None = None
        self._delta_as: str | None = None

    def sql(self, name: str, **pieces: str) -> str:
        """Return a named statement of `queries.sql` with the table names and `pieces` put in."""
        return load()[name].sql.format(**self._names, **pieces)

    def check_table(self) -> None:
        """Check that the staging table has the columns the pipeline needs. Errors: DatabaseError naming the table."""
        columns = (
            "id, person_id, row_state, submission_status, json_payload, previous_json_payload, current_hash, "
            "partial_json_payload, submission_timestamp, api_response, previous_hash"
        )
        try:
            self._probe(self.tables.staging, columns)
        except DatabaseError as error:
            raise type(error)(f"The staging table {self.tables.staging} cannot be used. {error}") from None

    def check_writable(self) -> None:
        """Check that the login may write back what a run writes. Errors: DatabaseError naming the table."""
        if self.connection.dialect is Dialect.SQLITE:
            # Its files have no logins, and even a change of nothing would wait for another program's writing.
            return
        try:
            self.connection.execute(self.sql("may_write"))
        except DatabaseError as error:
            raise type(error)(f"The staging table {self.tables.staging} cannot be written to. {error}") from None

    def has_control_tables(self) -> bool:
        """Return whether the tables of baselines, of the submission log and of records in doubt are there."""
        needed = {
            self.tables.held: "receiver, la_child_id, held_payload, held_hash, receipt, accepted_at",
            self.tables.log: "run_id, batch, person_id, kind, sent_hash, http_code, answer, logged_at",
            self.tables.unconfirmed: "receiver, la_child_id, payload_hash, may_hold",
        }
        return all(self.has_columns(table, columns) for table, columns in needed.items())

    def has_journal(self) -> bool:
        """Return whether the table of past runs is there."""
        return self.has_columns(self.tables.runs, "run_id, started_at, finished_at, exit_code")

    def keeps_retained(self) -> bool:
        """Return whether the table is there of what left the time window of `stage`."""
        if self._keeps_retained is None:
            self._keeps_retained = self.has_columns(self.tables.left_window, "person_id, elements")
        return self._keeps_retained

    def retained(self, people: Sequence[str]) -> dict[str, tuple[ElementPath, ...]]:
        """Return, by person, what left the time window and is not to be purged; none where there is no such table."""
        found: dict[str, tuple[ElementPath, ...]] = {}
        if self._has_retained is None:
            # Only `stage` writes it, and never while a run is at work.
            self._has_retained = self.keeps_retained() and bool(
                self.connection.query(self.sql("has_left_window"))[0][0]
            )
        if self._has_retained:
            found.update((str(row[0]), read_paths(row[1])) for row in self.by_values("read_left_window", people))
        return found

    def is_empty(self) -> bool:
        """Return whether the staging table has no row at all. Errors: DatabaseError."""
        return not self.connection.query(self.sql("any_row", page=self.connection.page(1)["page"]))

    def count(self, selection: Selection) -> int:
        """Return how many rows `read_page` will give altogether; deleted rows are counted whether due or not."""
        if selection.shard is not None:
            return sum(1 for _ in self.keys(selection))
        pieces, parameters = _limits(selection, None)
        return int(
            self.connection.query(self.sql("count_all" if selection.every_row else "count_due", **pieces), parameters)[
                0
            ][0]
        )

    def read_due_after(self, selection: Selection, last_id: int) -> list[int]:
        """Return the ids of rows behind `last_id` that are due by their status; deleted rows are left out."""
        pieces, parameters = _limits(selection, None)
        rows = self.connection.query(self.sql("read_due_after", **pieces), [last_id, *parameters])
        return [int(row[0]) for row in rows if selection.is_ours(int(row[0]), _text(row[1]))]

    def read_page(self, selection: Selection, after_id: int | None, size: int = PAGE_SIZE) -> list[StagedRow]:
        """Return the next rows by `id` that may be due, at most `size`; empty at the end.

        `after_id` is the id of the last row read, None for the first page. A text that the driver cannot decode makes
        its own row unreadable, not the page.
        """
        if selection.shard is None:
            try:
                return self._with_retained([_staged_row(row) for row in self._page(selection, after_id, size, _ROW)])
            except UnreadableText:
                pass
        ids = [row_id for row_id, _ in islice(self.keys(selection, after_id), size)]
        return sorted(self.read_rows(ids), key=lambda row: row.id)

    def keys(
        self, selection: Selection, after_id: int | None = None, most: int = _KEYS_IN_A_PAGE
    ) -> Iterator[tuple[int, str]]:
        """Return id and person of the rows of a selection, whose share of the table is found by the person.

        `most` is how many are read in one statement.
        """
        while keys := self._read_keys(selection, after_id, most):
            after_id = keys[-1][0]
            yield from (key for key in keys if selection.is_ours(*key))

    def _read_keys(self, selection: Selection, after_id: int | None, size: int) -> list[tuple[int, str]]:
        try:
            rows = self._page(selection, after_id, size, _KEY)
        except UnreadableText:
            ids = [int(row[0]) for row in self._page(selection, after_id, size, ("id",))]
            rows = [(row_id, *self._cells(row_id, _KEY[1:])) for row_id in ids]
        return [(int(row[0]), _text(row[1])) for row in rows]

    def _page(self, selection: Selection, after_id: int | None, size: int, columns: Sequence[str]) -> list[Row]:
        name = "read_all" if selection.every_row else "read_due"
        pieces, parameters = _limits(selection, after_id)
        pieces["page"] = self.connection.page(size)["page"]
        rows = self.connection.query(self.sql(name, columns=", ".join(columns), **pieces), parameters)
        check_ids_grow(self.tables.staging, [int(row[0]) for row in rows], after_id)
        return rows

    def read_rows(self, ids: Sequence[int]) -> list[StagedRow]:
        """Return some rows as they stand now, in no particular order."""
        return self._with_retained([_staged_row(row) for row in self.rows_by_id("read_rows", ids, _ROW)])

    def rows_by_id(self, name: str, ids: Sequence[int], columns: Sequence[str], **pieces: str) -> list[Row]:
        """Return these columns of some rows; a value that the driver cannot decode is `UNREADABLE`.

        `columns` begin with `id`; `name` is a statement that takes them and the ids.
        """
        try:
            return list(self.by_values(name, ids, list, columns=", ".join(columns), **pieces))
        except UnreadableText:
            # The ids alone are readable, and whatever the statement locks is locked by it.
            there = list(self.by_values(name, ids, list, columns="id", **pieces))
        return [(int(row[0]), *self._cells(int(row[0]), columns[1:])) for row in there]

    def _cells(self, row_id: int, columns: Sequence[str]) -> list[object]:
        """Return the values of one row, each read by itself."""
        values: list[object] = []
        for column in columns:
            try:
                found = self.connection.query(self.sql("read_cell", column=column), [row_id])
                values.append(found[0][0] if found else None)
            except UnreadableText:
                values.append(UNREADABLE)
        return values

    def knows_run(self, run_id: str) -> bool:
        """Return whether the journal has a run; False where there is no journal. Errors: DatabaseError."""
        return self.has_journal() and bool(self.connection.query(self.sql("find_run"), [run_id]))

    def payloads_of(self, ids: Sequence[int]) -> dict[int, str]:
        """Return the payloads of some rows, as far as they can be read: they only help to mask what is shown."""
        try:
            return {int(row[0]): str(row[1]) for row in self.by_values("payloads_of", ids) if row[1] is not None}
        except DatabaseError:
            return {}

    def _with_retained(self, rows: list[StagedRow]) -> list[StagedRow]:
        left = self.retained([row.person_id for row in rows])
        return [replace(row, retained=left[row.person_id]) if row.person_id in left else row for row in rows]

    def baselines(self, receiver: str, children: Sequence[str]) -> dict[str, Baseline]:
        """Return what `receiver` holds of these children (`la_child_id`), where anything is recorded of them.

        It is `UNSTORABLE` for a child of whom nothing can be recorded.
        """
        accepted: dict[str, Baseline] = {}
        unanswered: dict[str, State] = {}
        asked = sorted(set(children))
        unstorable: list[str] = []
        for child, is_in_doubt, text, mark in self.readable_by_values(
            "read_held", asked, lambda part: [receiver, *part] * 2, unstorable
        ):
            if is_in_doubt:
                unanswered[str(child)] = State(text, sent_of=str(mark or "").strip())
            else:
                accepted[str(child)] = Baseline.known(text, receipt=mark)
        for child, state in unanswered.items():
            accepted[child] = accepted.get(child, Baseline()).in_doubt_with(state)
        return accepted | dict.fromkeys(unstorable, UNSTORABLE)

    def runs_in_doubt(self, receiver: str, children: Sequence[str]) -> dict[str, str]:
        """Return, by child, which run was the last about to send a record of it to `receiver`."""
        rows = self.by_values("read_runs_of_notes", children, lambda part: [receiver, *part])
        return {str(row[0]): str(row[1]).strip() for row in rows}

    def unfinished_shards(self) -> list[Row]:
        """Return the shards of the runs whose journal entries are not closed, each as the text I/N."""
        return self.connection.query(self.sql("read_unfinished_shards"))

    def mark_due_again(self, ids: Sequence[int]) -> None:
        """Make those of these rows due that are sent; any other stays as it is."""
        self._change_by_values("mark_due_again", ids)

    def accepted_before(self, people: Sequence[str]) -> set[str]:
        """Return which of these people (`person_id`) the submission log has an acceptance of."""
        return {str(row[0]) for row in self.by_values("read_accepted_before", people)}

    def previous_payloads(self, ids: Sequence[int]) -> dict[int, str]:
        """Return `previous_json_payload` by row id, where there is one."""
        return {int(row[0]): str(row[1]) for row in self.readable_by_values("read_previous", ids)}

    def mark_in_doubt(
        self, receiver: str, run_id: str, records: Sequence[tuple[str, str]], replaced: Sequence[str]
    ) -> None:
        """Write (`la_child_id`, hash of the payload) of records about to be sent, before their POST begins.

        `replaced` are the children who are in doubt already. Errors: KeyTaken where there are others.
        """
        now = utc_now()
        self.clear_in_doubt(receiver, replaced)
        self.write_rows("note_unconfirmed", (str, str), records, (receiver, run_id, now))

    def clear_in_doubt(self, receiver: str, children: Sequence[str]) -> None:
        """Remove these children's records in doubt: the answer is known, or nothing was sent."""
        self._change_by_values("forget_unconfirmed", children, lambda part: [receiver, *part])

    def remove_held(self, receiver: str, children: Sequence[str]) -> None:
        """Remove what `receiver` is recorded to hold of these children."""
        self._change_by_values("remove_held", children, lambda part: [receiver, *part])

    def write_rows(self, name: str, types: Sequence[type], rows: Sequence[Parameters], shared: Parameters) -> None:
        """Run a statement of `queries.sql` for many rows of values of these types, a hundred in one statement.

        `shared` are the parameters that come before them, the same for all.
        """
        for part in in_chunks(rows, _ROWS_IN_A_STATEMENT):
            sql = self.sql(name, rows=rows_as_table(self.connection.dialect, types, len(part)))
            self.connection.execute(sql, [*shared, *(value for row in part for value in row)])

    def update_rows(self, name: str, types: Sequence[type], rows: Sequence[Parameters]) -> None:
        """Run an UPDATE of `queries.sql` for many rows, a hundred in one statement; each begins with its `id`."""
        for part in in_chunks(rows, _ROWS_IN_A_STATEMENT):
            ids = [row[0] for row in part]
            table = rows_as_table(self.connection.dialect, types, len(part))
            sql = self.sql(name, rows=table, ids=placeholders(len(ids)), delta=self._delta())
            self.connection.execute(sql, [*(value for row in part for value in row), *ids])

    def _delta(self) -> str:
        """Return the SQL for a delta as the column of deltas takes it."""
        if self._delta_as is None:
            kind = ""
            if self.connection.dialect is Dialect.POSTGRESQL:
                kind = str(self.connection.query(self.sql("type_of_deltas_postgresql"), [self.tables.staging])[0][0])
            self._delta_as = f"CAST(done.delta AS {kind})" if kind in ("json", "jsonb") else "done.delta"
        return self._delta_as

    def by_values(
        self,
        name: str,
        values: Sequence[_Value],
        parameters: Callable[[Sequence[_Value]], Parameters] = list,
        **pieces: str,
    ) -> Iterator[Row]:
        """Return the rows of a statement that asks for ids, people or children, a hundred in one statement.

        `parameters` makes a statement's parameters of its part of the values; `pieces` are other parts of its SQL.
        """
        for part in in_chunks(values, _ROWS_IN_A_STATEMENT):
            yield from self.connection.query(self._sql_of(name, len(part), **pieces), parameters(part))

    def readable_by_values(
        self,
        name: str,
        values: Sequence[_Value],
        parameters: Callable[[Sequence[_Value]], Parameters] = list,
        unstorable: list[_Value] | None = None,
    ) -> Iterator[Row]:
        """Return what `by_values` does, without the rows of values of which the driver cannot decode a text.

        Values for which the database cannot even be asked go to `unstorable`.
        """
        for part in in_chunks(values, _ROWS_IN_A_STATEMENT):
            try:
                yield from self.by_values(name, part, parameters)
            except (UnreadableText, UnstorableText):
                for value in part:
                    try:
                        yield from self.by_values(name, [value], parameters)
                    except UnreadableText:
                        continue
                    except UnstorableText:
                        if unstorable is None:
                            raise
                        unstorable.append(value)

    def _change_by_values(
        self,
        name: str,
        values: Sequence[_Value],
        parameters: Callable[[Sequence[_Value]], Parameters] = list,
    ) -> None:
        for part in in_chunks(values, _ROWS_IN_A_STATEMENT):
            self.connection.execute(self._sql_of(name, len(part)), parameters(part))

    def _sql_of(self, name: str, count: int, **pieces: str) -> str:
        marks = placeholders(count)
        return self.sql(name, ids=marks, people=marks, children=marks, **pieces)

    def has_columns(self, table: str, columns: str) -> bool:
        """Return whether a table is there and has these columns. Errors: DatabaseError (database away or busy)."""
        try:
            self._probe(table, columns)
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            return False
        return True

    def _probe(self, table: str, columns: str) -> None:
        sql = load()["table_exists"].sql.format(columns=columns, any_table=table)
        self.connection.query(sql)


def may_be_due(row: StagedRow) -> bool:
    """Return whether the row's own words make it due; of a deleted row what the receiver holds decides (`is_due`)."""
    return row.is_deleted or row.submission_status in DUE_STATUSES


def is_due(row: StagedRow, baseline: Baseline) -> bool:
    """Return whether a row that was read is due (contract 3), given what the receiver holds of its child.

    A deleted row is due while the receiver holds the child, or may hold it because an answer was never learnt.
    """
    if row.is_blank:
        return False
    if not row.is_deleted:
        return row.submission_status in DUE_STATUSES
    return bool(baseline.states) or row.has_previous


def was_sent(row: StagedRow) -> bool:
    """Return whether the row is or was `sent`, so that its previous payload is what was sent (contract 3)."""
    return row.submission_status == "sent" or last_receipt(row.api_response) is not None


def word(value: object) -> str:
    """Return a status word as it is compared: without any kind of blank around it, in lower case, "" for null."""
    return _word(_text(value))


@lru_cache(maxsize=256)
def _word(text: str) -> str:
    return _OUTER_BLANKS.sub("", text).lower()


def _text(value: object) -> str:
    return "" if value is None or value is UNREADABLE else str(value)


def _staged_row(row: Row) -> StagedRow:
    return StagedRow(
        id=int(row[0]),
        person_id=_text(row[1]),
        row_state=word(row[2]),
        submission_status=word(row[3]),
        json_payload=_text(row[4]),
        current_hash=None if row[5] is UNREADABLE else as_version(row[5]),
        has_previous=bool(row[6]),
        api_response=None if row[7] is UNREADABLE else row[7],
        unreadable=tuple(name for name, place in _NEEDED_TEXT.items() if row[place] is UNREADABLE),
    )


def as_version(value: object) -> bytes | str | None:
    """Return a hash column's value in a form that can be compared: bytes, text or None."""
    if value is None or isinstance(value, (bytes, str)):
        return value
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else str(value)


def _limits(selection: Selection, after_id: int | None) -> tuple[dict[str, str], list[object]]:
    """Return the pieces of SQL that limit a statement to a selection, and their parameters in the order of the text."""
    pieces = {"odd_words": "", "after": "", "person": ""}
    parameters: list[object] = []
    if not selection.every_row:
        for column, words in (("submission_status", selection.odd_statuses), ("row_state", selection.odd_states)):
            if words:
                pieces["odd_words"] += f" OR {column} IN ({placeholders(len(words))})"
                parameters += words
    if after_id is not None:
        pieces["after"] = "AND id > ?"
        parameters.append(after_id)
    if selection.person_id is not None:
        pieces["person"] = "AND person_id = ?"
        parameters.append(selection.person_id)
    return pieces, parameters
