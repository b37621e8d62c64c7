"""Open a connection: an ODBC connection string, or a file for Python's own sqlite3."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from api_pipeline.common.paths import is_folder, is_there
from api_pipeline.db.connection import Connection, EmbeddedConnection, translated
from api_pipeline.db.odbc import MOST_PREPARED, UTF_16, OdbcConnection
from api_pipeline.db.pooler import WITHOUT_PREPARED_STATEMENTS, is_behind_pooler
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.connection_string import (
    embedded_path,
    is_embedded,
    names_driver_of,
    with_options,
    with_program,
)
from api_pipeline.sql.driver_errors import ConnectionLost
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.native import odbc
from api_pipeline.sql.statements import load

if TYPE_CHECKING:
    import pyodbc

_PROGRAM: ContextVar[str] = ContextVar("program", default="d2i-csc-api")
_BUSY_WAIT_S = 30
_FORGOTTEN_WITHIN_S = 5
_LONGEST_TEXT = 2**30
_READ_IN_ONE_CALL = 65536
# What a session begins with. Without a lock timeout a statement waits for ever where somebody left a transaction open.
# The last of a database's statements makes the mark by which a transaction is known again.
_OPENING = {
    Dialect.SQLSERVER: ("row_counts_sqlserver", "lock_timeout_sqlserver", "transaction_mark_sqlserver"),
    Dialect.POSTGRESQL: ("session_settings_postgresql",),
    Dialect.SQLITE: ("busy_wait_sqlite", "transaction_mark_sqlite"),
}
# What drivers get beside the council's connection string. That of PostgreSQL sets and takes back a savepoint around
# each statement of a transaction, unless this says that an error ends the transaction, as it does elsewhere. That of
# SQLite waits 100 seconds for what another program has locked, until SQLite itself gets a time to wait.
_OPTIONS = {Dialect.POSTGRESQL: "Protocol=7.4-0", Dialect.SQLITE: "Timeout=1"}
_WORDS_OF_DRIVERS = {Dialect.POSTGRESQL: "postgres", Dialect.SQLITE: "sqlite"}
# What the ANSI driver of PostgreSQL calls itself on Linux and on Windows; that for Unicode ends in w.
_ANSI_DRIVER = r"(?i)^psqlodbc\d*a\b"
# The driver of PostgreSQL takes the program's locale from this variable, if it is there. Where that is UTF-8, it gives
# texts as the server sends them.
_LOCALE_OF_DRIVER = "PGCLIENTENCODING"
# A letter of two bytes and one of three: no other encoding takes these five for two letters.
_SAMPLE = "\u00e9\u20ac"
_SAMPLE_TO_READ = "\u00e9"
# Behind a pooler nothing is set for a session, which other programs use between two transactions.
_EACH_TRANSACTION_OF_A_POOL = ("transaction_level_postgresql", "transaction_lock_timeout_postgresql")


@contextmanager
def working_as(program: str) -> Iterator[None]:
    """Name the program so to the databases that are opened meanwhile: letters, digits, blanks, - and / alone."""
    before = _PROGRAM.set(program)
    try:
        yield
    finally:
        _PROGRAM.reset(before)


def connect(
    connection_string: str,
    *,
    create: bool = False,
    timeout_s: int = 15,
    busy_wait_s: float = _BUSY_WAIT_S,
    maker: str = "d2i-csc-api deploy-schema --apply",
) -> Connection:
    """Open an ODBC connection string, or `sqlite:///PATH` (which must exist unless `create`).

    `busy_wait_s` is how long one statement waits, in seconds, for what another program has locked; `maker` is the
    command that makes a file that is missing.

    Errors: DatabaseError with a sentence that says what failed and what to look at; never the password.
    """
    if is_embedded(connection_string):
        return _connect_sqlite(Path(embedded_path(connection_string)), busy_wait_s, create=create, maker=maker)
    return _connect_odbc(connection_string, timeout_s, busy_wait_s)


def _connect_sqlite(path: Path, busy_wait_s: float, *, create: bool, maker: str) -> Connection:
    if is_folder(path):
        raise DatabaseError(f"DB_CONNECTION_STRING names {path}, which is a folder; expected the path of a file in it.")
    if not is_folder(path.absolute().parent) and not is_there(path):
        raise DatabaseError(
            f"The folder of the database file {path} does not exist; correct DB_CONNECTION_STRING, or make the folder."
        )
    if not create and not is_there(path):
        raise DatabaseError(
            f"The database file {path} does not exist; correct DB_CONNECTION_STRING, or make it with: {maker}"
        )

    def opener() -> sqlite3.Connection:
        with translated():
            raw = sqlite3.connect(
                path,
                timeout=busy_wait_s,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=MOST_PREPARED,
            )
            raw.execute("SELECT 1 FROM sqlite_master WHERE 1 = 0")
            return raw

    return EmbeddedConnection(opener)


def _connect_odbc(connection_string: str, timeout_s: int, busy_wait_s: float) -> Connection:
    api = odbc()
    named = with_program(connection_string, _PROGRAM.get())
    # A pool would hand a connection that ended, with the run lock on it, to the next one that is opened.
    api.pooling = False
    guess = next((dialect for dialect, word in _WORDS_OF_DRIVERS.items() if names_driver_of(named, word)), None)
    if guess is Dialect.POSTGRESQL:
        os.environ.setdefault(_LOCALE_OF_DRIVER, "UTF8")
    raw = _open_odbc(_told(named, guess), timeout_s)
    product = str(raw.getinfo(api.SQL_DBMS_NAME)).lower()
    driver = str(raw.getinfo(api.SQL_DRIVER_NAME))
    dialect = _dialect_of(product)
    _check_unicode(driver)
    # SQLite's driver has a statement wait twice: once to prepare it, and once to run it.
    opening = _statements(_OPENING.get(dialect, ()), busy_wait_s / 2 if dialect is Dialect.SQLITE else busy_wait_s)
    each_transaction: tuple[str, ...] = ()
    named = _told(named, dialect)
    if dialect in _OPTIONS and guess is not dialect:
        raw = _open_instead(raw, named, timeout_s)
    if dialect is Dialect.POSTGRESQL and is_behind_pooler(raw, connection_string, lambda: _open_odbc(named, timeout_s)):
        opening, each_transaction = (), _statements(_EACH_TRANSACTION_OF_A_POOL, busy_wait_s)
        named = with_options(named, WITHOUT_PREPARED_STATEMENTS)
        raw = _open_instead(raw, named, timeout_s)
    first = [raw]

    def opener() -> pyodbc.Connection:
        opened = first.pop() if first else _open_odbc(named, timeout_s)
        _set_texts(opened, dialect)
        with translated():
            for sql in opening:
                opened.execute(sql).close()
        return opened

    return OdbcConnection(opener, dialect, driver, each_transaction)


def _set_texts(raw: pyodbc.Connection, dialect: Dialect) -> None:
    """Set how texts go over a connection."""
    if hasattr(raw, "readvar_initsize"):
        # What is longer takes two calls, in each of which PostgreSQL's driver walks through the whole text: 39
        # microseconds for 6.5 KB instead of 20. pyodbc before 5.4 always asks for the first 4096 bytes.
        raw.readvar_initsize = _READ_IN_ONE_CALL
    if dialect is Dialect.POSTGRESQL:
        # Its driver says that a text has 255 characters at most, and longer ones would be handed over in pieces.
        raw.maxwrite = _LONGEST_TEXT
        _pass_utf8(raw)


def _pass_utf8(raw: pyodbc.Connection) -> None:
    """Read and pass texts as UTF-8 where PostgreSQL's driver takes them so, which a sample shows.

    Otherwise Python and the driver turn each text into UTF-16 and back: 45 microseconds for 6.5 KB that are read
    instead of 21, and 26 for 6.5 KB that are passed instead of 10.
    """
    api = odbc()
    raw.setdecoding(api.SQL_WCHAR, encoding="utf-8", ctype=api.SQL_CHAR)
    raw.setencoding("utf-8", ctype=api.SQL_CHAR)
    if _gives(raw, _SAMPLE, "utf8_passed_postgresql", _SAMPLE):
        return
    raw.setencoding(UTF_16, ctype=api.SQL_WCHAR)
    if not _gives(raw, _SAMPLE_TO_READ, "utf8_read_postgresql"):
        raw.setdecoding(api.SQL_WCHAR, encoding=UTF_16, ctype=api.SQL_WCHAR)


def _gives(raw: pyodbc.Connection, expected: str, statement: str, *parameters: str) -> bool:
    """Return whether a statement gives a text; in a transaction, since each of its parts would be one by itself."""
    error = odbc().Error
    try:
        raw.autocommit = False
        return bool(raw.execute(load()[statement].sql, *parameters).fetchval() == expected)
    except (error, UnicodeDecodeError):
        return False
    finally:
        # Where the connection is gone, the next statement says so.
        with suppress(error):
            raw.rollback()
            raw.autocommit = True


def _check_unicode(driver: str) -> None:
    if re.search(_ANSI_DRIVER, driver):
        raise DatabaseError(
            "The ODBC driver PostgreSQL ANSI takes no text in Unicode, which the program sends; write "
            "Driver={PostgreSQL Unicode} in DB_CONNECTION_STRING, or {PostgreSQL Unicode(x64)} on Windows."
        )


def _told(connection_string: str, dialect: Dialect | None) -> str:
    """Return the connection string with what the driver of this database gets; None where that is not known."""
    return connection_string if dialect not in _OPTIONS else with_options(connection_string, _OPTIONS[dialect])


def _statements(names: Sequence[str], busy_wait_s: float) -> tuple[str, ...]:
    values = {"milliseconds": round(busy_wait_s * 1000), "program": _PROGRAM.get()}
    return tuple(load()[name].sql.format(**values) for name in names)


def _open_odbc(connection_string: str, timeout_s: int) -> pyodbc.Connection:
    api = odbc()
    try:
        return api.connect(connection_string, autocommit=True, timeout=timeout_s)
    except api.Error as error:
        from api_pipeline.sql.odbc_errors import explain_connection_error

        raise ConnectionLost(explain_connection_error(error, connection_string)) from None


def _open_instead(raw: pyodbc.Connection, connection_string: str, timeout_s: int) -> pyodbc.Connection:
    """Open a connection in place of one that is closed, which a server that allows one alone forgets a moment later."""
    from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

    raw.close()
    again = retry(
        retry=retry_if_exception_type(ConnectionLost),
        stop=stop_after_delay(_FORGOTTEN_WITHIN_S),
        wait=wait_fixed(0.1),
        reraise=True,
    )
    return again(_open_odbc)(connection_string, timeout_s)


def _dialect_of(product: str) -> Dialect:
    if "sqlite" in product:
        return Dialect.SQLITE
    if "postgres" in product:
        return Dialect.POSTGRESQL
    if "sql server" in product:
        return Dialect.SQLSERVER
    raise DatabaseError(f"The database is {product}, which is not supported: use SQL Server, PostgreSQL or SQLite.")
