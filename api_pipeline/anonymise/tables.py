"""The two tables of `anonymise`: which they are, and their statements. Only the anonymised copy is ever written to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from api_pipeline.anonymise.record import InventedRecord, LiveRecord
from api_pipeline.db import Connection, Row, RowsMissed, UnreadableText, pages_by_id, unless_refused
from api_pipeline.errors import DatabaseError, SettingsError
from api_pipeline.outbox.staged_rows import UNREADABLE, word
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import check_ids
from api_pipeline.sql.ddl import live_and_copy
from api_pipeline.sql.identifiers import (
    ANONYMISED_ENDING,
    Dialect,
    QualifiedName,
    is_anonymised,
    parse_table_name,
    table_names,
)
from api_pipeline.sql.statements import load

PAGE_SIZE = 200
_READ = ("id", "person_id", "json_payload", "previous_json_payload", "row_state")
_WRITTEN = (
    *("person_id", "previous_json_payload", "json_payload", "partial_json_payload", "current_hash", "previous_hash"),
    *("submission_status", "submission_timestamp", "api_response", "row_state"),
)
_RECEIPT = "00000000-0000-4000-8000-000000000000 invented by anonymise --as-sent"
# Tables of earlier builds may lack these; the copy then goes without.
_OPTIONAL = ("legacy_id", "last_updated")
# Of these a null must have its type: SQL Server takes a list of nulls for numbers, which cannot become times.
_TIMES = frozenset({"submission_timestamp", "last_updated"})
_HASHES = ("current_hash", "previous_hash")


@dataclass(frozen=True, slots=True)
class Pair:
    """A live table and its anonymised copy, and by which option or setting each was named.

    Errors: SettingsError where the anonymised copy's name does not end in _anon, or the live table's does.
    """

    source: QualifiedName
    target: QualifiedName
    source_option: str = "TABLE_NAME"
    target_option: str = "TABLE_NAME"

    def __post_init__(self) -> None:
        if is_anonymised(self.source.table.text):
            raise SettingsError(
                f"The source {self.source.table.text} is itself an anonymised copy; name the live table to make one "
                "from."
            )
        if not is_anonymised(self.target.table.text):
            raise SettingsError(
                f"The target {self.target.table.text} does not end in {ANONYMISED_ENDING}; nothing was done. Invented "
                "records are only ever written to a table whose name ends so."
            )

    @property
    def source_name(self) -> str:
        """Return the live table's name for a sentence."""
        return _plain(self.source)

    @property
    def target_name(self) -> str:
        """Return the anonymised copy's name for a sentence."""
        return _plain(self.target)


def pair_of(configured: str, source: str | None = None, target: str | None = None) -> Pair:
    """Return the tables to work on: those named by --source and --target, else TABLE_NAME's live table and its copy.

    Errors: SettingsError where a name is none, the target does not end in _anon, or the source does.
    """
    live = parse_table_name(source, "--source") if source else live_and_copy(parse_table_name(configured))[0]
    target_name = parse_table_name(target, "--target") if target else live_and_copy(live)[1]
    source_option = "--source" if source else "TABLE_NAME"
    return Pair(live, target_name, source_option, "--target" if target else source_option)


