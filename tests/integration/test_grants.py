"""The grants in the comments of the packaged scripts: enough for each account, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pyodbc
import pytest

from api_pipeline.sql import ddl
from api_pipeline.sql.binding import bind, rows_as_table
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load
from api_pipeline.staging.tables import PERSON, SSD_TABLES
from tests.integration.test_documented_sql import QUERIES
from tests.support.commands import invoke_cli
from tests.support.council_ssd import council
from tests.support.databases import ANON, TestDatabase
from tests.support.documents import DOCS
from tests.support.logins import another_login
from tests.support.postgres import PostgresServer
from tests.support.prepared import LIVE
from tests.support.staging import fill, staged


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_grants_in_the_comments_allow_the_nightly_job_and_nothing_more(
    deployed: TestDatabase, postgres_server: PostgresServer
) -> None:
    fill(deployed, deployed.table, [staged("1001")])
    with (
        account_with_the_grants(deployed, postgres_server, "csc_api_service") as text,
        closing(pyodbc.connect(text, autocommit=True)) as connection,
    ):
        _work_through_a_night(connection)
        for forbidden in (
            f"DELETE FROM {LIVE}",
            f"INSERT INTO {LIVE} (json_payload) VALUES ('{{}}')",
            f"UPDATE {LIVE} SET json_payload = '{{}}'",
            f"UPDATE {LIVE} SET current_hash = NULL",
            "UPDATE ssd_api_submission_log SET answer = ''",
            "DELETE FROM ssd_api_submission_log",
            "DELETE FROM ssd_api_runs",
            "DELETE FROM ssd_api_left_window",
        ):
            with pytest.raises(pyodbc.Error, match="permission denied"):
                connection.execute(forbidden)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_grants_in_the_comments_allow_stage_and_nothing_more(
    deployed: TestDatabase, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    ssd = council(deployed, tmp_path)
    ssd.children("1001", "1002")
    with account_with_the_grants(deployed, postgres_server, "csc_api_stage") as text:
        for table in SSD_TABLES:
            deployed.execute(f"GRANT SELECT ON {table.name} TO csc_api_stage")
        mine = {"DB_CONNECTION_STRING": text}
        assert ssd.stage(**mine).code == 0
        ssd.update(PERSON, "pers_person_id = '1001'", pers_forename="Other")
        ssd.remove("1002")
        assert ssd.stage("--allow-deletions", **mine).code == 0
        assert {person: row["row_state"] for person, row in ssd.rows().items()} == {"1001": "new", "1002": "deleted"}
        with closing(pyodbc.connect(text, autocommit=True)) as connection:
            for forbidden in (
                f"DELETE FROM {LIVE}",
                f"UPDATE {LIVE} SET previous_json_payload = NULL",
                "UPDATE ssd_api_held SET receipt = ''",
                "DELETE FROM ssd_api_submission_log",
                "DELETE FROM ssd_person",
                f"SELECT * FROM {ANON}",
            ):
                with pytest.raises(pyodbc.Error, match="permission denied"):
                    connection.execute(forbidden)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_account_that_may_not_read_the_control_tables_hears_of_rights_and_not_of_missing_tables(
    deployed: TestDatabase, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("1001")])
    with another_login(deployed, postgres_server, f"SELECT ON {LIVE}") as login:
        mine = {**deployed.settings, "DB_CONNECTION_STRING": login.connection_string}
        for command in (["run", "--dry-run"], ["explain", "1001"]):
            done = invoke_cli(command, mine, tmp_path)
            assert done.code == 0, done.text
            assert "The control table ssd_api_held cannot be used. The login may not do this" in done.err
            assert "deploy-schema --apply" not in done.text


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_account_that_may_not_use_the_schema_hears_which_grant_it_needs(
    deployed: TestDatabase, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("1001")])
    deployed.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    with another_login(deployed, postgres_server, f"SELECT, UPDATE ON {LIVE}") as login:
        mine = {**deployed.settings, "DB_CONNECTION_STRING": login.connection_string}
        for command in ("run", "validate", "status", "requeue", "test-schema", "deploy-schema --apply"):
            done = invoke_cli(command.split(), mine, tmp_path)
            assert done.code == (2 if "deploy" in command else 3), done.text
            assert f"The login may not use the schema public, so it does not see the table {LIVE} there" in done.text
            assert f"for: GRANT USAGE ON SCHEMA public TO {login.name}" in done.text
            if command != "test-schema":
                assert "deploy-schema --apply" not in done.text
            assert "set TABLE_NAME" not in done.text


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("command", ["run", "status", "test-schema"])
def test_schema_that_table_name_does_not_name_is_no_reason_for_a_missing_table(
    database: TestDatabase, postgres_server: PostgresServer, tmp_path: Path, command: str
) -> None:
    for schema in ("council", "another_team"):
        database.execute(f"CREATE SCHEMA {schema}")
    database.execute(f"CREATE TABLE another_team.{LIVE} (id INT)")
    with another_login(database, postgres_server, "USAGE ON SCHEMA council") as login:
        settings = {"DB_CONNECTION_STRING": login.connection_string, "TABLE_NAME": f"council.{LIVE}"}
        done = invoke_cli([command], settings, tmp_path)

    assert done.code == 3
    assert "another_team" not in done.text


@contextmanager
def account_with_the_grants(database: TestDatabase, server: PostgresServer, role: str) -> Iterator[str]:
    """Make an account with what the script's comments grant to one of this name, and return its connection string."""
    with another_login(database, server, name=role) as login:
        for grant in _grants(ddl.render(Dialect.POSTGRESQL, database.table), role):
            database.execute(grant)
        yield login.connection_string


