"""A connection that ends, has no second beside it, or becomes another one, and the program hears of it late."""

from __future__ import annotations

import time
from contextlib import closing

import pyodbc
import pytest

from api_pipeline.db import ConnectionLost, connect
from api_pipeline.db.pooler import is_behind_pooler
from api_pipeline.db.retry import RetryBudget, Retrying
from tests.support.databases import TestDatabase
from tests.support.postgres import PostgresServer


def test_connection_that_ends_while_it_is_opened_is_said_to_be_lost(postgres_server: PostgresServer) -> None:
    string = postgres_server.connection_string("postgres")
    with closing(pyodbc.connect(string, autocommit=True)) as first:
        (process,) = first.execute("SELECT pg_backend_pid()").fetchone()

        def open_another() -> pyodbc.Connection:
            other = pyodbc.connect(string, autocommit=True)
            other.execute("SELECT pg_terminate_backend(?)", [process]).close()
            return other

        with pytest.raises(ConnectionLost, match="The connection to the database was lost"):
            is_behind_pooler(first, "a connection string of this test alone", open_another)


def test_account_that_may_connect_once_is_served(postgres_server: PostgresServer) -> None:
    with closing(pyodbc.connect(postgres_server.connection_string("postgres"), autocommit=True)) as owner:
        owner.execute("CREATE ROLE lone LOGIN PASSWORD 'invented' CONNECTION LIMIT 1")
        try:
            connection = connect(postgres_server.connection_string("postgres", user="lone", password="invented"))
            try:
                assert connection.query("SELECT 1", ()) == [(1,)]
                assert connection.is_pooled
            finally:
                connection.close()
        finally:
            owner.execute("DROP ROLE lone")


@pytest.mark.parametrize("when", ["before the transaction", "in the transaction"])
@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
def test_session_that_a_driver_put_in_place_of_another_is_no_missing_table(database: TestDatabase, when: str) -> None:
    database.execute("CREATE TABLE kept (a INTEGER)")
    connection = connect(database.connection_string)
    opened = Retrying(connection, RetryBudget(20.0, time.monotonic, time.sleep))
    gone = ["DROP TABLE temp.d2i_transaction"]

    def work() -> None:
        with connection.transaction():
            connection.execute("INSERT INTO kept VALUES (1)")
            if gone and when == "in the transaction":
                connection.execute(gone.pop())

    if when == "before the transaction":
        connection.execute(gone.pop())
    opened.run(work)
    connection.close()

    assert (connection.openings, database.count("kept")) == (2, 1)
