"""The packaged scripts, run for real: on nothing, twice, half, and on top of what is there already."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from api_pipeline.sql import ddl
from api_pipeline.sql.expected_tables import expected_tables
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load
from api_pipeline.sql.table_comparison import compare
from tests.support.altering import drop_index, rename_table
from tests.support.catalogue import found_columns, index_names
from tests.support.commands import invoke_cli
from tests.support.databases import ANON, TestDatabase, missing
from tests.support.layouts import LAYOUTS, make_table
from tests.support.postgres import PostgresServer
from tests.support.prepared import LIVE
from tests.support.staging import child, fill, staged, table_rows

CONTROL_TABLES = (
    *("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed", "ssd_api_left_window", "ssd_api_built"),
    "ssd_api_runs",
)
SAMPLES = ["SAMPLE1", "SAMPLE2", "SAMPLE3", "SAMPLE4"]


def columns_of(database: TestDatabase) -> dict[str, Any]:
    return {name: found_columns(database, database.named(name)) for name in (LIVE, ANON, *CONTROL_TABLES)}


def people(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [row["person_id"] for row in rows]


@pytest.mark.strict
def test_tables_are_as_the_schema_check_expects_them(deployed: TestDatabase) -> None:
    for table in expected_tables(deployed.dialect, deployed.table):
        assert compare(found_columns(deployed, table.name), table) == []
    assert [c.name for c in found_columns(deployed, deployed.anon_table)] == [
        c.name for c in found_columns(deployed, deployed.table)
    ]


@pytest.mark.parametrize("database", ["sqlite-odbc", "postgresql-odbc"], indirect=True)
def test_tables_are_as_expected_through_the_products_own_driver(deployed: TestDatabase) -> None:
    with closing(pyodbc.connect(deployed.connection_string)) as connection:
        through_driver = TestDatabase("driver", "", deployed.dialect, connection, deployed.schema)
        for table in expected_tables(deployed.dialect, deployed.table):
            assert compare(found_columns(through_driver, table.name), table) == []


@pytest.mark.strict
def test_script_run_again_changes_nothing(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1001"), staged("1002", status="sent", state="unchanged")])
    rows, samples = table_rows(deployed, deployed.table), table_rows(deployed, deployed.anon_table)
    columns = columns_of(deployed)

    deployed.deploy()

    assert columns_of(deployed) == columns
    assert table_rows(deployed, deployed.table) == rows
    assert table_rows(deployed, deployed.anon_table) == samples


def test_apply_lists_what_it_made_and_what_it_found(database: TestDatabase, tmp_path: Path) -> None:
    first = invoke_cli(["deploy-schema", "--apply"], database.settings, tmp_path)
    assert (first.code, "Found and left as it was: nothing." in first.out) == (0, True)
    (made,) = re.findall(r"^Made: (.*)\.$", first.out, re.MULTILINE)
    assert len(made.split(", ")) == 8
    assert "ssd_api_held" in made
    database.execute(f"DROP TABLE {database.named('ssd_api_held')}")
    again = invoke_cli(["deploy-schema", "--apply"], database.settings, tmp_path)
    assert re.findall(r"^Made: (\S*)\.$", again.out, re.MULTILINE) == [database.named("ssd_api_held")]
    assert "Found and left as it was: ssd_api" in again.out.replace(f"{database.schema}.", "")


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_apply_names_a_table_that_is_there_and_lacks_required_columns(database: TestDatabase, tmp_path: Path) -> None:
    held = database.named("ssd_api_held")
    database.execute(f"CREATE TABLE {held} (receiver VARCHAR(400), la_child_id VARCHAR(100))")
    done = invoke_cli(["deploy-schema", "--apply", "--table", database.table], database.settings, tmp_path)
    assert done.code == 0
    advice = f"d2i-csc-api test-schema --table {database.table}"
    assert f"A run cannot use what was found of {held}; what to change in it: {advice}" in done.out
    assert "are there" not in done.out
    found = json.loads(invoke_cli(["deploy-schema", "--apply", "--json"], database.settings, tmp_path).out)
    assert found["unusable"] == [held]


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("command", ["deploy-schema --apply", "init --unattended --make-tables --no-rehearse"])
def test_view_as_staging_table_goes_without_its_indexes(database: TestDatabase, tmp_path: Path, command: str) -> None:
    database.deploy()
    log = "ssd_api_submission_log"
    for table, index in ((LIVE, "due"), (LIVE, "person"), (log, "person")):
        drop_index(database, table, f"ix_{table}_{index}")
    rename_table(database, LIVE, "base")
    database.execute(f"CREATE VIEW {database.table} AS SELECT * FROM {database.named('base')}")
    database.execute(f"DROP TABLE {database.named('ssd_api_runs')}")
    done = invoke_cli([*command.split(), "--table", database.table], database.settings, tmp_path)
    assert done.code == 0, done.text
    # The script for SQL Server asks first whether it is a table, so nothing is refused there.
    assert (f"of {database.table} was not made" in done.text) == (database.dialect is not Dialect.SQLSERVER)
    assert f"ix_{log}_person" in index_names(database)


def test_script_cut_off_anywhere_is_completed_by_the_next(database: TestDatabase) -> None:
    for statement in ddl.statements(database.dialect, database.table):
        database.execute(statement)
        database.deploy()

    assert people(table_rows(database, database.anon_table)) == SAMPLES
    assert all(columns_of(database).values())


def test_row_with_nothing_but_a_payload_is_new_pending_and_not_yet_sent(deployed: TestDatabase) -> None:
    deployed.execute(f"INSERT INTO {deployed.table} (json_payload) VALUES ('{{}}')")

    (row,) = table_rows(deployed, deployed.table)
    assert (row["submission_status"], row["row_state"]) == ("pending", "new")
    assert row["submission_timestamp"] is None
    assert row["last_updated"] is not None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_table_that_is_there_is_accepted_and_keeps_its_columns_and_rows(database: TestDatabase, layout: str) -> None:
    make_table(database, database.table, layout)
    make_table(database, database.anon_table, layout)
    fill(database, database.table, [staged("1001", previous=child("1001")), staged("1001", state="Deleted")])
    fill(database, database.anon_table, [staged("C001", hash=None)])
    before = (
        found_columns(database, database.table),
        table_rows(database, database.table),
        table_rows(database, database.anon_table),
    )

    database.deploy()

    assert before == (
        found_columns(database, database.table),
        table_rows(database, database.table),
        table_rows(database, database.anon_table),
    )
    for table in expected_tables(database.dialect, database.table):
        assert [finding.column for finding in compare(found_columns(database, table.name), table)] in (
            [],
            ["legacy_id"],
        )


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_jsonb_table_is_accepted_and_its_empty_copy_gets_samples(
    database: TestDatabase,
) -> None:
    for table in (database.table, database.anon_table):
        make_table(database, table, "older", text="JSONB", time="TIMESTAMPTZ")
    database.execute(f"INSERT INTO {database.table} (person_id, json_payload) VALUES ('1', '{{\"b\": 1, \"a\": 2}}')")
    before = table_rows(database, database.table)

    database.deploy()

    assert table_rows(database, database.table) == before
    assert people(table_rows(database, database.anon_table)) == SAMPLES


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_anonymised_table_without_generated_ids_stays_empty(database: TestDatabase) -> None:
    make_table(database, database.anon_table, "older", id="INT PRIMARY KEY")

    database.deploy()

    assert database.count(database.anon_table) == 0


def test_samples_are_only_put_into_an_empty_anonymised_table(deployed: TestDatabase) -> None:
    deployed.execute(f"DELETE FROM {deployed.anon_table} WHERE person_id <> 'SAMPLE2'")

    deployed.deploy()

    assert people(table_rows(deployed, deployed.anon_table)) == ["SAMPLE2"]
    assert deployed.count(deployed.table) == 0


def test_naming_the_anonymised_table_makes_the_same_tables(database: TestDatabase) -> None:
    database.deploy(database.anon_table)

    assert all(columns_of(database).values())
    assert people(table_rows(database, database.anon_table)) == SAMPLES


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_bracketed_schema_keeps_its_case_and_holds_all_tables(database: TestDatabase) -> None:
    database.execute('CREATE SCHEMA "SocialCare"')

    for _ in range(2):
        database.deploy("[SocialCare].[Staging]")

    made = database.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'SocialCare'")
    assert {row[0] for row in made} == {"Staging", "Staging_anon", *CONTROL_TABLES}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_schema_of_sqlite_may_be_named(database: TestDatabase) -> None:
    for _ in range(2):
        database.deploy(f"main.{LIVE}")

    assert all(columns_of(database).values())


def _due(database: TestDatabase, statement: str) -> str:
    page = "LIMIT 200" if database.dialect is Dialect.SQLITE else "OFFSET 0 ROWS FETCH NEXT 200 ROWS ONLY"
    sql = load()[statement].sql.format(
        table=database.table, columns="id, person_id", odd_words="", after="AND id > 0", person="", page=page
    )
    return sql.replace("?", "0")


@pytest.mark.parametrize("statement", ["read_due", "count_due"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_due_rows_are_found_by_their_index(deployed: TestDatabase, statement: str) -> None:
    if deployed.dialect is Dialect.SQLSERVER:
        pytest.skip("SQL Server has no filtered index over expressions, and weighs by itself which index to walk")
    rows = (staged(str(n), status="sent" if n % 100 else "Pending", state="unchanged") for n in range(2000))
    fill(deployed, deployed.table, rows)
    is_sqlite = deployed.dialect is Dialect.SQLITE
    if not is_sqlite:
        deployed.execute(f"ANALYZE {deployed.table}")

    plan = deployed.rows(("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + _due(deployed, statement))

    assert any(f"ix_{LIVE}_due" in str(step[-1]) for step in plan)


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_every_index_is_made(deployed: TestDatabase) -> None:
    expected = {f"ix_{table}_{what}" for table in (LIVE, ANON) for what in ("due", "person")}
    expected |= {f"ix_ssd_api_submission_log_{what}" for what in ("run", "person", "child")}

    assert expected <= index_names(deployed)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_long_baseline_payloads_are_compressed_with_the_fast_method(deployed: TestDatabase) -> None:
    deployed.execute(
        "INSERT INTO ssd_api_held (receiver, la_child_id, held_payload, held_hash) VALUES ('r', '1', ?, '0')",
        ["x" * 50_000],
    )

    assert deployed.rows("SELECT pg_column_compression(held_payload) FROM ssd_api_held") == [("lz4",)]


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_table_without_its_payload_stays_as_it_is_on_an_older_server_too(deployed: TestDatabase) -> None:
    (block,) = (part for part in ddl.statements(Dialect.POSTGRESQL, LIVE) if "SET COMPRESSION" in part)
    deployed.execute("ALTER TABLE ssd_api_held DROP COLUMN held_payload")

    for word in ("COMPRESSION", "UNKNOWN_WORD"):
        deployed.execute(block.replace("SET COMPRESSION", f"SET {word}"))

    assert "held_payload" not in [column.name for column in found_columns(deployed, "ssd_api_held")]


def test_printed_script_runs_whole_on_sqlite(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "printed.db")) as connection:
        for _ in range(2):
            connection.executescript(ddl.render(Dialect.SQLITE, LIVE))
        assert connection.execute(f"SELECT COUNT(*) FROM {ANON}").fetchone() == (4,)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_printed_script_runs_whole_in_psql(database: TestDatabase, postgres_server: PostgresServer) -> None:
    psql = shutil.which("psql")
    if psql is None:
        missing("psql is not installed")
    name = str(database.rows("SELECT current_database()")[0][0])
    command = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(postgres_server.port)]
    for _ in range(2):
        done = subprocess.run(
            [*command, "-U", postgres_server.user, "-d", name],
            input=ddl.render(Dialect.POSTGRESQL, database.table),
            env={"PGPASSWORD": postgres_server.password, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert (done.returncode, "ERROR" in done.stderr) == (0, False)

    assert people(table_rows(database, database.anon_table)) == SAMPLES