def _grants(script: str, role: str) -> list[str]:
    comments = "\n".join(line.removeprefix("-- ") for line in script.splitlines() if line.startswith("-- "))
    return re.findall(rf"^GRANT [^;]+ TO {role};", comments, re.MULTILINE)


def _work_through_a_night(connection: pyodbc.Connection) -> None:
    """Run what the pipeline runs in a night, on the one row there is."""
    names = {
        "table": LIVE,
        "held": "ssd_api_held",
        "log": "ssd_api_submission_log",
        "unconfirmed": "ssd_api_unconfirmed",
        "left_window": "ssd_api_left_window",
        "runs": "ssd_api_runs",
        "people": "= '1001'",
        "ids": "= 1",
        "children": "= '1001'",
        "lock_rows": "",
        "locked": "FOR UPDATE",
        "person": "",
        "columns": "id, person_id",
        "odd_words": "",
        "after": "AND id > ?",
        "page": "LIMIT 10",
    }
    night: list[tuple[str, tuple[type, ...], list[object]]] = [
        ("insert_run", (), ["r", "t", "there", "live", "full", None, "2026-11-02 03:00:00"]),
        ("may_write", (), []),
        ("count_due", (), []),
        ("read_due", (), [0]),
        ("read_left_window", (), []),
        ("has_left_window", (), []),
        ("read_held", (), ["there", "there"]),
        ("insert_unconfirmed", (str, str), ["there", "r", "2026-11-02 03:00:00", "1001", "h"]),
        ("read_versions", (), []),
        ("mark_failed", (int, str), [1, "reason"]),
        ("mark_testing", (int, str, datetime), [1, "TESTING", None]),
        ("keep_changed", (), [None, None, 1]),
        ("mark_sent", (int, str, datetime), [1, "receipt", None]),
        ("mark_delta_sent", (int, str, datetime, str), [1, "receipt", None, "{}"]),
        ("mark_already_held", (int, str), [1, "NOT SENT"]),
        ("mark_due_again", (), []),
        ("type_of_column_postgresql", (), ["ssd_api_data_staging", "json_payload"]),
        ("read_logged", (), ["r", 1]),
        ("remove_held", (), ["there"]),
        ("insert_held", (str, str, str, str, datetime), ["there", "1001", "{}", "h", "receipt", None]),
        (
            "insert_log",
            (int, str, str, str, str),
            ["r", 1, "t", "2026-11-02 03:00:00", "full", 201, "accepted", 1, "1001", "1001", "h", "receipt"],
        ),
        ("record_may_hold", (), ["{}", "there", "1001"]),
        ("forget_unconfirmed", (), ["there"]),
        ("finish_run", (), ["2026-11-02 03:01:00", 1, 1, 0, 0, 0, 0, 0, 0, None, "r"]),
    ]
    for name, types, parameters in night:
        rows = rows_as_table(Dialect.POSTGRESQL, types, 1)
        bound = bind(load()[name].sql.format(**names, rows=rows, delta="done.delta"), parameters, Dialect.POSTGRESQL)
        connection.execute(bound.sql, bound.values)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_rights_that_the_page_names_are_enough_for_an_officers_queries(
    deployed: TestDatabase, postgres_server: PostgresServer
) -> None:
    page = (DOCS / "dba.md").read_text(encoding="utf-8")
    needs = re.search(r"An information-governance officer needs `SELECT` on (.*?)\.\n", page, re.DOTALL)
    assert needs is not None
    rights = [f"SELECT ON {table}" for table in (LIVE, *re.findall(r"`(ssd_api_\w+)`", needs[1]))]
    rights += [f"{right} ON SCHEMA public" for right in re.findall("`([A-Z]+)` on the schema", page)]
    # A database administrator may have taken this from everybody.
    deployed.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    with (
        another_login(deployed, postgres_server, *rights) as login,
        closing(pyodbc.connect(login.connection_string, autocommit=True)) as connection,
    ):
        for query in QUERIES.values():
            connection.execute(query).fetchall()
