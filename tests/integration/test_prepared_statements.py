"""Statements that run again are kept prepared: whatever their values are, however they ended, and not too many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.db import Connection, connect
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.identifiers import Dialect
from tests.support.altering import rename_table
from tests.support.databases import TestDatabase

MOST = 24
OPEN_FILES = Path("/proc/self/fd")
on_postgresql = pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[Connection]:
    opened = connect(database.connection_string)
    try:
        words = "NVARCHAR(3000)" if database.dialect is Dialect.SQLSERVER else "VARCHAR(3000)"
        opened.execute(f"CREATE TABLE {database.named('kept')} (id BIGINT, words {words})")
        yield opened
        opened.execute(f"DROP TABLE {database.named('kept')}")
    finally:
        opened.close()


def prepared(connection: Connection, part: str) -> int:
    """Return how many statements with these words the server keeps prepared for this session."""
    found = connection.query("SELECT statement FROM pg_prepared_statements")
    return sum(part in str(row[0]) for row in found)


@pytest.mark.strict
def test_values_of_every_size_go_through_one_statement(connection: Connection, database: TestDatabase) -> None:
    kept = database.named("kept")
    rows = [(1, "a"), (2**40, None), (3, "x" * 2500), (-(2**35), "\U0001f600"), (5, "b"), (6, "\u00e9" * 2500), (7, "")]
    for row in rows:
        connection.execute(f"INSERT INTO {kept} (id, words) VALUES (?number, ?)", row)
    found = [connection.query(f"SELECT id, words FROM {kept} WHERE id = ?", [row[0]]) for row in rows]
    assert found == [[row] for row in rows]


@pytest.mark.parametrize("database", ["sqlite-odbc", "postgresql-odbc"], indirect=True)
@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="only Linux lists a process's open files")
def test_a_closed_connection_leaves_nothing_open(database: TestDatabase) -> None:
    counts = []
    for _ in range(3):
        opened = connect(database.connection_string)
        opened.query("SELECT 1 WHERE ?number = 1", [1])
        opened.close()
        counts.append(len(list(OPEN_FILES.iterdir())))
    assert len(set(counts)) == 1


@on_postgresql
def test_a_statement_that_runs_again_is_prepared_once(connection: Connection) -> None:
    with connection.transaction():
        for number in range(5):
            connection.execute("INSERT INTO kept (id) VALUES (?)", [number])
    connection.execute("INSERT INTO kept (id) VALUES (?)", [5])
    assert prepared(connection, "INSERT INTO kept") == 1
    connection.reopen()
    connection.execute("INSERT INTO kept (id) VALUES (?)", [6])
    assert prepared(connection, "INSERT INTO kept") == 1
    assert connection.query("SELECT COUNT(*) FROM kept") == [(7,)]


@on_postgresql
def test_only_the_latest_statements_stay_prepared(connection: Connection) -> None:
    for number in range(MOST + 10):
        connection.query(f"SELECT {number} FROM kept WHERE id = ?", [number])
    assert prepared(connection, "FROM kept WHERE id") == MOST
    assert prepared(connection, f"SELECT {MOST + 9} FROM kept") == 1


def test_a_statement_that_failed_can_run_again(connection: Connection, database: TestDatabase) -> None:
    kept = database.named("kept")
    sql = f"INSERT INTO {kept} (id, words) VALUES (?, ?)"
    connection.execute(sql, [1, "a"])
    rename_table(database, "kept", "moved")
    with pytest.raises(DatabaseError):
        connection.execute(sql, [2, "b"])
    rename_table(database, "moved", "kept")
    connection.execute(sql, [3, "c"])
    assert sorted(row[0] for row in connection.query(f"SELECT id FROM {kept} WHERE id > ?", [0])) == [1, 3]


@on_postgresql
def test_a_table_may_change_between_two_readings(connection: Connection, database: TestDatabase) -> None:
    sql = "SELECT words FROM kept WHERE id = ?"
    connection.execute("INSERT INTO kept (id, words) VALUES (?, ?)", [1, "12"])
    assert connection.query(sql, [1]) == [("12",)]
    database.execute("ALTER TABLE kept ALTER COLUMN words TYPE INTEGER USING CAST(words AS INTEGER)")
    with pytest.raises(DatabaseError):
        connection.query(sql, [1])
    assert connection.query(sql, [1]) == [(12,)]


@on_postgresql
def test_an_error_ends_the_transaction(connection: Connection) -> None:
    def go_on_after_an_error() -> None:
        with connection.transaction():
            connection.execute("INSERT INTO kept (id) VALUES (?)", [1])
            with pytest.raises(DatabaseError):
                connection.execute("INSERT INTO kept (id, words) VALUES (?, ?)", [2, "x" * 3001])
            connection.execute("INSERT INTO kept (id) VALUES (?)", [3])

    with pytest.raises(DatabaseError):
        go_on_after_an_error()
    assert connection.query("SELECT COUNT(*) FROM kept") == [(0,)]
    with connection.transaction():
        connection.execute("INSERT INTO kept (id) VALUES (?)", [4])
    assert connection.query("SELECT id FROM kept") == [(4,)]


@on_postgresql
def test_a_statement_is_planned_anew_once_a_table_has_grown(connection: Connection) -> None:
    connection.execute("CREATE UNIQUE INDEX kept_by_id ON kept (id)")
    asked = [f"{{{','.join(map(str, range(100)))}}}"]

    def ask(times: int) -> None:
        for _ in range(times):
            with connection.transaction():
                connection.query("SELECT words FROM kept WHERE id = ANY (CAST(?text AS BIGINT[]))", asked)

    ask(10)
    connection.execute("INSERT INTO kept SELECT n, 'x' FROM generate_series(1, 20000) AS n")
    ask(30)
    found = connection.query("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%FROM kept%'")
    plan = connection.query(f"EXPLAIN EXECUTE \"{found[0][0]}\" ('{asked[0]}')")
    assert "kept_by_id" in str(plan)
