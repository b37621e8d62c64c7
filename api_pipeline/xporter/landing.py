"""The landing tables and their state, in one database: the only place of the wing that writes.

Everything that belongs together is one transaction: the rows of a school's endpoint, what was deleted, its state and
its entry in the log (design R2). The thread that runs the collection owns the connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from api_pipeline.db import Connection, KeyTaken
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load, placeholders
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.compare import Difference, Row
from api_pipeline.xporter.layout import KEPT_COLUMNS, OWN_COLUMNS, Landing, Names, landings
from api_pipeline.xporter.rows import RowReader

_CHUNK = 1000
_STATE = ("school", "sync", "run", "run_log", "column", "match")


@dataclass(frozen=True, slots=True)
class Round:
    """One question to one school: an endpoint and a window of time ("" for none)."""

    estab: str
    endpoint: str
    window: str = ""


@dataclass(frozen=True, slots=True)
class TableChange:
    """What is to be written to one landing table: the difference, and the rows it was made from."""

    landing: Landing
    reader: RowReader
    difference: Difference
    rows: Iterable[Row]


@dataclass(frozen=True, slots=True)
class RoundEntry:
    """What is kept of a complete round in the tables of state and log."""

    params_hash: str
    started: datetime
    ended: datetime
    data_as_of: str | None
    meta: str | None
    dropped: int
    received_bytes: int
    message: str | None


@dataclass(slots=True)
class Counts:
    """Rows by what became of them."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    unchanged: int = 0

    def add(self, other: Counts) -> None:
        """Add the counts of another."""
        self.added += other.added
        self.changed += other.changed
        self.deleted += other.deleted
        self.unchanged += other.unchanged


def counts_of(changes: Sequence[TableChange]) -> Counts:
    """Return the counts of a round's changes."""
    counts = Counts()
    for change in changes:
        found = change.difference
        counts.add(Counts(len(found.added), len(found.changed), len(found.deleted), found.unchanged))
    return counts


