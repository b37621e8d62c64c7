"""`test-schema` on tables as councils have them: whole, missing, of another schema, empty, or without a right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlglot

from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sql.ddl import script_name
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import Statement, load
from tests.integration.diagnosed_schema import CONTROL_TABLES, check, named
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase
from tests.support.diagnosing import diagnose
from tests.support.logins import another_login
from tests.support.marks import EMBEDDED
from tests.support.postgres import PostgresServer
from tests.support.prepared import LIVE
from tests.support.staging import fill, staged
from tests.support.world import live_settings


def test_tables_of_the_packaged_script_pass(deployed: TestDatabase, tmp_path: Path) -> None:
    found = check(deployed, tmp_path)

    assert found.code == 0
    around = ("rights", "rows")
    assert {step["status"] for name, step in found.steps.items() if name not in around} == {"ok"}
    assert found.steps["rights"]["status"] == ("skipped" if deployed.dialect is Dialect.SQLITE else "ok")
    assert "has no rows" in found.steps["rows"]["detail"]
    assert named(found, "ssd_api_data_staging")["detail"] == "13 expected columns are there (required)"
    assert len(found.steps) == 12


@EMBEDDED
def test_database_file_that_may_not_be_written_fails(
    deployed: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))
    found = check(deployed, tmp_path)

    assert found.code == 3
    assert "this account may not write " in found.steps["rights"]["detail"]
    assert "write the database file and its folder" in found.steps["rights"]["advice"]


def test_missing_table_is_named_with_the_command_that_makes_it(database: TestDatabase, tmp_path: Path) -> None:
    # No other schema of a database that tests share has a table of this name.
    settings = {**database.settings, "TABLE_NAME": database.named("staging_nowhere")}

    found = diagnose("test-schema", settings, tmp_path)

    step = named(found, "staging_nowhere")
    assert found.code == 3
    assert step["status"] == "failed"
    assert step["detail"].endswith("does not exist: the rows that are to be sent.")
    script = script_name(database.dialect)
    assert step["advice"] == f"d2i-csc-api deploy-schema --apply makes it (packaged script {script})"
    for control_table in CONTROL_TABLES:
        assert named(found, control_table)["status"] == "remark"


def test_missing_control_tables_get_remarks_and_one_command(deployed: TestDatabase, tmp_path: Path) -> None:
    deployed.execute(f"DROP TABLE {deployed.named('ssd_api_held')}")
    found = check(deployed, tmp_path)

    step = named(found, "ssd_api_held")
    assert found.code == 0
    assert step["status"] == "remark"
    assert "without it deltas are refused" in step["detail"]
    assert "d2i-csc-api deploy-schema --apply makes it" in step["advice"]

    deployed.deploy()
    assert named(check(deployed, tmp_path), "ssd_api_held")["status"] == "ok"


@pytest.mark.parametrize("control_table", ["ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed"])
def test_tables_that_deltas_need_are_required_with_deltas(
    deployed: TestDatabase, tmp_path: Path, control_table: str
) -> None:
    deployed.execute(f"DROP TABLE {deployed.named(control_table)}")
    deltas = {**deployed.settings, "USE_PARTIAL_PAYLOAD": "true"}

    found = diagnose("test-schema", deltas, tmp_path)
    refused = invoke_cli(["run", "--table", deployed.table], deltas, tmp_path)

    assert refused.code == 2, refused.text
    assert (found.code, named(found, control_table)["status"]) == (3, "failed")
    assert "d2i-csc-api deploy-schema --apply makes it" in named(found, control_table)["advice"]
    assert check(deployed, tmp_path).code == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("control_table", ["ssd_api_left_window", "ssd_api_runs"])
def test_tables_that_deltas_do_not_need_get_a_remark(
    deployed: TestDatabase, tmp_path: Path, control_table: str
) -> None:
    deployed.execute(f"DROP TABLE {deployed.named(control_table)}")
    found = diagnose("test-schema", {**deployed.settings, "USE_PARTIAL_PAYLOAD": "true"}, tmp_path)

    assert (found.code, named(found, control_table)["status"]) == (0, "remark")


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_table_in_a_schema_of_its_own_is_looked_for_there(database: TestDatabase, tmp_path: Path) -> None:
    database.execute('CREATE SCHEMA "Ssd"')
    database.deploy("[Ssd].ssd_api_data_staging")

    assert (
        diagnose("test-schema", {**database.settings, "TABLE_NAME": "[Ssd].ssd_api_data_staging"}, tmp_path).code == 0
    )
    assert check(database, tmp_path).code == 3


def test_another_table_can_be_named(deployed: TestDatabase, tmp_path: Path) -> None:
    found = check(deployed, tmp_path, "--table", deployed.anon_table)

    assert found.code == 0
    assert found.steps["settings"]["detail"] == f"staging table {deployed.anon_table}"


def test_invalid_table_name_is_refused(database: TestDatabase, tmp_path: Path) -> None:
    found = check(database, tmp_path, "--table", "x; DROP TABLE y")

    assert (found.code, found.failed) == (2, "settings")
    assert "TABLE_NAME" in found.sentence


def test_test_touches_nothing(deployed: TestDatabase, tmp_path: Path) -> None:
    tables = ("ssd_api_data_staging", "ssd_api_data_staging_anon", *CONTROL_TABLES)
    before = {table: deployed.count(deployed.named(table)) for table in tables}
    check(deployed, tmp_path)

    assert {table: deployed.count(deployed.named(table)) for table in tables} == before


@pytest.mark.parametrize(
    "statement",
    [each for each in load("diagnostics_queries.sql").values() if not each.name.endswith(("postgresql", "sqlite"))],
    ids=lambda statement: statement.name,
)
def test_statements_for_sql_server_are_t_sql_that_only_reads(statement: Statement) -> None:
    (parsed,) = sqlglot.parse(statement.sql.format(any_table="dbo.rows").replace("?", "@table"), dialect="tsql")

    assert isinstance(parsed, sqlglot.exp.Select)
    assert statement.purpose


@pytest.mark.parametrize("statement", load("rights_queries.sql").values(), ids=lambda statement: statement.name)
def test_statements_that_try_rights_are_t_sql_that_changes_no_row(statement: Statement) -> None:
    text = statement.sql.format(held="held", log="log_", unconfirmed="unconfirmed", runs="runs")
    (parsed,) = sqlglot.parse(text, dialect="tsql")

    assert parsed is not None
    assert str(parsed.find(sqlglot.exp.Where)) == "WHERE 1 = 0"


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize(
    "right",
    [
        "UPDATE ON ssd_api_data_staging",
        "INSERT ON ssd_api_submission_log",
        "UPDATE ON ssd_api_held",
        "UPDATE ON ssd_api_unconfirmed",
        "SELECT ON ssd_api_left_window",
    ],
)
def test_login_that_lacks_a_right_of_a_run_is_told_before_any_run(
    deployed: TestDatabase, postgres_server: PostgresServer, tmp_path: Path, right: str
) -> None:
    with another_login(deployed, postgres_server, "ALL ON ALL TABLES IN SCHEMA public") as login:
        deployed.execute(f"REVOKE {right} FROM {login.name}")
        settings = {**deployed.settings, "DB_CONNECTION_STRING": login.connection_string}
        found = diagnose("test-schema", settings, tmp_path)

    assert found.code == 3
    assert found.steps["rights"]["status"] == "failed"
    assert right.rpartition(" ")[2] in found.steps["rights"]["detail"]
    assert "the rights that a run needs" in found.steps["rights"]["advice"]


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_rights_on_the_control_tables_are_tried_without_a_journal_too(
    deployed: TestDatabase, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    with another_login(deployed, postgres_server, "ALL ON ALL TABLES IN SCHEMA public") as login:
        deployed.execute(f"REVOKE INSERT ON ssd_api_held FROM {login.name}")
        deployed.execute(f"REVOKE SELECT ON ssd_api_runs FROM {login.name}")
        settings = {**deployed.settings, "DB_CONNECTION_STRING": login.connection_string}
        found = diagnose("test-schema", settings, tmp_path)

    assert found.code == 3
    assert "The control table ssd_api_held cannot be written to" in found.steps["rights"]["detail"]


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_table_of_another_schema_is_named_before_a_second_one_is_made(database: TestDatabase, tmp_path: Path) -> None:
    database.execute("CREATE SCHEMA ssd")
    assert invoke_cli(["deploy-schema", "--apply", "--table", "ssd.ssd_api_data_staging"], database.settings, tmp_path)

    step = named(check(database, tmp_path), "ssd_api_data_staging")
    assert "there is ssd.ssd_api_data_staging" in step["detail"]
    assert "set TABLE_NAME=ssd.ssd_api_data_staging" in step["advice"]

    refused = invoke_cli(["deploy-schema", "--apply"], database.settings, tmp_path)
    assert refused.code == 2
    assert "there is ssd.ssd_api_data_staging. Nothing was made" in refused.err
    assert database.rows("SELECT 1 FROM information_schema.tables WHERE table_schema = 'public'") == []
    named_so = invoke_cli(
        ["deploy-schema", "--apply", "--table", "public.ssd_api_data_staging"], database.settings, tmp_path
    )
    assert named_so.code == 0, named_so.text


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_empty_table_is_told_with_what_fills_it(deployed: TestDatabase, tmp_path: Path) -> None:
    for command, code in (("run", 0), ("validate", 0), ("status", 0), ("test-schema", 0)):
        done = invoke_cli([command, "--table", deployed.table], deployed.settings, tmp_path)
        assert done.code == code, done.text
        assert "fill it: d2i-csc-api stage" in done.out, command
    fill(deployed, deployed.table, [staged("P1", status="Sent")])
    for command in ("run", "validate", "status", "test-schema"):
        assert "fill it" not in invoke_cli([command, "--table", deployed.table], deployed.settings, tmp_path).out


@pytest.mark.parametrize("dialect", Dialect)
def test_every_statement_stands_there_for_every_kind_of_database(dialect: Dialect) -> None:
    names = load("diagnostics_queries.sql")

    assert f"columns_{dialect.value}" in names
    assert f"version_{dialect.value}" in names


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER person_id TYPE uuid USING NULL", "person_id is uuid, which does not hold text"),
        ("ALTER previous_json_payload TYPE jsonb USING NULL", '"previous_json_payload" is of type jsonb'),
        ("ALTER current_hash TYPE text USING NULL", '"previous_hash" is of type bytea but expression is of type text'),
        ("ALTER api_response TYPE xml USING NULL", '"api_response" is of type xml'),
        (
            f"ALTER id DROP IDENTITY; ALTER TABLE {LIVE} ALTER id TYPE numeric(18, 2) USING id + 0.5",
            "2 ids are not whole numbers",
        ),
    ],
)
def test_table_that_could_not_take_the_answers_fails_and_no_run_sends_from_it(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path, change: str, said: str
) -> None:
    fill(deployed, deployed.table, [staged("1001"), staged("1002")])
    deployed.execute(f"ALTER TABLE {deployed.table} {change}")
    found = check(deployed, tmp_path)
    assert found.code == 3
    assert any(said in step["detail"] for step in found.steps.values()), found.steps

    done = invoke_cli(["run"], {**deployed.settings, **live_settings(server)}, tmp_path)
    assert done.code == 3
    assert said in done.text
    assert server.simulator.stats().requests == 0
    assert deployed.count(deployed.table, "api_response IS NULL") == 2


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        "ALTER previous_hash TYPE varchar(40) USING NULL, ALTER current_hash TYPE char(64) USING repeat('0', 64)",
        "ADD CHECK (row_state IN ('New', 'Unchanged'))",
    ],
)
def test_rows_that_all_refuse_their_answers_fail(deployed: TestDatabase, tmp_path: Path, change: str) -> None:
    fill(deployed, deployed.table, [staged("1001"), staged("1002")])
    deployed.execute(f"ALTER TABLE {deployed.table} {change}")
    found = check(deployed, tmp_path)
    assert found.code == 3
    assert any("refused the statement mark_sent" in step["detail"] for step in found.steps.values()), found.steps


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_constraint_that_refuses_a_word_of_a_run_is_named_and_not_rights(
    deployed: TestDatabase, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("1001"), staged("1002")])
    deployed.execute(f"ALTER TABLE {deployed.table} ADD CHECK (submission_status <> 'sent')")
    found = check(deployed, tmp_path)
    assert found.code == 3
    assert found.steps["rights"]["status"] == "failed"
    assert "which constraint of the table refuses" in found.steps["rights"]["advice"]
    assert "for the rights" not in found.steps["rights"]["advice"]


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_row_that_alone_refuses_its_answer_does_not_fail_the_table(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1001"), staged("1002")])
    deployed.execute(f"ALTER TABLE {deployed.table} ADD CHECK (person_id <> '1001' OR row_state = 'New')")
    assert check(deployed, tmp_path).code == 0
