"""One open connection, and the one way to run a statement on it: `Connection`, and what it is with Python's sqlite3.

`odbc` has what it is behind ODBC.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from api_pipeline.db.many_rows import put_together
from api_pipeline.db.pieces import dialect_pieces
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.binding import bind
from api_pipeline.sql.driver_errors import (
    ConnectionLost,
    DatabaseBusy,
    RowsMissed,
    StatementFailed,
    TransactionLost,
    as_database_error,
    connection_lost,
    is_driver_error,
)
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import NamedSql, load

if TYPE_CHECKING:
    import sqlite3

Parameters: TypeAlias = "Sequence[object]"
Row: TypeAlias = "tuple[Any, ...]"
_Result = TypeVar("_Result")

# What errors call the beginning and the end of a transaction.
BEGIN, _COMMIT = (NamedSql("", name) for name in ("BEGIN", "COMMIT"))
_BRIEFLY_MS = 500


@contextmanager
def translated(
    is_gone: Callable[[], bool] = lambda: False, sql: str = "", *, has_values: bool = True
) -> Iterator[None]:
    """Turn a driver's error on the statement `sql` into ours; `is_gone` says whether the connection is lost."""
    try:
        yield
    except Exception as error:
        if not is_driver_error(error):
            raise
        ours = as_database_error(error, sql, has_values=has_values)
        if type(ours) in (DatabaseError, StatementFailed) and is_gone():
            ours = connection_lost(error, sql)
        raise ours from None


class Connection(ABC):
    """One open connection. `dialect` says which database it is.

    With `is_pooled` a pooler gives the server's session to other programs between two transactions: nothing may be set
    for the session then, and no statement is run outside a transaction. `guard` is called before each transaction and
    each change outside one, and raises an error where there may be none any more. `openings` counts how often the
    connection was opened.
    """

    is_pooled = False

    def __init__(self, opener: Callable[[], Any], dialect: Dialect, driver: str) -> None:
        self._opener = opener
        self._raw = opener()
        self._is_in_transaction = False
        self.dialect = dialect
        self.driver = driver
        self.guard: Callable[[], None] | None = None
        self.openings = 1

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a statement's first result set; later results are read for their errors alone.

        No transaction stays open behind it. Errors: DatabaseError.
        """
        rows, _ = self._run(sql, parameters)
        return rows

    def describe(self, sql: str) -> list[tuple[str, type, int, bool]]:
        """Return the columns of a statement's result: name, Python type, length and whether it may be null.

        Python's own sqlite3 knows the names alone, and says str for every type. Errors: DatabaseError.
        """
        with translated(self._is_gone, sql, has_values=False):
            cursor = self._raw.cursor()
            try:
                cursor.execute(str(sql))
                found = [(str(c[0]), c[1] or str, int(c[3] or 0), c[6] is not False) for c in cursor.description or ()]
                drained(cursor)
                return found
            finally:
                cursor.close()

    def execute(self, sql: str, parameters: Parameters = (), *, expected: int | None = None) -> int:
        """Run one statement and return the number of rows it touched (-1 where the database does not say).

        Errors: DatabaseError; RowsMissed where the number is known and not `expected`.
        """
        self._check_change()
        _, count = self._run(sql, parameters)
        if expected is not None and count not in (expected, -1):
            raise RowsMissed(
                f"The statement {getattr(sql, 'name', 'of the program')} was to change {expected} rows and changed "
                f"{count}; a trigger, a view or row-level security keeps the rows from being written, or somebody "
                "else changes them: ask the database administrator."
            )
        return count

    def execute_many(self, sql: str, rows: Sequence[Parameters]) -> int:
        """Do for each row of parameters, in order, what a statement does; return the rows touched, or -1 as `execute`.

        The rows of an INSERT go together, as many in one statement as it takes (`db.many_rows`). Of any other statement
        each row is a round trip: for many rows write it FROM a table of parameters (`?rows`).
        """
        self._check_change()
        total = 0
        for text, values in put_together(sql, rows):
            count = self._run(text, values)[1]
            total = -1 if -1 in (total, count) else total + count
        return total

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what happens inside it one transaction: all of it is kept, or, after an exception, none of it.

        Errors: DatabaseError; TransactionLost where the database undid it by itself.
        """
        self._check_guard()
        self._begin()
        try:
            yield
        except BaseException:
            self._abandon()
            raise
        try:
            self.check_transaction()
            self._is_in_transaction = False
            with translated(self._is_gone, _COMMIT):
                self._commit()
        except DatabaseError:
            self._abandon()
            raise

    def read_together(self, reads: Callable[[], _Result]) -> _Result:
        """Return what `reads` returns. Its statements run in one transaction; they read, or may be done twice.

        One transaction is cheaper: PostgreSQL's driver takes three for each statement with parameters. If the database
        refuses one of the statements, even one whose error `reads` expects, they run again without a common
        transaction. On SQLite they always do, because a transaction there keeps others from writing. Errors: those of
        `reads`, DatabaseError.
        """
        if self.dialect is Dialect.SQLITE or self.is_pooled or self._is_in_transaction:
            return reads()
        try:
            with self.transaction():
                return reads()
        except TransactionLost:
            # So does SQL Server under XACT_ABORT with an error that `reads` expects.
            return reads()
        except (ConnectionLost, DatabaseBusy):
            raise
        except DatabaseError:
            return reads()

    @abstractmethod
    def check_transaction(self) -> None:
        """Check that the open transaction is the one that was begun. Errors: TransactionLost, DatabaseError."""

    def page(self, size: int) -> dict[str, str]:
        """Return the pieces of SQL in which this database differs, for a page of `size` rows."""
        return dialect_pieces(self.dialect, size)

    def reopen(self) -> None:
        """Open the same database anew after the connection was lost. Errors: DatabaseError."""
        self.close()
        self._raw = self._opener()
        self.openings += 1

    @abstractmethod
    def another(self) -> Connection:
        """Return a second connection to the same database. Errors: DatabaseError."""

    def wait_briefly(self) -> None:
        """Let no statement wait longer than a moment for a file that another program has locked (SQLite alone).

        Errors: DatabaseError.
        """
        if self.dialect is Dialect.SQLITE:
            self.query(load()["busy_wait_sqlite"].sql.format(milliseconds=_BRIEFLY_MS))

    def close(self) -> None:
        """Close the connection; a connection that is gone already is not an error."""
        self._is_in_transaction = False
        with suppress(DatabaseError), translated():
            self._raw.close()

    def _check_guard(self) -> None:
        if self.guard is not None:
            self.guard()

    def _check_change(self) -> None:
        # Behind a pooler each change has a transaction, which checks it.
        if not (self._is_in_transaction or self.is_pooled):
            self._check_guard()

    @abstractmethod
    def _run(self, sql: str, parameters: Parameters) -> tuple[list[Row], int]:
        """Run a statement to the end of its last result; return the rows of its first result set, and its count."""

    @abstractmethod
    def _begin(self) -> None:
        """Begin a transaction that may write from its beginning. Errors: DatabaseError; then there is none."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit by the driver. Errors: its own, TransactionLost."""

    def _abandon(self) -> None:
        """Undo the open transaction, so that the next does not begin inside it. One that is gone is not an error."""
        self._is_in_transaction = False
        with suppress(DatabaseError), translated():
            self._roll_back()

    def _roll_back(self) -> None:
        self._raw.rollback()

    def _is_gone(self) -> bool:
        """Return whether the connection is lost, after an error that does not say so: then any statement fails."""
        try:
            with translated():
                self._raw.execute(load()["probe"].sql).close()
        except DatabaseError as error:
            return isinstance(error, ConnectionLost)
        return False


