"""A login without rights on a table of SQL Server, which then shows no sign of it in its catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.sql.identifiers import Dialect
from tests.support.commands import invoke_cli
from tests.support.databases import EXTERNAL_KIND, TestDatabase
from tests.support.logins import sql_server_login

# Without a database of somebody's own there is no SQL Server to try.
if EXTERNAL_KIND:
    pytestmark = pytest.mark.parametrize("database", EXTERNAL_KIND, indirect=True)

    def test_schema_check_calls_no_table_missing_that_the_login_may_not_read(
        deployed: TestDatabase, tmp_path: Path
    ) -> None:
        _only_on_sql_server(deployed)
        staging, held = (f"SELECT ON {deployed.named(name)}" for name in ("ssd_api_data_staging", "ssd_api_held"))
        with sql_server_login(deployed, staging, held) as login:
            done = invoke_cli(["test-schema"], _as(deployed, login.connection_string), tmp_path)
        assert done.code == 3
        assert "does not exist" not in done.text
        built = deployed.named("ssd_api_built")
        assert f"The table {built} cannot be read: what stage built each payload from" in done.text
        assert "The login may not do this in the database" in done.text

    def test_run_says_that_rights_are_missing_and_not_the_table(deployed: TestDatabase, tmp_path: Path) -> None:
        _only_on_sql_server(deployed)
        with sql_server_login(deployed) as login:
            done = invoke_cli(["run"], _as(deployed, login.connection_string), tmp_path)
        assert done.code == 3
        assert "The login may not do this in the database" in done.text
        assert "does not exist" not in done.text


def _as(database: TestDatabase, connection_string: str) -> dict[str, str]:
    return {**database.settings, "DB_CONNECTION_STRING": connection_string}


def _only_on_sql_server(database: TestDatabase) -> None:
    if database.dialect is not Dialect.SQLSERVER:
        pytest.skip("every other database shows a table to a login without rights on it")
