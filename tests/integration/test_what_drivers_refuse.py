"""What drivers do not take: PostgreSQL's for ANSI texts no Unicode, Microsoft's not every value of a keyword."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import pyodbc
import pytest

from api_pipeline.db import ConnectionLost, connect, unless_refused
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.driver_errors import StatementFailed
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase, missing
from tests.support.logins import another_login
from tests.support.microsoft import driver
from tests.support.postgres import DRIVER, PostgresServer

ANSI = "PostgreSQL ANSI"


@pytest.mark.parametrize("command", ["run", "test-db-connection"])
@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_driver_without_unicode_is_named_with_the_one_to_take(
    deployed: TestDatabase, tmp_path: Path, command: str
) -> None:
    if ANSI not in pyodbc.drivers():
        missing(f"the ODBC driver {ANSI} is not installed")
    text = deployed.connection_string.replace(DRIVER, ANSI)

    done = invoke_cli([command], {**deployed.settings, "DB_CONNECTION_STRING": text}, tmp_path)

    assert done.code == 3, done.text
    assert "The ODBC driver PostgreSQL ANSI takes no text in Unicode" in done.text
    assert "Driver={PostgreSQL Unicode}" in done.text


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ("Trusted_Connection=true", "no such value of Trusted_Connection; it takes yes or no."),
        (
            "UID=csc;PWD=hush;TrustServerCertificate=maybe",
            "no such value of TrustServerCertificate; it takes yes or no.",
        ),
        ("UID=csc;PWD=hush;Authentication=Windows", "the driver takes no such value of Authentication."),
        (
            "Trusted_Connection=yes;Authentication=ActiveDirectoryPassword",
            "Authentication= does not go with Trusted_Con",
        ),
        (
            "UID=csc;Authentication=SqlPassword",
            "Authentication= does not go with Trusted_Connection=yes, and with passw",
        ),
    ],
)
def test_what_microsofts_driver_refuses_is_no_fault_of_the_network(keywords: str, said: str) -> None:
    with pytest.raises(ConnectionLost, match="the connection string is not put together well") as refusal:
        connect(f"Driver={driver()};Server=tcp:127.0.0.1,1;{keywords}", timeout_s=3)

    assert said in str(refusal.value)
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_server_whose_connections_are_used_up_is_not_called_out_of_reach(
    deployed: TestDatabase, postgres_server: PostgresServer
) -> None:
    with another_login(deployed, postgres_server, "SELECT ON ALL TABLES IN SCHEMA public") as login:
        deployed.execute(f"ALTER ROLE {login.name} CONNECTION LIMIT 0")

        with pytest.raises(ConnectionLost, match="is up and takes no further connection now"):
            connect(login.connection_string)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("name", ["{PostgreSQL Unicode}", "psqlodbcw.so"])
def test_no_statement_gets_a_savepoint_however_the_driver_is_named(database: TestDatabase, name: str) -> None:
    connection = connect(database.connection_string.replace(f"{{{DRIVER}}}", name))

    with suppress(DatabaseError), connection.transaction():
        with suppress(DatabaseError):
            connection.query("SELECT 1 / 0")
        with pytest.raises(DatabaseError, match="aborted"):
            connection.query("SELECT 1")
    connection.close()


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_statement_that_the_server_ends_after_its_time_is_not_taken_for_refused(database: TestDatabase) -> None:
    with closing(connect(database.connection_string)) as connection:
        connection.query("SELECT set_config('statement_timeout', '50', false)")

        with pytest.raises(StatementFailed, match="SQLSTATE 57014"):
            unless_refused(lambda: connection.query("SELECT 1 FROM pg_sleep(2)"))
        assert unless_refused(lambda: connection.query("SELECT 1 FROM not_there")) is None
