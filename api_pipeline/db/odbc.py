"""A connection through ODBC: it keeps statements prepared, and knows its transactions by a mark in the database."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from api_pipeline.db.connection import BEGIN, Connection, Parameters, Row, drained, translated, undone
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.binding import UNLIMITED, Bound, bind, declared_lengths
from api_pipeline.sql.driver_errors import ConnectionLost, TableMissing
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.native import odbc
from api_pipeline.sql.statements import load

if TYPE_CHECKING:
    import pyodbc

# So many statements are kept prepared, those that ran last. A batch has a dozen, and a statement has several texts
# where its rows differ in their nulls. Each holds on to the values that it ran with last, payloads too.
MOST_PREPARED = 24
# How texts go over ODBC, unless another encoding is set.
UTF_16 = f"utf-16{sys.byteorder[0]}e"
# What the library of FreeTDS is called.
_FREETDS = "tdsodbc"
# At these transactions all are prepared anew. PostgreSQL plans a statement for good at its sixth execution, when a
# table that the run fills may still be empty: later it would read it from end to end for each batch (decision 18).
_PLANNED_ANEW = frozenset(2**power for power in range(4, 32))


class OdbcConnection(Connection):
    """A connection through ODBC.

    `each_transaction` are statements that begin every transaction, where a pooler shares the server's sessions.
    """

    def __init__(
        self,
        opener: Callable[[], pyodbc.Connection],
        dialect: Dialect,
        driver: str,
        each_transaction: Sequence[str],
    ) -> None:
        super().__init__(opener, dialect, driver)
        self.is_pooled = bool(each_transaction)
        self._each_transaction = each_transaction
        self._transactions = 0
        # By their text as it is sent, and whether the driver gets the lengths of long texts.
        self._prepared: dict[tuple[str, bool], tuple[str, Any]] = {}

    def another(self) -> OdbcConnection:
        """Return a second connection to the same database. Errors: DatabaseError."""
        return OdbcConnection(self._opener, self.dialect, self.driver, self._each_transaction)

    def check_transaction(self) -> None:
        """Check that the mark has this transaction's number, and that the transaction can be committed.

        Errors: TransactionLost, DatabaseError.
        """
        if not all(self._mark()):
            raise undone()

    def close(self) -> None:
        """Close the connection; a connection that is gone already is not an error."""
        if self.dialect is Dialect.SQLITE:
            # Its driver keeps the file open, and what it has read of it, while a statement is prepared.
            with suppress(Exception):
                self._close_prepared()
        super().close()
        # Behind the closing: the driver would take back each of them by a statement of its own.
        self._prepared.clear()

    def _run(self, sql: str, parameters: Parameters) -> tuple[list[Row], int]:
        if self.is_pooled and not self._is_in_transaction:
            with self.transaction():
                return self._run(sql, parameters)
        bound = bind(sql, parameters, self.dialect)
        with translated(self._is_gone, sql, has_values=bool(parameters)):
            return self._run_prepared(bound, declared_lengths(bound, self.dialect))

    def _run_prepared(self, bound: Bound, lengths: Sequence[int | None] | None) -> tuple[list[Row], int]:
        """Run a statement, and keep it prepared if it has parameters; `lengths` are those of the texts."""
        if not bound.sql.isascii():
            # The driver manager takes a statement in another encoding for one of the machine's own.
            self._raw.setencoding(UTF_16, ctype=odbc().SQL_WCHAR)
        key = bound.sql, lengths is not None
        # The driver knows a statement again by its very object.
        text, cursor = self._prepared.pop(key) if key in self._prepared else (bound.sql, self._raw.cursor())
        try:
            if lengths is not None:
                cursor.setinputsizes(
                    [None if length is None else declared_text(self.driver, length) for length in lengths]
                )
            cursor.execute(text, bound.values)
            found = drained(cursor)
        except BaseException:
            with suppress(Exception):
                cursor.close()
            raise
        if bound.values:
            self._prepared[key] = text, cursor
            self._close_prepared(MOST_PREPARED)
        else:
            cursor.close()
        return found

    def _close_prepared(self, most: int = 0) -> None:
        """Close prepared statements, those first that ran longest ago, until there are at most so many."""
        while len(self._prepared) > most:
            self._prepared.pop(next(iter(self._prepared)))[1].close()

    def _begin(self) -> None:
        self._transactions += 1
        version = ""
        if self.dialect is Dialect.SQLITE:
            version = str(self.query(load()["transaction_version_sqlite"].sql)[0][0])
        with translated(self._is_gone, BEGIN):
            self._raw.autocommit = False
        self._is_in_transaction = True
        try:
            for sql in self._each_transaction:
                self._run(sql, ())
            # Its number goes to a place where it does not stay when the transaction is undone.
            self._run_on_mark("begin", [str(self._transactions)])
            if self.dialect is Dialect.POSTGRESQL and self._transactions in _PLANNED_ANEW:
                self._close_prepared()
            if self.dialect is Dialect.SQLITE:
                # So that it writes before it reads, as the embedded one does. What is read inside it would be kept
                # locked.
                self._run(load()["transaction_lock_sqlite"].sql.format(version=version), ())
        except DatabaseError:
            self._abandon()
            raise

    def _commit(self) -> None:
        if self.dialect is Dialect.POSTGRESQL:
            # Its driver may call a commit done that died with the connection; the answer to a statement proves that
            # the server did it.
            self._raw.execute("COMMIT").close()
            self._raw.autocommit = True
            return
        self._raw.commit()
        self._raw.autocommit = True
        # Between check and commit the transaction may still have gone; then the mark went back as well.
        if not self._mark()[0]:
            raise undone()

    def _roll_back(self) -> None:
        self._raw.rollback()
        self._raw.autocommit = True

    def _mark(self) -> tuple[bool, bool]:
        """Return whether the mark has this transaction's number, and whether the transaction can be committed."""
        rows = self._run_on_mark("state")
        return bool(rows) and str(rows[0][0]) == str(self._transactions), bool(rows) and bool(rows[0][1])

    def _run_on_mark(self, what: str, parameters: Parameters = ()) -> list[Row]:
        """Run a statement on the session's own mark. Errors: ConnectionLost where the mark is gone, DatabaseError."""
        try:
            return self._run(load()[f"transaction_{what}_{self.dialect.value}"].sql, parameters)[0]
        except TableMissing:
            # With the mark the run lock is gone as well.
            raise ConnectionLost(
                "The connection to the database was lost, and a driver or a pooler put another in its place; check "
                "that the server is up, then run again."
            ) from None


def declared_text(driver: str, length: int) -> tuple[int, int, int]:
    """Return how a text is declared to an ODBC driver: its type, its length (`UNLIMITED` for no limit), decimals.

    FreeTDS takes a text without a limit by the older name of its type alone.
    """
    api = odbc()
    is_older = length == UNLIMITED and _FREETDS in driver.lower()
    return (api.SQL_WLONGVARCHAR if is_older else api.SQL_WVARCHAR), length, 0
