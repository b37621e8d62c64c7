"""The grants in the comments of the script for PostgreSQL: enough for every command of the group, and no more."""

from __future__ import annotations

import re
from contextlib import closing

import pyodbc
import pytest

from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.logins import another_login
from tests.support.postgres import PostgresServer


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_grants_in_the_comments_allow_a_return_from_load_to_reset_and_nothing_more(
    provider: Provider, postgres_server: PostgresServer
) -> None:
    script = provider.sdr("deploy-schema", "--dialect", "postgresql").out
    with another_login(provider.database, postgres_server, name="sdr_service") as login:
        for grant in re.findall(r"^-- (GRANT [^;]+;)", script, re.MULTILINE):
            provider.database.execute(grant)
        mine = {"DB_CONNECTION_STRING": login.connection_string}
        file = provider.folder / "LEAR.csv"
        for rows in ("S1,F\nS2,F\n", "S1,M\n"):
            file.write_text(f"Student Identification Code,Gender\n{rows}", encoding="utf-8")
            for command in (["load", file.name], ["submit", PERIOD, "--validate", "--allow-deletes"], ["status"]):
                done = provider.sdr(*command, **mine)
                assert done.code == 0, done.text
        assert set(provider.held()) == {"S1"}
        assert provider.sdr("reset", PERIOD, "--yes", **mine).code == 0
        with closing(pyodbc.connect(login.connection_string, autocommit=True)) as connection:
            for forbidden in (
                "UPDATE sdr_submission_log SET answer = ''",
                "DELETE FROM sdr_submission_log",
                "DELETE FROM sdr_runs",
                "DELETE FROM sdr_submission",
                "UPDATE sdr_validation SET run = 0",
            ):
                with pytest.raises(pyodbc.Error, match="permission denied"):
                    connection.execute(forbidden)
