"""`test-schema` on columns as councils have them: missing, of another type, too short, with capital letters."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.sql.identifiers import Dialect
from tests.integration.diagnosed_schema import CONTROL_TABLES, check, named
from tests.support.altering import rename_column
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase
from tests.support.layouts import LAYOUTS, make_table
from tests.support.logins import another_login
from tests.support.postgres import PostgresServer
from tests.support.prepared import LIVE


def test_missing_column_comes_with_the_statement_that_adds_it(deployed: TestDatabase, tmp_path: Path) -> None:
    deployed.execute(f"ALTER TABLE {deployed.table} DROP COLUMN previous_hash")
    found = check(deployed, tmp_path)

    step = named(found, "ssd_api_data_staging")
    assert (found.code, step["status"]) == (3, "failed")
    assert "has no column previous_hash (required)" in step["detail"]
    statement = step["advice"].splitlines()[-1]
    assert statement.startswith("ALTER TABLE")

    deployed.execute(statement)
    assert check(deployed, tmp_path).code == 0


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_login_that_may_not_read_the_table_hears_of_rights_and_not_of_columns(
    deployed: TestDatabase, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """A catalogue may show such a login some of the columns alone: no advice is built on what it does not show."""
    deployed.execute(f"ALTER TABLE {deployed.table} DROP COLUMN previous_hash")
    with another_login(deployed, postgres_server, f"UPDATE (submission_status) ON {LIVE}") as login:
        settings = {**deployed.settings, "DB_CONNECTION_STRING": login.connection_string}
        for command in ("test-schema", "validate"):
            done = invoke_cli([command], settings, tmp_path)
            assert done.code == 3
            assert f"The table {LIVE} cannot be read" in done.text
            assert "The login may not do this in the database" in done.text
            assert "has no column" not in done.text


def test_column_of_another_type_is_an_error(deployed: TestDatabase, tmp_path: Path) -> None:
    deployed.execute(f"ALTER TABLE {deployed.table} DROP COLUMN current_hash")
    deployed.execute(f"ALTER TABLE {deployed.table} ADD current_hash INT")
    found = check(deployed, tmp_path)

    assert found.code == 3
    assert "current_hash is int" in named(found, "ssd_api_data_staging")["detail"].lower()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_table_of_todays_tools_works_and_says_what_would_be_better(
    layout: str, database: TestDatabase, tmp_path: Path
) -> None:
    make_table(database, database.table, layout)
    found = check(database, tmp_path)

    step = named(found, "ssd_api_data_staging")
    assert found.code == 0
    if layout == "older":
        assert step["status"] == "remark"
        assert "has no column legacy_id (recommended)" in step["detail"]
        assert "ALTER TABLE" in step["advice"]
    else:
        assert step["status"] == "ok"
    assert {named(found, control_table)["status"] for control_table in CONTROL_TABLES} == {"remark"}


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_json_columns_of_the_postgresql_build_get_a_remark(database: TestDatabase, tmp_path: Path) -> None:
    make_table(database, database.table, "today", text="JSONB")
    found = check(database, tmp_path)

    assert found.code == 0
    assert "the database rewrites JSON" in named(found, "ssd_api_data_staging")["detail"]


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_column_that_is_too_short_is_an_error(deployed: TestDatabase, tmp_path: Path) -> None:
    deployed.execute(f"ALTER TABLE {deployed.table} ALTER COLUMN api_response TYPE VARCHAR(50)")
    found = check(deployed, tmp_path)

    assert found.code == 3
    assert "api_response holds 50 characters" in named(found, "ssd_api_data_staging")["detail"]


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize(("base", "code"), [("VARCHAR(48)", 0), ("VARCHAR(8)", 3)])
def test_column_of_a_domain_counts_as_what_the_domain_is_made_of(
    deployed: TestDatabase, tmp_path: Path, base: str, code: int
) -> None:
    deployed.execute(f"CREATE DOMAIN council_words AS {base}")
    deployed.execute(f"ALTER TABLE {deployed.table} ALTER COLUMN row_state DROP DEFAULT")
    deployed.execute(f"ALTER TABLE {deployed.table} ALTER COLUMN row_state TYPE council_words")
    assert check(deployed, tmp_path).code == code


@pytest.mark.parametrize("database", ["postgresql-odbc", "sqlite"], indirect=True)
def test_names_of_columns_are_compared_as_the_database_compares_them(deployed: TestDatabase, tmp_path: Path) -> None:
    """SQL Server does by the collation of the database: as SQLite, or, where it is a binary one, as PostgreSQL."""
    rename_column(deployed, LIVE, "person_id", "Person_ID")
    tells_apart = deployed.rows("SELECT CASE WHEN 'i' = 'I' THEN 0 ELSE 1 END")[0][0]

    found = check(deployed, tmp_path)
    done = invoke_cli(["run"], {**deployed.settings, "TESTING_MODE": "true"}, tmp_path)

    if deployed.dialect is Dialect.SQLITE or not tells_apart:
        assert (found.code, done.code) == (0, 0)
        return
    assert (found.code, done.code) == (3, 3)
    step = named(found, "ssd_api_data_staging")
    for said in (step["detail"], done.text):
        assert "has no column person_id (required) but Person_ID: this database tells capital from small" in said
    assert step["advice"].startswith("rename it to person_id")