@dataclass(slots=True)
class LandingStore:
    """The tables of the wing in one database. `run_id` names the collection in whatever is written."""

    connection: Connection
    names: Names
    run_id: str = ""
    _existing: list[Landing] | None = field(default=None, init=False)

    def sql(self, statement: str, **names: str) -> str:
        """Return a named statement with the names of the state tables, and `names`, put in."""
        state = {name: self.names.table(f"xporter_{name}") for name in _STATE}
        # `column` is both a state table and a piece of some statements, which bring their own.
        return load("xporter/queries.sql")[statement].sql.format(**{**state, **names})

    def check(self) -> None:
        """Raise DatabaseError, naming what makes the tables, where they are not there."""
        try:
            self.connection.query(self.sql("probe_school"))
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            raise DatabaseError(
                "The tables of the school data collector are not there or cannot be read; make them with: "
                "d2i-csc-api xporter deploy-schema --apply"
            ) from None

    def existing(self) -> list[Landing]:
        """Return every landing table that is there, of whatever endpoint. Looked for once."""
        if self._existing is None:
            self._existing = self._find_existing()
        return self._existing

    def _find_existing(self) -> list[Landing]:
        known = {
            self._bare(landing.name): landing
            for endpoint in load_catalogue().endpoints
            for landing in landings(endpoint)
        }
        place = "xporter_" if self.names.dialect is Dialect.SQLITE else self.names.schema.strip("[]")
        if self.names.dialect is Dialect.POSTGRESQL:
            place = place.lower()
        found = self.connection.query(self.sql(f"tables_{self.names.dialect.value}"), [place])
        return [known[name] for row in found if (name := self._bare(str(row[0]))) in known]

    def _bare(self, name: str) -> str:
        lowered = name.lower()
        return lowered.removeprefix("xporter_") if self.names.dialect is Dialect.SQLITE else lowered

    def hashes(self, landing: Landing, round_: Round) -> dict[str, str]:
        """Return key and hash of every landed row of a school and window."""
        sql = self.sql("landed_hashes", table=self.names.table(landing.name))
        return {str(row[0]): str(row[1]).strip() for row in self.connection.query(sql, [round_.estab, round_.window])}

    def ids(self, landing: Landing, column: str, estab: str) -> set[str]:
        """Return the values of a column of a school's landed rows."""
        sql = self.sql("owned_ids", table=self.names.table(landing.name), column=self.names.column(column))
        return {str(row[0]) for row in self.connection.query(sql, [estab])}

    def write_round(self, round_: Round, changes: Sequence[TableChange], entry: RoundEntry) -> Counts:
        """Bring a school's tables of one endpoint to an answer, with state and log, in one transaction."""
        counts = counts_of(changes)
        with self.connection.transaction():
            for change in changes:
                self._write_table(round_, change, entry.ended)
            counts.deleted += self._remove_withdrawn(round_, changes)
            self._write_sync(round_, changes, entry)
            outcome = "unchanged" if all(change.difference.is_empty for change in changes) else "complete"
            self._log(round_, outcome, counts, entry)
            self._write_unknown_members(round_, changes, entry.ended)
        return counts

    def write_problem(self, round_: Round, outcome: str, message: str, now: datetime) -> None:
        """Record that a round could not be completed; what is landed stays as it is."""
        values = [message, now, round_.estab, round_.endpoint, round_.window]
        with self.connection.transaction():
            if self.connection.execute(self.sql("update_sync_problem"), values) == 0:
                self.connection.execute(self.sql("insert_sync_problem"), values)
            self._log(round_, outcome, Counts(), RoundEntry("", now, now, None, None, 0, 0, message))

    def write_skip(self, round_: Round, message: str, now: datetime) -> None:
        """Record that a round was not asked for, in the log alone."""
        with self.connection.transaction():
            self._log(round_, "skipped", Counts(), RoundEntry("", now, now, None, None, 0, 0, message))

    def _log(self, round_: Round, outcome: str, counts: Counts, entry: RoundEntry) -> None:
        key = [self.run_id, round_.estab, round_.endpoint, round_.window]
        milliseconds = round((entry.ended - entry.started).total_seconds() * 1000)
        self.connection.execute(self.sql("delete_run_log"), key)
        self.connection.execute(
            self.sql("insert_run_log"),
            [
                *(*key, entry.ended, outcome, counts.added, counts.changed, counts.deleted, counts.unchanged),
                *(entry.dropped, entry.received_bytes, milliseconds, entry.message),
            ],
        )

    def _write_table(self, round_: Round, change: TableChange, now: datetime) -> None:
        found = change.difference
        if found.is_empty:
            return
        table = self.names.table(change.landing.name)
        key = [round_.estab, round_.window]
        if found.deleted:
            sql = self.sql("delete_rows", table=table)
            self._many(sql, ([*key, row_key] for row_key in sorted(found.deleted)))
        insert, update = self._insert_sql(change.landing, table), self._update_sql(change.landing, table)
        new: list[list[object]] = []
        old: list[list[object]] = []
        for row_key, sha, row, is_new in found.rows_to_write(change.rows, change.reader):
            values = change.reader.values(row)
            if is_new:
                new.append([*key, row_key, *values, sha, now, now, self.run_id])
            else:
                old.append([*values, sha, now, self.run_id, *key, row_key])
            if len(new) >= _CHUNK:
                self._insert(insert, new)
            if len(old) >= _CHUNK:
                self.connection.execute_many(update, old)
                old.clear()
        self._insert(insert, new)
        self.connection.execute_many(update, old)
        landed = self.connection.query(self.sql("landed_count", table=table), key)[0][0]
        if landed != len(found.seen):
            raise DatabaseError(
                f"The table {table} has {landed} rows of school {round_.estab} where {len(found.seen)} were written; "
                "nothing of this round was kept. See what else writes to the table, then collect again."
            )

    def _insert(self, statement: str, rows: list[list[object]]) -> None:
        """Insert and forget `rows`."""
        self.connection.execute_many(statement, rows)
        rows.clear()

    def _insert_sql(self, landing: Landing, table: str) -> str:
        columns = [*OWN_COLUMNS, *landing.columns, *KEPT_COLUMNS]
        names = ", ".join(self.names.column(column) for column in columns)
        return f"INSERT INTO {table} ({names}) VALUES ({placeholders(len(columns))})"  # noqa: S608 - names of the catalogue

    def _update_sql(self, landing: Landing, table: str) -> str:
        columns = [*landing.columns, *(column for column in KEPT_COLUMNS if column != "first_seen")]
        sets = ", ".join(f"{self.names.column(column)} = ?" for column in columns)
        return f"UPDATE {table} SET {sets} WHERE estab = ? AND time_window = ? AND row_key = ?"  # noqa: S608 - names of the catalogue

    def _many(self, sql: str, rows: Iterable[list[object]]) -> None:
        iterator = iter(rows)
        while chunk := list(islice(iterator, _CHUNK)):
            self.connection.execute_many(sql, chunk)

    def _remove_withdrawn(self, round_: Round, changes: Sequence[TableChange]) -> int:
        """Remove a pupil who vanished from the roll from every other endpoint as well. Return the rows removed.

        A closed week is never asked for again, so its marks would stay. What another endpoint still names comes back
        with that endpoint's own round.
        """
        gone = [
            key
            for change in changes
            if (change.landing.endpoint, change.landing.name) == ("Students", "Students")
            for key in change.difference.deleted
        ]
        removed = 0
        if not gone:
            return removed
        for landing in self.existing():
            owner = landing.owner
            if owner is None or owner.table or landing.endpoint == "Students" or owner.column not in landing.columns:
                continue
            windows = self.connection.query(self.sql("sync_windows"), [round_.estab, landing.endpoint])
            for (window,) in windows:
                removed += self._delete_owned(landing, Round(round_.estab, landing.endpoint, str(window)), gone)
        return removed

    def _delete_owned(self, landing: Landing, round_: Round, gone: Sequence[str]) -> int:
        assert landing.owner is not None  # noqa: S101 - the caller looked
        table = self.names.table(landing.name)
        owner = self.names.column(landing.owner.column)
        sql = self.sql("delete_owned", table=table, owner=owner)
        before = self._count(landing, round_)
        self._many(sql, ([round_.estab, round_.window, student] for student in gone))
        removed = before - self._count(landing, round_)
        if removed:
            self._adjust(round_)
        return removed

    def _count(self, landing: Landing, round_: Round) -> int:
        sql = self.sql("landed_count", table=self.names.table(landing.name))
        return int(self.connection.query(sql, [round_.estab, round_.window])[0][0])

    def _adjust(self, round_: Round) -> None:
        endpoint = load_catalogue().endpoint(round_.endpoint)
        existing = {landing.name for landing in self.existing()}
        total = 0
        for landing in landings(endpoint):
            if landing.name in existing:
                sql = self.sql("landed_count", table=self.names.table(landing.name))
                total += self.connection.query(sql, [round_.estab, round_.window])[0][0]
        self.connection.execute(self.sql("adjust_sync"), [total, round_.estab, round_.endpoint, round_.window])

    def _write_sync(self, round_: Round, changes: Sequence[TableChange], entry: RoundEntry) -> None:
        # A table that was not in the answer keeps its rows, and they count.
        named = {change.landing.name for change in changes}
        rows = sum(len(change.difference.seen) for change in changes)
        for landing in landings(load_catalogue().endpoint(round_.endpoint)):
            if landing.name not in named:
                sql = self.sql("landed_count", table=self.names.table(landing.name))
                rows += self.connection.query(sql, [round_.estab, round_.window])[0][0]
        values = [entry.params_hash, rows, entry.started, entry.ended, entry.data_as_of, entry.meta]
        key = [round_.estab, round_.endpoint, round_.window]
        if self.connection.execute(self.sql("update_sync"), [*values, *key]) == 0:
            self.connection.execute(self.sql("insert_sync"), [*values, *key])

    def _write_unknown_members(self, round_: Round, changes: Sequence[TableChange], now: datetime) -> None:
        for change in changes:
            if change.difference.is_empty or change.landing.table is None:
                continue
            for member in change.reader.unknown_seen():
                self._write_member(change.landing.name, member[:128], round_.estab, now)

    def _write_member(self, table: str, member: str, estab: str, now: datetime) -> None:
        if self.connection.execute(self.sql("update_column"), [now, estab, table, member]) == 0:
            self.connection.execute(self.sql("insert_column"), [table, member, now, now, estab])

    # Consent

    def purge_school(self, estab: str, state: str, now: datetime, values: Mapping[str, object] | None = None) -> int:
        """Remove every row, state and proposal of a school in one transaction; keep the proof. Return the rows.

        `values` are what is known of the school from now on: a state without the removal must never be seen alone.
        """
        removed = 0
        with self.connection.transaction():
            if values is not None:
                self.save_school(values)
            for landing in self.existing():
                table = self.names.table(landing.name)
                removed += self.connection.query(self.sql("school_count", table=table), [estab])[0][0]
                self.connection.execute(self.sql("delete_school_rows", table=table), [estab])
            self.connection.execute(self.sql("delete_syncs"), [estab])
            self.connection.execute(self.sql("delete_school_matches"), [estab])
            self.connection.execute(self.sql("mark_purged"), [state, now, removed, now, estab])
        return removed

    def withdraw(self, estab: str, scopes: frozenset[str]) -> tuple[int, int]:
        """Empty the columns and tables that a school's scopes no longer let out. Return how many of each.

        Runs inside the caller's transaction, which also keeps the new scopes.
        """
        columns = tables = 0
        touched: set[str] = set()
        for landing in self.existing():
            table = self.names.table(landing.name)
            if load_catalogue().endpoint(landing.endpoint).is_withheld(scopes):
                self.connection.execute(self.sql("delete_school_rows", table=table), [estab])
                self.connection.execute(self.sql("delete_endpoint_syncs"), [estab, landing.endpoint])
                tables += 1
                continue
            if landing.table is None:
                continue
            withheld = landing.table.withheld(scopes)
            if landing.table.is_withheld(scopes):
                self.connection.execute(self.sql("delete_school_rows", table=table), [estab])
                tables += 1
                touched.add(landing.endpoint)
            elif withheld:
                sets = ", ".join(f"{self.names.column(column)} = NULL" for column in withheld)
                self.connection.execute(self.sql("withdraw_columns", table=table, assignments=sets), [estab])
                columns += len(withheld)
        for endpoint in sorted(touched):
            for (window,) in self.connection.query(self.sql("sync_windows"), [estab, endpoint]):
                self._adjust(Round(estab, endpoint, str(window)))
        return columns, tables

    # Queries

    def schools(self) -> list[dict[str, Any]]:
        """Return what is known of every school, by column."""
        return self._dicts(
            "schools",
            (
                *("estab", "school_name", "state", "scopes", "authorised_at", "revoked_at", "purged_at"),
                *("purged_rows", "secret_version", "state_since", "checked_at", "problem"),
            ),
        )

    def syncs(self) -> list[dict[str, Any]]:
        """Return the state of every school, endpoint and window, by column."""
        return self._dicts(
            "syncs",
            (
                *("estab", "endpoint", "time_window", "params_hash", "row_count", "round_started", "round_ended"),
                *("data_as_of", "problem", "problem_at", "attempts"),
            ),
        )

    def school_syncs(self, estab: str) -> dict[tuple[str, str], tuple[str | None, int | None]]:
        """Return parameters' hash and row count of a school's rounds, by endpoint and window."""
        rows = self.connection.query(self.sql("school_syncs"), [estab])
        return {(str(row[0]), str(row[1])): (None if row[2] is None else str(row[2]).strip(), row[3]) for row in rows}

    def _dicts(self, statement: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        return [dict(zip(columns, row, strict=True)) for row in self.connection.query(self.sql(statement))]

    def save_school(self, values: Mapping[str, object]) -> None:
        """Keep what is known of a school. Runs inside the caller's transaction, or as one statement."""
        columns = (
            *("school_name", "state", "scopes", "authorised_at", "revoked_at", "secret_version", "state_since"),
            *("checked_at", "problem"),
        )
        row = [values.get(column) for column in columns]
        if self.connection.execute(self.sql("update_school"), [*row, values["estab"]]) == 0:
            try:
                self.connection.execute(self.sql("insert_school"), [values["estab"], *row])
            except KeyTaken:
                self.connection.execute(self.sql("update_school"), [*row, values["estab"]])

    def begin_run(self, now: datetime) -> None:
        """Open the collection's entry."""
        self.connection.execute(self.sql("insert_run"), [self.run_id, now])

    def finish_run(self, values: Collection[object]) -> None:
        """Close the collection's entry; `values` are in the order of the statement."""
        self.connection.execute(self.sql("finish_run"), [*values, self.run_id])

    def tables_missing(self, names: Iterable[Landing]) -> list[str]:
        """Return the landing tables that are not there."""
        there = {landing.name for landing in self.existing()}
        return [landing.name for landing in names if landing.name not in there]