class EmbeddedConnection(Connection):
    """A connection of Python's own sqlite3, which keeps statements prepared by itself."""

    def __init__(self, opener: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(opener, Dialect.SQLITE, "sqlite3")

    def another(self) -> EmbeddedConnection:
        """Return a second connection to the same file. Errors: DatabaseError."""
        return EmbeddedConnection(self._opener)

    def check_transaction(self) -> None:
        """Check that there is a transaction: this driver begins none by itself. Errors: TransactionLost."""
        if not self._raw.in_transaction:
            raise undone()

    def _run(self, sql: str, parameters: Parameters) -> tuple[list[Row], int]:
        bound = bind(sql, parameters, Dialect.SQLITE)
        with translated(self._is_gone, sql, has_values=bool(parameters)):
            if self._is_in_transaction and not self._raw.in_transaction:
                raise undone()
            cursor = self._raw.cursor()
            try:
                cursor.execute(bound.sql, bound.values)
                return drained(cursor)
            finally:
                cursor.close()

    def _begin(self) -> None:
        with translated(self._is_gone, BEGIN):
            # A transaction that reads first and writes later can be caught between two writers; this one cannot.
            self._raw.execute("BEGIN IMMEDIATE").close()
        self._is_in_transaction = True

    def _commit(self) -> None:
        self._raw.commit()


def undone() -> TransactionLost:
    """Return the error for a transaction that ended before its time."""
    return TransactionLost(
        "The database undid a transaction by itself before it was committed, so that nothing of it is stored; try "
        "again, and ask the database administrator about triggers, XACT_ABORT and killed sessions if it happens again."
    )


def drained(cursor: Any) -> tuple[list[Row], int]:
    """Read every result to the end; return the rows of the first result set, and the last row count that is known.

    Triggers put their own counts before that of the statement, and errors may come behind every result.
    """
    # With Python's own sqlite3 a statement has one result.
    next_result = getattr(cursor, "nextset", None)
    rows: list[Row] | None = None
    count = -1
    while True:
        if cursor.description is not None:
            if rows is None:
                rows = [tuple(row) for row in cursor.fetchall()]
        elif cursor.rowcount >= 0:
            count = int(cursor.rowcount)
        if next_result is None or not next_result():
            return rows or [], count
