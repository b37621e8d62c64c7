"""Run statements on a driver's connection, and keep those with parameters prepared for the next time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from api_pipeline.sql.binding import Bound
from api_pipeline.sql.native import odbc

Row: TypeAlias = "tuple[Any, ...]"

# So many statements are kept prepared, those that ran last. A batch has a dozen, and a statement has several texts
# where its rows differ in their nulls. Each holds on to the values that it ran with last, payloads too.
MOST_PREPARED = 24
# At these transactions all are prepared anew. PostgreSQL plans a statement for good at its sixth execution, when a
# table that the run fills may still be empty: later it would read it from end to end for each batch (decision 18).
PLANNED_ANEW = frozenset(2**power for power in range(4, 32))


class PreparedStatements:
    """The statements that are prepared on one connection. Python's own sqlite3 keeps its own."""

    def __init__(self, *, is_odbc: bool) -> None:
        self._is_odbc = is_odbc
        # By their text as it is sent, and whether the driver gets the lengths of long texts.
        self._prepared: dict[tuple[str, bool], tuple[str, Any]] = {}

    def run(self, raw: Any, bound: Bound, lengths: Sequence[int | None] | None) -> tuple[list[Row], int]:
        """Run a statement to the end of its last result; return the rows of its first result set, and its count.

        `lengths` are those of the texts, for the driver. Errors: the driver's own.
        """
        key = bound.sql, lengths is not None
        # The driver knows a statement again by its very object.
        text, cursor = self._prepared.pop(key) if key in self._prepared else (bound.sql, raw.cursor())
        try:
            if lengths is not None:
                text_type = odbc().SQL_WVARCHAR
                cursor.setinputsizes([None if length is None else (text_type, length, 0) for length in lengths])
            cursor.execute(text, bound.values)
            found = drained(cursor, has_more=self._is_odbc)
        except BaseException:
            with suppress(Exception):
                cursor.close()
            raise
        if self._is_odbc and bound.values:
            self._prepared[key] = text, cursor
            self.close(MOST_PREPARED)
        else:
            cursor.close()
        return found

    def close(self, most: int = 0) -> None:
        """Close prepared statements, those first that ran longest ago, until there are at most so many."""
        while len(self._prepared) > most:
            self._prepared.pop(next(iter(self._prepared)))[1].close()

    def forget(self) -> None:
        """Forget all statements of a connection that is closed: the driver would take back each by one of its own."""
        self._prepared.clear()


def drained(cursor: Any, *, has_more: bool) -> tuple[list[Row], int]:
    """Read every result to the end; return the rows of the first result set, and the last row count that is known.

    Triggers put their own counts before that of the statement, and errors may come behind every result.
    """
    rows: list[Row] | None = None
    count = -1
    while True:
        if cursor.description is not None:
            if rows is None:
                rows = [tuple(row) for row in cursor.fetchall()]
        elif cursor.rowcount >= 0:
            count = int(cursor.rowcount)
        if not (has_more and cursor.nextset()):
            return rows or [], count
