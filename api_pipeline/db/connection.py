"""One open connection, and the one way to run a statement on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from api_pipeline.db.many_rows import put_together
from api_pipeline.db.pieces import dialect_pieces
from api_pipeline.db.prepared import PLANNED_ANEW, PreparedStatements, Row, drained
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.binding import bind, declared_lengths
from api_pipeline.sql.driver_errors import (
    ConnectionLost,
    DatabaseBusy,
    RowsMissed,
    TableMissing,
    TransactionLost,
    as_database_error,
    connection_lost,
    is_driver_error,
)
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import NamedSql, load

if TYPE_CHECKING:
    import pyodbc

Parameters: TypeAlias = "Sequence[object]"
_Result = TypeVar("_Result")

# What errors call the ends of a transaction.
_BEGIN, _COMMIT, _ROLLBACK = (NamedSql("", name) for name in ("BEGIN", "COMMIT", "ROLLBACK"))
_BRIEFLY_MS = 500
_UNDONE = (
    "The database undid a transaction by itself before it was committed, so that nothing of it is stored; try again, "
    "and ask the database administrator about triggers, XACT_ABORT and killed sessions if it happens again."
)


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
        if type(ours) is DatabaseError and is_gone():
            ours = connection_lost(error, sql)
        raise ours from None


class Connection:
    """One open connection. `dialect` says which database it is.

    `each_transaction` are statements that begin every transaction. They are there where a pooler gives the server's
    session to other programs between two transactions (`is_pooled`): nothing may be set for the session then, and no
    statement is run outside a transaction. `guard` is called before each transaction and each change outside one, and
    raises an error where there may be none any more. `openings` counts how often the connection was opened.
    """

    def __init__(
        self,
        opener: Callable[[], sqlite3.Connection | pyodbc.Connection],
        dialect: Dialect,
        driver: str,
        each_transaction: Sequence[str] = (),
    ) -> None:
        self._opener = opener
        self._raw: Any = opener()
        self._is_odbc = not isinstance(self._raw, sqlite3.Connection)
        self._is_in_transaction = False
        self._transactions = 0
        self._statements = PreparedStatements(is_odbc=self._is_odbc)
        self._each_transaction = each_transaction
        self.dialect = dialect
        self.driver = driver
        self.guard: Callable[[], None] | None = None
        self.openings = 1

    @property
    def is_pooled(self) -> bool:
        """Return whether other programs use the server's session between two transactions."""
        return bool(self._each_transaction)

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
                drained(cursor, has_more=self._is_odbc)
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
        each row is a round trip: for many rows write it FROM a table of parameters (`rows_as_table`).
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
        self._begin()
        try:
            yield
        except BaseException:
            self._end(commit=False)
            raise
        self._end(commit=True)

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

    def check_transaction(self) -> None:
        """Check that the open transaction is the one that was begun. Errors: TransactionLost, DatabaseError."""
        if not self._is_odbc:
            if not self._raw.in_transaction:
                raise TransactionLost(_UNDONE)
            return
        if not all(self._mark()):
            raise TransactionLost(_UNDONE)

    def _mark(self) -> tuple[bool, bool]:
        """Return whether the mark has this transaction's number, and whether the transaction can be committed."""
        rows, _ = self._of_session(load()[f"transaction_state_{self.dialect.value}"].sql)
        return bool(rows) and str(rows[0][0]) == str(self._transactions), bool(rows) and bool(rows[0][1])

    def _of_session(self, sql: str, parameters: Parameters = ()) -> tuple[list[Row], int]:
        """Run a statement on the session's own mark. Errors: ConnectionLost where the mark is gone, DatabaseError."""
        try:
            return self._run(sql, parameters)
        except TableMissing:
            # With the mark the run lock is gone as well.
            raise ConnectionLost(
                "The connection to the database was lost, and a driver or a pooler put another in its place; check "
                "that the server is up, then run again."
            ) from None

    def check_guard(self) -> None:
        """Check that transactions may still be begun. Errors: those of `guard`."""
        if self.guard is not None:
            self.guard()

    def _check_change(self) -> None:
        # Behind a pooler each change has a transaction, which checks it.
        if not (self._is_in_transaction or self.is_pooled):
            self.check_guard()

    def page(self, size: int) -> dict[str, str]:
        """Return the pieces of SQL in which this database differs, for a page of `size` rows."""
        return dialect_pieces(self.dialect, size)

    def reopen(self) -> None:
        """Open the same database anew after the connection was lost. Errors: DatabaseError."""
        self.close()
        self._raw = self._opener()
        self.openings += 1

    def another(self) -> Connection:
        """Return a second connection to the same database. Errors: DatabaseError."""
        return Connection(self._opener, self.dialect, self.driver, self._each_transaction)

    def wait_briefly(self) -> None:
        """Let no statement wait longer than a moment for a file that another program has locked (SQLite alone).

        Errors: DatabaseError.
        """
        if self.dialect is Dialect.SQLITE:
            self.query(load()["busy_wait_sqlite"].sql.format(milliseconds=_BRIEFLY_MS))

    def close(self) -> None:
        """Close the connection; a connection that is gone already is not an error."""
        self._is_in_transaction = False
        if self.dialect is Dialect.SQLITE:
            # Its driver keeps the file open, and what it has read of it, while a statement is prepared.
            with suppress(Exception):
                self._statements.close()
        try:
            self._raw.close()
        except Exception as error:  # a driver may raise anything on a dead connection
            if not is_driver_error(error):
                raise
        # Behind the closing: the driver would take back each of them by a statement of its own.
        self._statements.forget()

    def _run(self, sql: str, parameters: Parameters) -> tuple[list[Row], int]:
        """Run a statement to the end of its last result; return the rows of its first result set, and its count."""
        if self.is_pooled and not self._is_in_transaction:
            with self.transaction():
                return self._run(sql, parameters)
        bound = bind(sql, parameters, self.dialect)
        with translated(self._is_gone, sql, has_values=bool(parameters)):
            if not self._is_odbc and self._is_in_transaction and not self._raw.in_transaction:
                raise TransactionLost(_UNDONE)
            lengths = declared_lengths(bound, self.dialect) if self._is_odbc else None
            return self._statements.run(self._raw, bound, lengths)

    def _is_gone(self) -> bool:
        """Return whether the connection is lost, after an error that does not say so: then any statement fails."""
        try:
            self._raw.execute(load()["probe"].sql).close()
        except Exception as error:
            if not is_driver_error(error):
                raise
            return isinstance(as_database_error(error), ConnectionLost)
        return False

    def _begin(self) -> None:
        self.check_guard()
        self._transactions += 1
        with translated(self._is_gone, _BEGIN):
            if not self._is_odbc:
                # A transaction that reads first and writes later can be caught between two writers; this one cannot.
                self._raw.execute("BEGIN IMMEDIATE").close()
                self._is_in_transaction = True
                return
            version = ""
            if self.dialect is Dialect.SQLITE:
                version = str(self.query(load()["transaction_version_sqlite"].sql)[0][0])
            self._raw.autocommit = False
            self._is_in_transaction = True
        try:
            for sql in self._each_transaction:
                self._run(sql, ())
            # Its number goes to a place where it does not stay when the transaction is undone.
            self._of_session(load()[f"transaction_begin_{self.dialect.value}"].sql, [str(self._transactions)])
            if self.dialect is Dialect.POSTGRESQL and self._transactions in PLANNED_ANEW:
                self._statements.close()
            if self.dialect is Dialect.SQLITE:
                # So that it writes before it reads, as above. What is read inside it would be kept locked.
                self._run(load()["transaction_lock_sqlite"].sql.format(version=version), ())
        except DatabaseError:
            self._abandon()
            raise

    def _end(self, *, commit: bool) -> None:
        try:
            if commit:
                self.check_transaction()
            self._is_in_transaction = False
            with translated(self._is_gone, _COMMIT if commit else _ROLLBACK):
                if not self._is_odbc:
                    self._raw.execute("COMMIT" if commit else "ROLLBACK").close()
                    return
                if not commit:
                    self._raw.rollback()
                elif self.dialect is Dialect.POSTGRESQL:
                    # Its driver may call a commit done that died with the connection; the answer to a statement proves
                    # that the server did it.
                    self._raw.execute("COMMIT").close()
                else:
                    self._raw.commit()
                self._raw.autocommit = True
            # Between check and commit the transaction may still have gone; then the mark went back as well.
            if commit and self.dialect is not Dialect.POSTGRESQL and not self._mark()[0]:
                raise TransactionLost(_UNDONE)
        except DatabaseError:
            if commit:
                self._abandon()
                raise

    def _abandon(self) -> None:
        """End a transaction that could not be committed, so that the next one does not begin inside it."""
        self._is_in_transaction = False
        with suppress(DatabaseError), translated():
            self._raw.rollback()
            if self._is_odbc:
                self._raw.autocommit = True
