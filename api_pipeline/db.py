"""Connections to the council's database: ODBC through pyodbc, the embedded one through Python's own sqlite3.

Both look alike from outside (`Connection`): `?` parameters, rows as tuples, no transaction open unless one was asked
for. A fault becomes a `DatabaseError` whose sentence never quotes a value of a row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from api_pipeline.errors import DatabaseError
from api_pipeline.sql.connection_string import embedded_path, is_embedded
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.paths import is_folder, is_there
from api_pipeline.sql.statements import load, placeholders

if TYPE_CHECKING:
    import pyodbc

Row: TypeAlias = "tuple[Any, ...]"
Parameters: TypeAlias = "Sequence[object]"

_BUSY_WAIT_S = 30
_LONGEST_TEXT = 2**30
_SQLSTATE = re.compile(r"^\w{5}$")
_LOST_STATES = ("08", "57P", "HYT", "01002")
_LOST_NATIVE = re.compile(
    r"server closed the connection|connection .*(lost|broken|closed|reset)|closed connection|Communication link", re.I
)
_LOST = "The connection to the database was lost (SQLSTATE {state}); check that the server is up, then run again."

# What differs between the databases beyond DDL and the run lock, and `rows_as_table`: the end of a page, and how a row
# is kept still while its version is compared. SQLite needs no row lock: its transaction is opened for writing.
_DIFFERENCES = {
    Dialect.SQLSERVER: {
        "page": "OFFSET 0 ROWS FETCH NEXT {size} ROWS ONLY",
        "lock_rows": "WITH (UPDLOCK, ROWLOCK)",
        "locked": "",
    },
    Dialect.POSTGRESQL: {
        "page": "OFFSET 0 ROWS FETCH NEXT {size} ROWS ONLY",
        "lock_rows": "",
        "locked": "FOR UPDATE",
    },
    Dialect.SQLITE: {"page": "LIMIT {size}", "lock_rows": "", "locked": ""},
}
# What a session begins with. Without it a statement waits for ever where somebody left a transaction open.
_OPENING = {
    Dialect.SQLSERVER: ("lock_timeout_sqlserver",),
    Dialect.POSTGRESQL: ("notice_lost_client_postgresql", "lock_timeout_postgresql"),
}
# PostgreSQL takes a parameter in VALUES for text unless the first row says otherwise.
_TYPED = {(Dialect.POSTGRESQL, int): "CAST(? AS BIGINT)", (Dialect.POSTGRESQL, datetime): "CAST(? AS TIMESTAMP)"}


class ConnectionLost(DatabaseError):
    """The database went away; a new connection may still reach it."""


class DatabaseBusy(DatabaseError):
    """Somebody else holds what was needed (a lock, a deadlock's victim); the same may work a moment later."""


class KeyTaken(DatabaseError):
    """A row of this key is there already."""


class Connection:
    """One open connection. `dialect` says which database it is; `is_microsoft` whether Microsoft's driver is in use."""

    def __init__(
        self, opener: Callable[[], sqlite3.Connection | pyodbc.Connection], dialect: Dialect, driver: str
    ) -> None:
        self._opener = opener
        self._raw: Any = opener()
        self.dialect = dialect
        self.driver = driver
        self.is_microsoft = "msodbcsql" in driver.lower()

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a statement; no transaction stays open behind it. Errors: DatabaseError."""
        with _translated(self._is_gone):
            cursor = self._raw.cursor()
            try:
                cursor.execute(sql, self._bound(parameters))
                return [tuple(row) for row in cursor.fetchall()]
            finally:
                cursor.close()

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement and return the number of rows it touched (-1 where the driver does not say)."""
        with _translated(self._is_gone):
            cursor = self._raw.cursor()
            try:
                cursor.execute(sql, self._bound(parameters))
                return int(cursor.rowcount)
            finally:
                cursor.close()

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> None:
        """Run one statement for each row of parameters, as one array where the driver takes arrays."""
        if not rows:
            return
        with _translated(self._is_gone):
            cursor = self._raw.cursor()
            try:
                if self.is_microsoft:
                    cursor.fast_executemany = True
                    cursor.setinputsizes(_input_sizes(rows[0]))
                cursor.executemany(sql, [self._bound(row) for row in rows])
            finally:
                cursor.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what happens inside it one transaction: all of it is kept, or, after an exception, none of it."""
        self._begin()
        try:
            yield
        except BaseException:
            self._end(commit=False)
            raise
        self._end(commit=True)

    def page(self, size: int) -> dict[str, str]:
        """Return the pieces of SQL in which this database differs, for a page of `size` rows."""
        return dialect_pieces(self.dialect, size)

    def reopen(self) -> None:
        """Open the same database anew after the connection was lost. Errors: DatabaseError."""
        self.close()
        self._raw = self._opener()

    def close(self) -> None:
        """Close the connection; a connection that is gone already is no error."""
        try:
            self._raw.close()
        except Exception as error:  # a driver may raise anything on a dead connection
            if not _is_driver_error(error):
                raise

    def _is_gone(self) -> bool:
        """Whether the connection is lost, for an error that does not say so: asked anything, a dead one says it."""
        try:
            self._raw.execute(load()["probe"].sql).close()
        except Exception as error:
            if not _is_driver_error(error):
                raise
            return isinstance(_as_database_error(error), ConnectionLost)
        return False

    def _bound(self, parameters: Parameters) -> Parameters:
        if self.dialect is not Dialect.SQLITE:
            return parameters
        return [value.isoformat(" ", "milliseconds") if isinstance(value, datetime) else value for value in parameters]

    def _begin(self) -> None:
        with _translated(self._is_gone):
            if self.dialect is Dialect.SQLITE:
                # A transaction that reads first and writes later can be caught between two writers; this one cannot.
                self._raw.execute("BEGIN IMMEDIATE").close()
            else:
                self._raw.autocommit = False

    def _end(self, *, commit: bool) -> None:
        try:
            with _translated(self._is_gone):
                if self.dialect is Dialect.SQLITE:
                    self._raw.execute("COMMIT" if commit else "ROLLBACK").close()
                    return
                self._raw.commit() if commit else self._raw.rollback()
                self._raw.autocommit = True
                if commit and self.dialect is Dialect.POSTGRESQL:
                    # Its driver may call a commit done that died with the connection; an answer to what follows it
                    # proves that the server had it.
                    self._raw.execute(load()["probe"].sql).close()
        except DatabaseError:
            if commit:
                self._abandon()
                raise

    def _abandon(self) -> None:
        """End a transaction that could not be committed, so that the next one does not begin inside it."""
        with suppress(DatabaseError), _translated():
            self._raw.rollback()
            if self.dialect is not Dialect.SQLITE:
                self._raw.autocommit = True


def dialect_pieces(dialect: Dialect, size: int) -> dict[str, str]:
    """Return the pieces of SQL in which a database differs, by name in `queries.sql`; a page has `size` rows."""
    pieces = _DIFFERENCES[dialect]
    return {**pieces, "page": pieces["page"].format(size=size)}


def rows_as_table(dialect: Dialect, types: Sequence[type], count: int) -> str:
    """Return the SQL of a table `given` of `count` rows of parameters; `types` are int, str or datetime.

    Its columns are `column1`, `column2` and so on: what two of the three databases call them by themselves. VALUES is
    one part of a statement however many rows it has; as SELECTs joined by UNION ALL, a hundred rows take PostgreSQL
    ten times as long to plan.
    """
    first = ", ".join(_TYPED.get((dialect, kind), "?") for kind in types)
    others = f", ({placeholders(len(types))})" * (count - 1)
    names = ""
    if dialect is Dialect.SQLSERVER:
        names = f" ({', '.join(f'column{number}' for number in range(1, len(types) + 1))})"
    return f"(VALUES ({first}){others}) AS given{names}"


def connect(
    connection_string: str, *, create: bool = False, timeout_s: int = 15, busy_wait_s: float = _BUSY_WAIT_S
) -> Connection:
    """Open an ODBC connection string, or `sqlite:///PATH` (which must exist unless `create`).

    `busy_wait_s` is how long one statement waits, in seconds, for what another program has locked.

    Errors: DatabaseError with a sentence that says what failed and what to look at; never the password.
    """
    if is_embedded(connection_string):
        return _connect_sqlite(Path(embedded_path(connection_string)), busy_wait_s, create=create)
    return _connect_odbc(connection_string, timeout_s, busy_wait_s)


def _connect_sqlite(path: Path, busy_wait_s: float, *, create: bool) -> Connection:
    if is_folder(path):
        raise DatabaseError(f"DB_CONNECTION_STRING names {path}, which is a folder; expected the path of a file in it.")
    if not create and not is_there(path):
        raise DatabaseError(
            f"The database file {path} does not exist; correct DB_CONNECTION_STRING, "
            "or make it with: d2i-csc-api deploy-schema --apply"
        )

    def opener() -> sqlite3.Connection:
        with _translated():
            raw = sqlite3.connect(path, timeout=busy_wait_s, isolation_level=None, check_same_thread=False)
            raw.execute("SELECT 1 FROM sqlite_master WHERE 1 = 0")
            return raw

    return Connection(opener, Dialect.SQLITE, "sqlite3")


def _connect_odbc(connection_string: str, timeout_s: int, busy_wait_s: float) -> Connection:
    import pyodbc

    # A pool would hand a connection that ended, with the run lock on it, to the next one that is opened.
    pyodbc.pooling = False
    raw = _open_odbc(connection_string, timeout_s)
    product = str(raw.getinfo(pyodbc.SQL_DBMS_NAME)).lower()
    driver = str(raw.getinfo(pyodbc.SQL_DRIVER_NAME))
    dialect = _dialect_of(product)
    first = [raw]

    def opener() -> pyodbc.Connection:
        opened = first.pop() if first else _open_odbc(connection_string, timeout_s)
        if dialect is Dialect.POSTGRESQL:
            # Its driver says that a text has 255 characters at most, and longer ones would be handed over in pieces.
            opened.maxwrite = _LONGEST_TEXT
        with _translated():
            for name in _OPENING.get(dialect, ()):
                opened.execute(load()[name].sql.format(milliseconds=round(busy_wait_s * 1000))).close()
        return opened

    return Connection(opener, dialect, driver)


def _open_odbc(connection_string: str, timeout_s: int) -> pyodbc.Connection:
    import pyodbc

    try:
        return pyodbc.connect(connection_string, autocommit=True, timeout=timeout_s)
    except pyodbc.Error as error:
        from api_pipeline.sql.odbc_errors import explain_connection_fault

        raise ConnectionLost(explain_connection_fault(error, connection_string)) from None


def _dialect_of(product: str) -> Dialect:
    if "sqlite" in product:
        return Dialect.SQLITE
    if "postgres" in product:
        return Dialect.POSTGRESQL
    if "sql server" in product:
        return Dialect.SQLSERVER
    raise DatabaseError(f"The database is {product}, which is not supported: use SQL Server, PostgreSQL or SQLite.")


def _input_sizes(row: Parameters) -> list[object]:
    import pyodbc

    # Without this, fast_executemany sizes its buffers by the first row and fails on a longer text in a later one.
    # A null is left to the driver, which asks the server: a binary column takes no null that is declared as text.
    return [(pyodbc.SQL_WVARCHAR, 0, 0) if isinstance(value, str) else None for value in row]


@contextmanager
def _translated(is_gone: Callable[[], bool] = lambda: False) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not _is_driver_error(error):
            raise
        translated = _as_database_error(error)
        if type(translated) is DatabaseError and is_gone():
            translated = ConnectionLost(_LOST.format(state=error.args[0]))
        raise translated from None


def _is_driver_error(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) or type(error).__module__ == "pyodbc"


def _as_database_error(error: Exception) -> DatabaseError:
    """Turn a driver's error into ours, by its SQLSTATE alone: the driver's text may quote a row's values."""
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(error)
    state = str(error.args[0]) if error.args else ""
    text = str(error.args[-1]) if error.args else ""
    if not _SQLSTATE.match(state):
        state = "HY000"
    if _BUSY.search(text) or state in ("40001", "40P01", "55P03"):
        return DatabaseBusy(f"The database is busy (SQLSTATE {state}); try again when other work on it has ended.")
    if state.startswith(_LOST_STATES) or _LOST_NATIVE.search(text):
        return ConnectionLost(_LOST.format(state=state))
    if state.startswith("23") or _TAKEN.search(text):
        return KeyTaken(_sentence(state, text))
    return DatabaseError(_sentence(state, text))


_BUSY = re.compile(r"database is locked|Lock request time ?out|\(1222\)", re.I)
_TAKEN = re.compile(r"UNIQUE constraint failed", re.I)
_MISSING_TABLE = re.compile(r'no such table|relation "[^"]*" does not exist|Invalid object name', re.I)
_MISSING_COLUMN = re.compile(r"no such column|column .* does not exist|Invalid column name", re.I)
_DENIED = re.compile(r"permission denied|permission was denied|readonly database", re.I)


def _sentence(state: str, text: str) -> str:
    if state in ("42S02", "42P01") or _MISSING_TABLE.search(text):
        return (
            f"A table does not exist in this database (SQLSTATE {state}); check TABLE_NAME, or make the tables with: "
            "d2i-csc-api deploy-schema"
        )
    if state in ("42S22", "42703") or _MISSING_COLUMN.search(text):
        return f"A column is missing from a table (SQLSTATE {state}); see which with: d2i-csc-api test-schema"
    if state == "42501" or _DENIED.search(text):
        return (
            f"The login may not do this in the database (SQLSTATE {state}); "
            "ask the database administrator for the grants that deploy-schema prints."
        )
    return f"The database refused a statement (SQLSTATE {state}); run d2i-csc-api test-schema to see what is wrong."


def _from_sqlite(error: sqlite3.Error) -> DatabaseError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return DatabaseBusy("The database file is busy; try again when other work on it has ended.")
    if "unable to open" in text or "disk I/O" in text or "closed database" in text:
        return ConnectionLost("The database file cannot be opened; check that its folder exists and may be written to.")
    if isinstance(error, sqlite3.IntegrityError):
        return KeyTaken(_sentence("HY000", text))
    if "not a database" in text:
        return DatabaseError("The file that DB_CONNECTION_STRING names is not a SQLite database; correct the path.")
    return DatabaseError(_sentence("HY000", text))
