"""Databases that are made once for many tests: SQLite files to copy, and PostgreSQL databases that are given back.

A test that asks for the deployed tables, or for those and the SSD's, gets a database that has them. On PostgreSQL it is
one that an earlier test left: its rows are taken out where its catalogues are as they were, and else all that is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pyodbc

from api_pipeline.sandbox.synthetic_ssd import create_tables
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect
from tests.support.postgres import PostgresServer

LIVE = "ssd_api_data_staging"
# After so many tests the dead rows of the catalogues would cost more than a new database: of an emptied one many more.
_MOST_EMPTIED = 30
_MOST_GIVEN_BACK = 200
_ALTERED = """
    SELECT 1 FROM pg_database WHERE datname = current_database() AND (NOT datallowconn OR datacl IS NOT NULL)
    UNION ALL SELECT 1 FROM pg_db_role_setting JOIN pg_database ON oid = setdatabase WHERE datname = current_database()
    UNION ALL SELECT 1 FROM pg_default_acl
    UNION ALL SELECT 1 FROM pg_extension WHERE extname <> 'plpgsql'
    UNION ALL SELECT 1 FROM pg_event_trigger
"""
# With a limit the function waits until the connection is gone, and its locks with it (PostgreSQL 14 and later).
_END_OTHERS = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_OWN_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
_FIRST_OWN = 16384
# Whatever is made, changed or dropped changes how many rows a catalogue has of it, or which transaction wrote the last.
_CATALOGUES = {
    "pg_namespace": "oid > 0",
    **dict.fromkeys(("pg_class", "pg_constraint", "pg_proc", "pg_type", "pg_trigger"), f"oid >= {_FIRST_OWN}"),
    **dict.fromkeys(("pg_policy", "pg_rewrite", "pg_cast", "pg_operator"), f"oid >= {_FIRST_OWN}"),
    "pg_attribute": f"attrelid >= {_FIRST_OWN}",
    "pg_attrdef": f"adrelid >= {_FIRST_OWN}",
    "pg_index": f"indexrelid >= {_FIRST_OWN}",
}
_STATE = " UNION ALL ".join(
    f"SELECT '{name}', COUNT(*), MAX(xmin::text::bigint) FROM {name} WHERE {where}"
    for name, where in _CATALOGUES.items()
)
_SAMPLES = f"SELECT COUNT(*), MAX(xmin::text::bigint) FROM {LIVE}_anon"
_FILLED = """
    SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND pg_relation_size(oid) > 0
"""


class Made(Enum):
    """What a test wants to find in its database."""

    NOTHING = "no table"
    DEPLOYED = "the staging table and its control tables"
    SSD = "these and the SSD's own tables, empty"


def make(execute: Callable[[str], object], dialect: Dialect, made: Made) -> None:
    """Make in an empty database what a test wants to find there, by `execute` for each statement."""
    if made is not Made.NOTHING:
        ddl.apply(execute, dialect, LIVE)
    if made is Made.SSD:
        create_tables(execute, dialect)


@dataclass(slots=True)
class Given:
    """A database on a server with a connection to it, which costs the server more than most tests do.

    `uses` is how often it was emptied or given back, `state` how it is given out.
    """

    name: str
    connection: Any
    made: Made = Made.NOTHING
    uses: int = 0
    state: tuple[object, ...] = ()


@dataclass(slots=True)
class Pool:
    """The databases of one server that no test uses now."""

    server: PostgresServer
    ready: dict[Made, list[Given]] = field(default_factory=lambda: {made: [] for made in Made})

    def take(self, made: Made) -> Given:
        """Return a database with what a test wants to find in it."""
        given = (self.ready[made] or self.ready[Made.NOTHING] or [self._new()]).pop()
        if given.made is not made:
            given.connection.autocommit = False
            make(given.connection.execute, Dialect.POSTGRESQL, made)
            given.connection.commit()
            given.connection.autocommit = True
            given.made, given.uses, given.state = made, 0, _state(given.connection)
        return given

    def give_back(self, given: Given) -> None:
        """Take back a database that a test is done with, as it was given out, or emptied, or not at all."""
        given.uses += 1
        if _is_left_alone(given.connection) and (_is_restored(given) or _is_emptied(given)):
            self.ready[given.made].append(given)
        else:
            given.connection.close()
            self.server.drop_database(given.name)

    def _new(self) -> Given:
        name = self.server.create_database()
        return Given(name, pyodbc.connect(self.server.connection_string(name), autocommit=True))


def _state(connection: Any) -> tuple[object, ...]:
    """Return what changes with anything that is made, changed or dropped, and with any sample row."""
    return tuple(tuple(row) for sql in (_STATE, _SAMPLES) for row in connection.execute(sql).fetchall())


def _is_left_alone(connection: Any) -> bool:
    """Return whether the database itself is as it was, once every other connection to it is ended."""
    try:
        connection.autocommit = True
        connection.execute("DISCARD ALL")
        if connection.execute(_ALTERED).fetchall():
            return False
        return all(is_gone for (is_gone,) in connection.execute(_END_OTHERS).fetchall())
    except pyodbc.Error:
        return False


def _is_restored(given: Given) -> bool:
    """Take the rows out of a database that was given out with tables. Return False where more than rows changed."""
    if given.made is Made.NOTHING or given.uses > _MOST_GIVEN_BACK:
        return False
    connection = given.connection
    try:
        catalogues = len(_CATALOGUES)
        state = _state(connection)
        if state[:catalogues] != given.state[:catalogues]:
            return False
        filled = {str(name) for (name,) in connection.execute(_FILLED).fetchall()}
        if state == given.state:
            filled.discard(f"{LIVE}_anon")
        if filled:
            connection.execute(f"TRUNCATE {', '.join(filled)} RESTART IDENTITY")
        if f"{LIVE}_anon" in filled:
            connection.execute(_samples())
        given.state = _state(connection)
    except pyodbc.Error:
        return False
    return True


def _samples() -> str:
    """Return the statement of the packaged script that puts the sample rows into an empty copy."""
    (sql,) = (sql for sql in ddl.statements(Dialect.POSTGRESQL, LIVE) if "INSERT INTO" in sql)
    return sql


def _is_emptied(given: Given) -> bool:
    """Take everything out of a database. Return False where it must be dropped instead."""
    if given.made is Made.NOTHING and given.uses > _MOST_EMPTIED:
        return False
    connection = given.connection
    try:
        for (schema,) in connection.execute(_OWN_SCHEMAS).fetchall():
            connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
        # As a new database has it (PostgreSQL 15).
        connection.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
        connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
    except pyodbc.Error:
        return False
    given.made = Made.NOTHING
    return True