class CopyTables:
    """The two tables by their statements."""

    def __init__(self, connection: Connection, pair: Pair) -> None:
        self._connection = connection
        self._pair = pair
        self._live = StagingTable(connection, table_names(pair.source, connection.dialect))
        self.source = self._live.tables.staging
        self.target = pair.target.sql(connection.dialect)
        self._read_legacy_id = "NULL"
        self._columns: tuple[str, ...] = _WRITTEN
        self._text_hashes: frozenset[str] = frozenset()
        self._now = datetime.now()  # noqa: DTZ005 - the column keeps the server's local time

    def check(self) -> None:
        """See that both tables have their columns, and live rows their ids. Errors: DatabaseError naming the table."""
        self._require(self.source, _READ)
        check_ids(self._live)
        self._require(self.target, ("id", *_WRITTEN))
        if self._has(self.source, ("legacy_id",)):
            self._read_legacy_id = "legacy_id"
        self._columns = (*_WRITTEN, *(name for name in _OPTIONAL if self._has(self.target, (name,))))
        # SQLite keeps bytes in a column of any type.
        if self._connection.dialect is not Dialect.SQLITE:
            columns = self._connection.describe(self._sql("has_columns", columns=", ".join(_HASHES), table=self.target))
            self._text_hashes = frozenset(name.lower() for name, kind, *_ in columns if kind is str)

    def count_copy(self) -> int:
        """Return how many rows the anonymised copy holds."""
        return int(self._connection.query(self._sql("count_copy"))[0][0])

    def empty_copy(self) -> None:
        """Remove all rows of the anonymised copy."""
        self._connection.execute(self._sql("empty_copy"))

    def check_stored(self, records: int) -> None:
        """See that the anonymised copy holds these records and no other row. Errors: RowsMissed."""
        if (count := self.count_copy()) != records:
            raise RowsMissed(
                f"The anonymised copy {self.target} would not hold what was written to it (records: {records}, rows: "
                f"{count}); nothing was changed. A trigger, a view or row-level security keeps rows from being "
                "written: ask the database administrator."
            )

    def pages(self) -> Iterator[Iterable[LiveRecord]]:
        """Return the live rows by `id`, page by page; rows without a payload are among them.

        A text that the driver cannot decode makes its own row unreadable, not the page.
        """
        columns = ("id", "person_id", self._read_legacy_id, "json_payload", "previous_json_payload", "row_state")
        last: list[int] = []
        try:
            for rows in self._pages(columns, last):
                # One by one: what was read of a record goes with it.
                yield map(_live_record, rows)
                last = [int(rows[-1][0])]
        except UnreadableText:
            for ids in self._pages(("id",), last):
                rows = self._live.rows_by_id("read_rows", [int(row[0]) for row in ids], columns)
                yield map(_live_record, sorted(rows, key=itemgetter(0)))

    def _pages(self, columns: Sequence[str], last: list[int]) -> Iterator[list[Row]]:
        """Return the pages of these columns, those behind the `last` id where there is one."""
        pieces = {"columns": ", ".join(columns), "page": self._connection.page(PAGE_SIZE)["page"]}
        behind = "AND id > ? " * len(last)
        return pages_by_id(
            self._connection,
            lambda after: self._sql("read_page", after=f"{behind}{after}", **pieces),
            self.source,
            last,
        )

    def insert(self, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows into the anonymised copy."""
        marks = ", ".join("?time" if name in _TIMES else "?" for name in self._columns)
        sql = self._sql("insert_copy", columns=", ".join(self._columns), values=marks)
        self._connection.execute_many(sql, rows)

    def row(self, record: InventedRecord, *, as_sent: bool) -> list[object]:
        """Return the row of a record. Nothing has been sent of these children, so all wait to be sent.

        `as_sent` gives a receipt to those with a previous payload: a run then takes that for held (contract 3).
        """
        values: dict[str, object] = {
            "person_id": record.person_id,
            "legacy_id": record.legacy_id,
            "previous_json_payload": record.previous_json_payload,
            "json_payload": record.json_payload,
            "current_hash": self._hash("current_hash", record.current_hash),
            "previous_hash": self._hash("previous_hash", record.previous_hash),
            "submission_status": "pending",
            "api_response": _RECEIPT if as_sent and record.previous is not None else None,
            "row_state": record.row_state,
            "last_updated": self._now,
        }
        return [values.get(name) for name in self._columns]

    def _hash(self, column: str, digest: bytes | None) -> bytes | str | None:
        return digest.hex() if digest is not None and column in self._text_hashes else digest

    def _sql(self, name: str, **pieces: str) -> str:
        return load("anonymise_queries.sql")[name].sql.format(source=self.source, target=self.target, **pieces)

    def _has(self, table: str, columns: Sequence[str]) -> bool:
        return unless_refused(lambda: self._require(table, columns)) is not None

    def _require(self, table: str, columns: Sequence[str]) -> list[Row]:
        try:
            return self._connection.query(self._sql("has_columns", columns=", ".join(columns), table=table))
        except DatabaseError as error:
            option = self._pair.source_option if table == self.source else self._pair.target_option
            reason = str(error).replace("TABLE_NAME", option, 1)
            raise type(error)(f"The table {table} cannot be used. {reason}") from None


def _plain(name: QualifiedName) -> str:
    return f"{name.schema.text}.{name.table.text}" if name.schema else name.table.text


def _live_record(row: Row) -> LiveRecord:
    if UNREADABLE in row:
        # Nothing is invented of a part of a row.
        row = (row[0], *[None] * 5)
    return LiveRecord(
        id=int(row[0]),
        person_id=None if row[1] is None else str(row[1]),
        legacy_id=None if row[2] is None else str(row[2]),
        json_payload="" if row[3] is None else str(row[3]),
        previous_json_payload=None if row[4] is None else str(row[4]),
        row_state=word(row[5]),
    )
