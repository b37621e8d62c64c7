"""A connection to PostgreSQL that ends, or has no second beside it, while the program still opens it."""

from __future__ import annotations

from contextlib import closing

import pyodbc
import pytest

from api_pipeline.db import ConnectionLost, connect
from api_pipeline.db.pooler import is_behind_pooler
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
