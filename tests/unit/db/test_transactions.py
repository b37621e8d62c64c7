"""Transactions: what is undone before its time is never taken for stored, and a count that is not the expected one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from api_pipeline.db import Connection, RowsMissed, TransactionLost, connect
from api_pipeline.errors import DatabaseError

INSERT = "INSERT INTO line VALUES (?)"
# It ends the transaction, and not the statement alone.
UNDOING = "INSERT OR ROLLBACK INTO line VALUES (1)"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with closing(connect(f"sqlite:///{tmp_path / 'council.db'}", create=True)) as opened:
        opened.execute("CREATE TABLE line (number INTEGER PRIMARY KEY)")
        opened.execute(INSERT, [1])
        yield opened


def numbers(connection: Connection) -> list[object]:
    return [row[0] for row in connection.query("SELECT number FROM line ORDER BY number")]


def undone_inside(connection: Connection, *later: int) -> None:
    """Insert a number in a transaction that the database undoes by itself, and these numbers after that."""
    with connection.transaction():
        connection.execute(INSERT, [2])
        with suppress(DatabaseError):
            connection.execute(UNDOING)
        for number in later:
            connection.execute(INSERT, [number])


@pytest.mark.parametrize("later", [(), (3,)], ids=["at its end", "at its next statement"])
def test_transaction_that_the_database_undid_is_an_error_and_nothing_is_stored(
    connection: Connection, later: tuple[int, ...]
) -> None:
    with pytest.raises(TransactionLost):
        undone_inside(connection, *later)
    with connection.transaction():
        connection.execute(INSERT, [4])
    assert numbers(connection) == [1, 4]


def test_error_inside_a_transaction_leaves_none_open(connection: Connection) -> None:
    with suppress(ZeroDivisionError), connection.transaction():
        connection.execute(INSERT, [2])
        raise ZeroDivisionError
    connection.execute(INSERT, [3])
    assert numbers(connection) == [1, 3]


@pytest.mark.parametrize(("expected", "is_missed"), [(1, False), (0, True), (2, True), (None, False)])
def test_rows_that_a_statement_touches_are_compared_with_those_it_should(
    connection: Connection, expected: int | None, is_missed: bool
) -> None:
    missed = False
    try:
        count = connection.execute("UPDATE line SET number = 5 WHERE number = ?", [1], expected=expected)
    except RowsMissed as error:
        missed = f"was to change {expected} rows and changed 1" in str(error)
    else:
        assert count == 1
    assert missed == is_missed
