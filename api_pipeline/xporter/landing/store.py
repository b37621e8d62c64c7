"""The landing tables and their state in one database: what is there, and what is known of schools and rounds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from api_pipeline.db import Connection, KeyTaken, TableMissing, parts_of, refusal_of
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.consent import Known, known_of
from api_pipeline.xporter.landing.rounds import Round, SyncState
from api_pipeline.xporter.layout import Landing, Names, addable, landings
from api_pipeline.xporter.schema import type_sql
from api_pipeline.xporter.values import read_time

_STATE = ("school", "sync", "run", "run_log", "column", "match", "outbox")


@dataclass(slots=True)
class LandingStore:
    """The tables of the wing in one database. `run_id` names the collection in whatever is written."""

    connection: Connection
    names: Names
    run_id: str = ""
    _existing: list[Landing] | None = field(default=None, init=False)

    def sql(self, statement: str, landing: Landing | None = None, **names: str) -> str:
        """Return a named statement with the names of the state tables, of a landing table, and `names`, put in."""
        given = {name: self.names.table(f"xporter_{name}") for name in _STATE}
        if landing is not None:
            given["table"] = self.names.table(landing.name)
        # `column` is both a state table and a piece of some statements, which bring their own.
        return load("xporter/queries.sql")[statement].sql.format(**{**given, **names})

    def check(self) -> None:
        """Raise DatabaseError, naming what makes the tables, where they are not there, or why they cannot be read."""
        if not self._is_there("xporter_school", "estab, secret_version"):
            raise DatabaseError(
                "The tables of the school data collector are not there; make them with: "
                "d2i-csc-api xporter deploy-schema --apply"
            )

    def has_outbox(self) -> bool:
        """Return whether the table of what is to be written back exists: a database of an earlier version has none.

        Errors: DatabaseError where it may not be read, because nobody could say that nothing of a school is in it.
        """
        return self._is_there("xporter_outbox")

    def _is_there(self, table: str, columns: str = "estab") -> bool:
        refusal = refusal_of(self.connection, self.names.table(table), columns)
        if refusal is not None and not isinstance(refusal, TableMissing):
            raise refusal
        return refusal is None

    def outbox_counts(self) -> tuple[tuple[str, str, int], ...]:
        """Return school, state and count of the rows to be written back."""
        rows = self.connection.query(self.sql("outbox_counts"))
        return tuple((str(estab).strip(), str(state).strip(), int(count)) for estab, state, count in rows)

    def existing(self) -> list[Landing]:
        """Return every landing table that is there, of whatever endpoint. Looked for once."""
        if self._existing is None:
            self._existing = self._find_existing()
        return self._existing

    def _find_existing(self) -> list[Landing]:
        names = self.names
        known = {
            names.bare(landing.name): landing
            for endpoint in load_catalogue().endpoints
            for landing in landings(endpoint)
        }
        found = self.connection.query(self.sql(f"tables_{names.dialect.value}"), [names.place])
        there = [known[name] for row in found if (name := names.bare(str(row[0]))) in known]
        return _with_added(self, there)

    def views(self) -> dict[str, str]:
        """Return the statement of each view that is there, by name; on SQLite alone, which cannot replace a view."""
        if self.names.dialect is not Dialect.SQLITE:
            return {}
        return {str(name): str(text) for name, text in self.connection.query(self.sql("views_sqlite"))}

    def known(self, landing: Landing) -> Landing:
        """Return a landing table with the columns that were added to it."""
        return next((one for one in self.existing() if one.name == landing.name), landing)

    def forget_layout(self) -> None:
        """Look for the landing tables and their columns again at the next question."""
        self._existing = None

    def hashes(self, landing: Landing, round_: Round) -> dict[str, str]:
        """Return key and hash of every landed row of a school and window."""
        sql = self.sql("landed_hashes", landing)
        return {str(row[0]): str(row[1]).strip() for row in self.connection.query(sql, [round_.estab, round_.window])}

    def ids(self, landing: Landing, column: str, estab: str) -> set[str]:
        """Return the values of a column of a school's landed rows."""
        sql = self.sql("owned_ids", landing, column=self.names.column(column))
        return {text for row in self.connection.query(sql, [estab]) if (text := str(row[0]).strip())}

    def schools(self) -> list[dict[str, Any]]:
        """Return what is known of every school, by column."""
        return self._dicts(
            "schools",
            (
                *("estab", "school_name", "state", "scopes", "authorised_at", "revoked_at", "purged_at"),
                *("purged_rows", "secret_version", "state_since", "checked_at", "problem"),
            ),
        )

    def known_schools(self) -> dict[str, Known]:
        """Return what is known of the consent of every school, by estab."""
        return {known.estab: known for known in map(known_of, self.schools())}

    def syncs(self) -> list[dict[str, Any]]:
        """Return the state of every school, endpoint and window, by column."""
        return self._dicts(
            "syncs",
            (
                *("estab", "endpoint", "time_window", "params_hash", "row_count", "round_started", "round_ended"),
                *("data_as_of", "problem", "problem_at", "attempts"),
            ),
        )

    def school_syncs(self, estab: str) -> dict[tuple[str, str], SyncState]:
        """Return what is known of a school's last rounds, by endpoint and window."""
        rows = self.connection.query(self.sql("school_syncs"), [estab])
        return {
            (str(row[0]), str(row[1])): SyncState(
                params_hash=_stripped(row[2]),
                rows=row[3],
                ended_at=read_time(row[4]),
                next_hash=_stripped(row[5]),
                change_key=_stripped(row[6]),
                last_full=read_time(row[7]),
            )
            for row in rows
        }

    def snapshot(self, round_: Round) -> str | None:
        """Return the API's name for the snapshot that is landed; None where rows were taken out of it since."""
        found = self.connection.query(self.sql("snapshot"), list(round_.key.values()))
        return _stripped(found[0][0]) if found else None

    def count(self, landing: Landing, round_: Round) -> int:
        """Return how many rows of a school and window are landed."""
        sql = self.sql("landed_count", landing)
        return int(self.connection.query(sql, [round_.estab, round_.window])[0][0])

    def delete_rows(self, landing: Landing, round_: Round, row_keys: Sequence[str]) -> None:
        """Delete rows of a school and window by their keys."""
        sql = self.sql("delete_rows", landing, keys="?among")
        for part in parts_of(self.names.dialect, row_keys, 1, beside=2):
            self.connection.execute(sql, [round_.estab, round_.window, part])

    def _dicts(self, statement: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        rows = self.connection.query(self.sql(statement))
        stripped = ([value.strip() if isinstance(value, str) else value for value in row] for row in rows)
        return [dict(zip(columns, row, strict=True)) for row in stripped]

    def save_school(self, values: Mapping[str, object]) -> None:
        """Keep what is known of a school. Runs inside the caller's transaction, or as one statement."""
        columns = (
            *("school_name", "state", "scopes", "authorised_at", "revoked_at", "secret_version", "state_since"),
            *("checked_at", "problem"),
        )
        row = [values.get(column) for column in columns]
        key = {"estab": values["estab"]}
        if not self.has_updated("update_school", row, "school", key):
            try:
                self.connection.execute(self.sql("insert_school"), [*key.values(), *row])
            except KeyTaken:
                self.connection.execute(self.sql("update_school"), [*row, *key.values()])

    def has_updated(self, statement: str, values: Sequence[object], state: str, key: Mapping[str, object]) -> bool:
        """Update the row of `key` in a state table to `values`; return whether there is such a row.

        A database that gives no counts (SQL Server's NOCOUNT) is asked for the row itself.
        """
        count = self.connection.execute(self.sql(statement), [*values, *key.values()])
        if count < 0:
            where = " AND ".join(f"{column} = ?" for column in key)
            sql = self.sql("count_keyed", table=self.names.table(f"xporter_{state}"), key=where)
            count = int(self.connection.query(sql, list(key.values()))[0][0])
        return count > 0

    def begin_run(self, now: datetime) -> None:
        """Open the collection's entry."""
        self.connection.execute(self.sql("insert_run"), [self.run_id, now])

    def finish_run(self, values: Collection[object]) -> None:
        """Close the collection's entry; `values` are in the order of the statement."""
        self.connection.execute(self.sql("finish_run"), [*values, self.run_id])

    def add_column_sql(self, landing: Landing, member: str) -> str:
        """Return the statement that makes a column of a member that the catalogue does not know."""
        return self.sql(
            "add_column", landing, name=self.names.column(member), type=type_sql(self.names.dialect, "text")
        )

    def add_columns(self, landing: Landing, members: Iterable[str], estab: str, now: datetime) -> None:
        """Make columns of members, and record them as seen, in one transaction."""
        with self.connection.transaction():
            for member in members:
                self.connection.execute(self.add_column_sql(landing, member))
                self.write_member(landing.name, member, estab, now)
        self.forget_layout()

    def write_member(self, table: str, member: str, estab: str, now: datetime) -> None:
        """Record that a member without a published column was seen."""
        key = {"table_name": table, "column_name": member}
        if not self.has_updated("update_column", [now, estab], "column", key):
            self.connection.execute(self.sql("insert_column"), [table, member, now, now, estab])

    def tables_missing(self, names: Iterable[Landing]) -> list[str]:
        """Return the landing tables that are not there."""
        there = {landing.name for landing in self.existing()}
        return [landing.name for landing in names if landing.name not in there]


def _stripped(value: object) -> str | None:
    return None if value is None else str(value).strip()


def _with_added(store: LandingStore, found: list[Landing]) -> list[Landing]:
    """Return landing tables with their added columns: members that were seen and have a column now.

    A column that somebody else made for themselves is none of them, and is left alone.
    """
    names = store.names
    seen: dict[str, list[str]] = {}
    for row in store.connection.query(store.sql("columns")):
        seen.setdefault(str(row[0]).strip().lower(), []).append(str(row[1]).strip())
    if not seen:
        return found
    there: dict[str, set[str]] = {}
    for table, column in store.connection.query(store.sql(f"columns_{names.dialect.value}"), [names.place]):
        there.setdefault(names.bare(str(table)), set()).add(str(column).lower())
    return [
        replace(landing, added=tuple(name for name in addable(landing, seen[key]) if name.lower() in there[key]))
        if (key := landing.name.lower()) in seen and key in there
        else landing
        for landing in found
    ]
