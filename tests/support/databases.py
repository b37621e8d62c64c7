"""Databases for the tests: each test has one of its own, reached by a connection that is not the product's."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pyodbc
import pytest

from api_pipeline.db.odbc import declared_text
from api_pipeline.sql import ddl
from api_pipeline.sql.binding import UNLIMITED, bind
from api_pipeline.sql.identifiers import Dialect
from tests.support.effort import IS_LONG
from tests.support.postgres import PostgresServer
from tests.support.prepared import LIVE, Made, Pool, make

SQLITE_DRIVER = "SQLite3"
EXTERNAL = "TEST_DB_CONNECTION_STRING"
# A kind more where the environment names a database of somebody's own.
EXTERNAL_KIND = ["external"] if os.environ.get(EXTERNAL) else []
# For a test of what the kind of database does not change: the embedded one, and in `scripts/test --long` each of them.
one_kind = pytest.mark.parametrize(
    "database", ["sqlite", *(["sqlite-odbc", "postgresql-odbc"] if IS_LONG else []), *EXTERNAL_KIND], indirect=True
)
# For a test of what goes over ODBC: a server's driver, and in `scripts/test --long` the embedded database's as well.
over_odbc = pytest.mark.parametrize(
    "database", [*(["sqlite-odbc"] if IS_LONG else []), "postgresql-odbc"], indirect=True
)
# For a test of what a table holds after a command, where others of its module are tried on the server: the embedded one
# and the strict one, and in `scripts/test --long` each of them.
no_server = pytest.mark.parametrize(
    "database",
    ["sqlite", *(["sqlite-odbc", "postgresql-odbc"] if IS_LONG else []), "strict", *EXTERNAL_KIND],
    indirect=True,
)
ANON = "ssd_api_data_staging_anon"

# No pool: a connection that a test closed must really be gone, or its database cannot be dropped.
pyodbc.pooling = False


@dataclass(frozen=True)
class TestDatabase:
    """A database. `connection_string` goes into DB_CONNECTION_STRING, `table` into TABLE_NAME.

    `made` is what was in it when the test got it. `schema` is set where the tables must live in a schema of the test's
    own, because the database itself is shared.
    """

    __test__: ClassVar[bool] = False

    name: str
    connection_string: str = field(repr=False)
    dialect: Dialect
    connection: Any = field(repr=False)
    schema: str | None = None
    made: Made = Made.NOTHING

    @property
    def table(self) -> str:
        """The live staging table, as TABLE_NAME."""
        return self.named(LIVE)

    @property
    def anon_table(self) -> str:
        """The anonymised copy, as TABLE_NAME."""
        return self.named(ANON)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that point the product at the live staging table of this database."""
        return {"DB_CONNECTION_STRING": self.connection_string, "TABLE_NAME": self.table}

    def named(self, table: str) -> str:
        """Return the name of a table of this test, with its schema where there is one."""
        return f"{self.schema}.{table}" if self.schema else table

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement; it is committed at once."""
        self._run(sql, parameters).close()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        cursor = self._run(sql, parameters)
        try:
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def records(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Return all rows of a query, each with its values by column, whose names are in lower case."""
        cursor = self._run(sql, parameters)
        try:
            names = [str(column[0]).lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns in lower case, in their order."""
        cursor = self._run(f"SELECT * FROM {table} WHERE 1 = 0", ())
        try:
            return [str(column[0]).lower() for column in cursor.description]
        finally:
            cursor.close()

    def count(self, table: str, where: str = "1 = 1") -> int:
        """Return the number of rows, all or those that a condition holds for."""
        return int(self.rows(f"SELECT COUNT(*) FROM {table} WHERE {where}")[0][0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is executed inside it one transaction, as another program at work on the table would."""
        if isinstance(self.connection, sqlite3.Connection):
            self.connection.execute("BEGIN IMMEDIATE")
        else:
            self.connection.autocommit = False
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        else:
            self.connection.commit()
        finally:
            if not isinstance(self.connection, sqlite3.Connection):
                self.connection.autocommit = True

    def deploy(self, table: str | None = None) -> TestDatabase:
        """Make the tables with the packaged script; return the database itself."""
        with self.transaction():
            ddl.apply(self.execute, self.dialect, table or self.table)
        return self

    def _run(self, sql: str, parameters: Sequence[object]) -> Any:
        cursor = self.connection.cursor()
        if self.dialect is Dialect.SQLSERVER and parameters:
            # For a null its driver asks the server for a type, and an error on that question undoes the transaction.
            bound = bind(sql, parameters, self.dialect)
            sql, parameters = bound.sql, bound.values
            text = declared_text(str(self.connection.getinfo(pyodbc.SQL_DRIVER_NAME)), UNLIMITED)
            cursor.setinputsizes([text if is_long else None for is_long in bound.unlimited])
        return cursor.execute(sql, tuple(parameters)) if parameters else cursor.execute(sql)


def missing(reason: str) -> NoReturn:
    """Skip the test, or fails it where REQUIRE_ALL=1 says that everything must be there."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


@contextmanager
def sqlite_database(folder: Path, made: Made = Made.NOTHING) -> Iterator[TestDatabase]:
    """Yield a new database file, which the product opens with Python's own sqlite3."""
    path = folder / "staging.db"
    with _own_sqlite(path, made) as connection:
        yield TestDatabase("sqlite", f"sqlite:///{path}", Dialect.SQLITE, connection, made=made)


@contextmanager
def sqlite_odbc_database(folder: Path) -> Iterator[TestDatabase]:
    """Yield a new database file, which the product opens through the SQLite ODBC driver."""
    if SQLITE_DRIVER not in pyodbc.drivers():
        missing(f"the ODBC driver {SQLITE_DRIVER} is not installed")
    path = folder / "staging-odbc.db"
    with _own_sqlite(path) as connection:
        text = f"DRIVER={{{SQLITE_DRIVER}}};Database={path};Timeout=30000"
        yield TestDatabase("sqlite-odbc", text, Dialect.SQLITE, connection)


@contextmanager
def postgresql_database(server: PostgresServer, made: Made = Made.NOTHING) -> Iterator[TestDatabase]:
    """Yield a database on the tests' own server: a new one, or one that an earlier test left and is as new."""
    pool = _POOLS.setdefault(server, Pool(server))
    given = pool.take(made)
    text = server.connection_string(given.name)
    try:
        yield TestDatabase("postgresql-odbc", text, Dialect.POSTGRESQL, given.connection, made=made)
    finally:
        pool.give_back(given)


# What each server has ready: a new database costs a quarter of a second, and the tables of the package an eighth.
_POOLS: dict[PostgresServer, Pool] = {}


@contextmanager
def external_database(connection_string: str) -> Iterator[TestDatabase]:
    """Yield a new schema in the database that TEST_DB_CONNECTION_STRING names, and remove it afterwards."""
    connection = pyodbc.connect(connection_string, autocommit=True)
    dialect = _dialect_of(connection)
    schema = None if dialect is Dialect.SQLITE else f"d2i_test_{secrets.token_hex(6)}"
    database = TestDatabase("external", connection_string, dialect, connection, schema)
    if schema:
        database.execute(f"CREATE SCHEMA {schema}")
    others = set(_tables(database))
    try:
        yield database
    finally:
        _remove_tables(database, others)
        connection.close()


def _dialect_of(connection: pyodbc.Connection) -> Dialect:
    product = str(connection.getinfo(pyodbc.SQL_DBMS_NAME)).lower()
    known = {"sql server": Dialect.SQLSERVER, "postgres": Dialect.POSTGRESQL, "sqlite": Dialect.SQLITE}
    return next(dialect for word, dialect in known.items() if word in product)


def _tables(database: TestDatabase) -> list[str]:
    """Return the tables of the test's schema; on SQLite, which has none, those of the whole file."""
    if database.schema:
        sql = "SELECT table_name FROM INFORMATION_SCHEMA.TABLES WHERE table_schema = ? AND table_type = 'BASE TABLE'"
        return [str(row[0]) for row in database.rows(sql, [database.schema])]
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return [str(row[0]) for row in database.rows(sql)]


def _remove_tables(database: TestDatabase, others: set[str]) -> None:
    """Take away what the test made, and nothing that was there before it."""
    if database.schema:
        sql = "SELECT table_name FROM INFORMATION_SCHEMA.VIEWS WHERE table_schema = ?"
        for row in database.rows(sql, [database.schema]):
            database.execute(f"DROP VIEW {database.named(_quoted(database, str(row[0])))}")
    for name in _tables(database):
        if name not in others:
            database.execute(f"DROP TABLE {database.named(_quoted(database, name))}")
    if database.schema:
        # What else tests put there (PostgreSQL alone lets it be told in one word): the functions of their triggers.
        rest = " CASCADE" if database.dialect is Dialect.POSTGRESQL else ""
        database.execute(f"DROP SCHEMA {database.schema}{rest}")


def _quoted(database: TestDatabase, name: str) -> str:
    return f"[{name}]" if database.dialect is Dialect.SQLSERVER else f'"{name}"'


@contextmanager
def _own_sqlite(path: Path, made: Made = Made.NOTHING) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        if made is not Made.NOTHING:
            _prepared_sqlite(made).backup(connection)
        connection.execute("PRAGMA synchronous = OFF")
        # The file must be there before the product opens it: an empty one is no bytes long otherwise.
        connection.execute("PRAGMA user_version = 1")
        yield connection
    finally:
        connection.close()


@cache
def _prepared_sqlite(made: Made) -> sqlite3.Connection:
    """Return a database in memory with tables in it: a copy is faster than the scripts that make them."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    make(connection.execute, Dialect.SQLITE, made)
    return connection


def as_moment(value: object) -> datetime | None:
    """Return a timestamp as the database returned it (datetime, or SQLite's text) without a zone; None for null."""
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, date):
        raise TypeError("a timestamp column gave a date without time")
    return datetime.fromisoformat(str(value))
