"""Read the staging table page by page, by id, and ask it and its control tables what a run needs to know.

What rows say is in `staged_rows`, what the receiver holds in `baselines`, what is written back in `write_back`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from api_pipeline.db import Connection, Row, TableMissing, UnreadableText, check_ids_grow, hidden_by_schema
from api_pipeline.errors import DatabaseError
from api_pipeline.model import ElementPath, StagedRow
from api_pipeline.outbox.staged_rows import ROW, Selection, as_text, staged_rows
from api_pipeline.outbox.statements import Statements
from api_pipeline.payloads.retained import read_paths
from api_pipeline.sql.identifiers import Dialect, TableNames, is_same_table
from api_pipeline.sql.statements import placeholders

PAGE_SIZE = 100
FILL_THE_TABLE = (
    "fill it: d2i-csc-api stage does it from the council's own tables (SSD), or run the council's own SQL that fills it"
)
"""What to do about an empty staging table, in words that follow a colon or semicolon."""

_KEY = ("id", "person_id")
_MOST_KEYS_AT_ONCE = 2000
# A page of a shard of N reads so many times N keys for each row of it, so that it seldom needs a second query. It read
# 2,000 before: 115 microseconds a row instead of 36 with two shards, 133 instead of 60 with four.
_KEYS_FOR_A_ROW = 1.25


class StagingTable(Statements):
    """One connection's view of the staging table and its control tables."""

    def __init__(self, connection: Connection, tables: TableNames) -> None:
        super().__init__(connection, tables)
        self.ask_anew()

    def ask_anew(self) -> None:
        """Forget which optional tables are there, and whether anything is retained.

        PostgreSQL refuses every statement behind one that it refused in the same transaction: what is asked again
        outside that transaction may have another answer.
        """
        self._keeps_retained: bool | None = None
        self._has_retained: bool | None = None
        self._has_journal: bool | None = None

    def check_table(self) -> None:
        """Check that the staging table has the columns the pipeline needs. Errors: DatabaseError naming the table."""
        columns = (
            "id, person_id, row_state, submission_status, json_payload, previous_json_payload, current_hash, "
            "partial_json_payload, submission_timestamp, api_response, previous_hash"
        )
        try:
            self.probe({self.tables.staging: columns})
        except DatabaseError as error:
            hidden = hidden_by_schema(self.connection, self.tables.staging) if isinstance(error, TableMissing) else None
            if hidden:
                raise DatabaseError("; ".join(hidden)) from None
            raise type(error)(f"The staging table {self.tables.staging} cannot be used. {error}") from None

    def check_writable(self) -> None:
        """Check that the login may write back what a run writes. Errors: DatabaseError naming the table."""
        if self.connection.dialect is Dialect.SQLITE:
            # Its files have no logins, and even a change of nothing would wait for another program's writing.
            return
        try:
            self.execute("may_write")
        except DatabaseError as error:
            raise type(error)(f"The staging table {self.tables.staging} cannot be written to. {error}") from None

    def has_control_tables(self) -> bool:
        """Return whether the tables of baselines, of the submission log and of records in doubt are there."""
        needed = {
            self.tables.held: "receiver, la_child_id, held_payload, held_hash, receipt, accepted_at",
            self.tables.log: "run_id, batch, person_id, kind, sent_hash, http_code, answer, logged_at",
            self.tables.unconfirmed: "receiver, la_child_id, payload_hash, may_hold",
        }
        return self.has_columns(needed)

    def has_journal(self) -> bool:
        """Return whether the table of past runs is there; asked once."""
        if self._has_journal is None:
            self._has_journal = self.has_columns({self.tables.runs: "run_id, started_at, finished_at, exit_code"})
        return self._has_journal

    def is_empty(self) -> bool:
        """Return whether the staging table has no row at all. Errors: DatabaseError."""
        return not self.query("any_row", size=1)

    def keeps_retained(self) -> bool:
        """Return whether the table is there of what left the time window of `stage`."""
        if self._keeps_retained is None:
            self._keeps_retained = self.has_columns({self.tables.left_window: "person_id, elements"})
        return self._keeps_retained

    def check_retained(self) -> None:
        """Check that what left the time window can be read, if its table is there. Errors: DatabaseError."""
        if self.keeps_retained() or (why := self.why_unusable(self.tables.left_window)) is None:
            return
        raise DatabaseError(
            f"The control table {self.tables.left_window} is there and cannot be read: parts of records that the "
            f"receiver is to keep would be purged. Nothing was changed or sent. {why}"
        )

    def has_retained(self) -> bool:
        """Return whether anything left the time window and is not to be purged; asked once."""
        if self._has_retained is None:
            # Only `stage` writes it, and never while a run is at work.
            self._has_retained = self.keeps_retained() and self.number("has_left_window") > 0
        return self._has_retained

    def retained(self, people: Sequence[str]) -> dict[str, tuple[ElementPath, ...]]:
        """Return, by person, what left the time window and is not to be purged; none where there is no such table."""
        if not self.has_retained():
            return {}
        # Recorded without the blanks with which a CHAR column fills ids up; by earlier versions with them.
        spelt = {person: person.rstrip(" ") for person in people}
        rows = self.by_values("read_left_window", list(dict.fromkeys([*spelt, *spelt.values()])))
        found = {str(row[0]): read_paths(row[1]) for row in rows}
        return {
            person: found[person if person in found else bare]
            for person, bare in spelt.items()
            if person in found or bare in found
        }

    def count(self, selection: Selection) -> int:
        """Return how many rows `read_page` will give altogether; deleted rows are counted whether due or not."""
        if selection.shard is not None:
            return sum(1 for _ in self.keys(selection))
        pieces, parameters = _limits(selection, None)
        return self.number("count_all" if selection.every_row else "count_due", parameters, **pieces)

    def read_after(self, selection: Selection, last_id: int) -> list[tuple[int, str]]:
        """Return id and person of the rows behind `last_id` that are due by their status; deleted rows are left out."""
        pieces, parameters = _limits(selection._replace(odd_states=()), None)
        name = "read_all_after" if selection.every_row else "read_due_after"
        found = ((int(row[0]), as_text(row[1])) for row in self.query(name, [last_id, *parameters], **pieces))
        return [row for row in found if selection.is_ours(*row)]

    def read_page(self, selection: Selection, after_id: int | None, size: int = PAGE_SIZE) -> list[StagedRow]:
        """Return the next `size` rows by `id` that may be due; there are fewer at the end alone.

        `after_id` is the id of the last row read, None for the first page. A text that the driver cannot decode makes
        its own row unreadable, not the page.
        """
        if selection.shard is None:
            try:
                return self._with_retained(staged_rows(self._page(selection, after_id, size, ROW)))
            except UnreadableText:
                pass
        share = selection.shard[1] if selection.shard else 1
        keys = self.keys(selection, after_id, min(int(size * share * _KEYS_FOR_A_ROW), _MOST_KEYS_AT_ONCE))
        rows: list[StagedRow] = []
        # Of a table that is emptied and filled again meanwhile, the rows of some keys are gone.
        while ids := [row_id for row_id, _ in islice(keys, size - len(rows))]:
            rows += self.read_rows(ids)
        return sorted(rows, key=lambda row: row.id)

    def pages(self, selection: Selection) -> Iterator[list[StagedRow]]:
        """Yield the rows of a selection page by page, by `id`. Errors: DatabaseError."""
        after_id: int | None = None
        while page := self.read_page(selection, after_id):
            yield page
            # Read to the empty page: ids that the driver cuts come again, and show themselves so.
            after_id = page[-1].id

    def first_due_ids(self, count: int) -> list[int]:
        """Return the lowest ids of rows that may be due, at most `count`."""
        return [int(row[0]) for row in self._page(Selection(), None, count, ("id",))]

    def keys(
        self, selection: Selection, after_id: int | None = None, at_once: int = _MOST_KEYS_AT_ONCE
    ) -> Iterator[tuple[int, str]]:
        """Yield id and person of the rows of a selection, whose share of the table is found by the person.

        One query reads `at_once` rows of the table.
        """
        while keys := self._read_keys(selection, after_id, at_once):
            after_id = keys[-1][0]
            yield from (key for key in keys if selection.is_ours(*key))

    def _read_keys(self, selection: Selection, after_id: int | None, size: int) -> list[tuple[int, str]]:
        try:
            rows = self._page(selection, after_id, size, _KEY)
        except UnreadableText:
            ids = [int(row[0]) for row in self._page(selection, after_id, size, ("id",))]
            rows = [(row_id, *self._cells(row_id, _KEY[1:])) for row_id in ids]
        return [(int(row[0]), as_text(row[1])) for row in rows]

    def _page(self, selection: Selection, after_id: int | None, size: int, columns: Sequence[str]) -> list[Row]:
        name = "read_all" if selection.every_row else "read_due"
        pieces, parameters = _limits(selection, after_id)
        rows = self.query(name, parameters, size=size, columns=", ".join(columns), **pieces)
        check_ids_grow(self.tables.staging, [row[0] for row in rows], after_id)
        return rows

    def read_rows(self, ids: Sequence[int]) -> list[StagedRow]:
        """Return some rows as they stand now, in no particular order."""
        return self._with_retained(staged_rows(self.rows_by_id("read_rows", ids, ROW)))

    def _with_retained(self, rows: list[StagedRow]) -> list[StagedRow]:
        left = self.retained([row.person_id for row in rows])
        return [row._replace(retained=left[row.person_id]) if row.person_id in left else row for row in rows]

    def payloads_of(self, ids: Sequence[int]) -> dict[int, str]:
        """Return the payloads of some rows, as far as they can be read: they only help to mask what is shown."""
        try:
            return {int(row[0]): str(row[1]) for row in self.by_values("payloads_of", ids) if row[1] is not None}
        except DatabaseError:
            return {}

    def previous_payloads(self, ids: Sequence[int]) -> dict[int, str]:
        """Return `previous_json_payload` by row id, where there is one."""
        rows, _ = self.readable_by_values("read_previous", ids)
        return {int(row[0]): str(row[1]) for row in rows}

    def knows_run(self, run_id: str) -> bool:
        """Return whether the journal has a run; False where there is no journal. Errors: DatabaseError."""
        return self.has_journal() and bool(self.query("find_run", [run_id]))

    def spellings(self, table: str) -> list[str]:
        """Return how runs in the journal spelled TABLE_NAME `table`, its own spelling included.

        All tables of one journal are in its schema. Errors: DatabaseError.
        """
        rows = self.query("read_spellings") if self.has_journal() else []
        there = {str(row[0]) for row in rows}
        return sorted({table, *(name for name in there if is_same_table(name, table, self.connection.dialect))})

    def mark_due_again(self, ids: Sequence[int]) -> None:
        """Make these rows due, unless they are; a deleted row stays as it is."""
        self.change_by_values("mark_due_again", ids)


def _limits(selection: Selection, after_id: int | None) -> tuple[dict[str, str], list[object]]:
    """Return the pieces of SQL that limit a statement to a selection, and their parameters in the order of the text."""
    pieces = {"odd_words": "", "after": "", "person": ""}
    parameters: list[object] = []
    if not selection.every_row:
        pieces["odd_words"] = or_among("submission_status", selection.odd_statuses)
        pieces["odd_words"] += or_among("row_state", selection.odd_states)
        parameters += (*selection.odd_statuses, *selection.odd_states)
    if after_id is not None:
        pieces["after"] = "AND id > ?"
        parameters.append(after_id)
    if selection.person_id is not None:
        pieces["person"] = "AND person_id = ?"
        parameters.append(selection.person_id)
    return pieces, parameters


def or_among(column: str, words: Sequence[str]) -> str:
    """Return the SQL that also takes rows with one of these words, as they are stored, in a column; "" for none."""
    return f" OR {column} IN ({placeholders(len(words))})" if words else ""
