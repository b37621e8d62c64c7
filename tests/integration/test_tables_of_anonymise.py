"""Which tables `anonymise` reads and writes: their names, their layouts, and their locks."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from api_pipeline.anonymise.tables import PAGE_SIZE
from tests.support.anonymising import copied_rows, run
from tests.support.commands import clean_environment, invoke_cli
from tests.support.databases import TestDatabase, no_server
from tests.support.killed import wait_until_lock_is_free
from tests.support.layouts import make_table
from tests.support.staging import child, fill, hash_of, staged, table_rows

pytestmark = pytest.mark.strict


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--target", "ssd_api_data_staging"], "does not end in _anon"),
        (["--target", "x_anon.ssd_api_data_staging"], "does not end in _anon"),
        (["--target", "[ssd_api_data_staging]"], "does not end in _anon"),
        (["--target", "ssd_anon; DROP TABLE x_anon"], "--target: expected"),
        (["--source", "a b"], "--source: expected"),
        (["--source", "ssd_api_data_staging_anon"], "is itself an anonymised copy"),
    ],
)
def test_only_a_table_that_ends_in_anon_is_ever_written_to(
    deployed: TestDatabase, tmp_path: Path, arguments: list[str], told: str
) -> None:
    fill(deployed, deployed.table, [staged("1")])
    before = table_rows(deployed, deployed.table), copied_rows(deployed)

    done = run(deployed, tmp_path, "--replace", *arguments)

    assert done.code == 2
    assert told in done.err
    assert (table_rows(deployed, deployed.table), copied_rows(deployed)) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_copy_table_is_found_from_either_table_name(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1")])
    settings = {**deployed.settings, "TABLE_NAME": deployed.anon_table}

    assert invoke_cli(["anonymise", "--replace"], settings, tmp_path).code == 0

    assert deployed.count(deployed.anon_table) == 1


@no_server
def test_tables_without_legacy_id_work(database: TestDatabase, tmp_path: Path) -> None:
    for table in (database.table, database.anon_table):
        make_table(database, table, "older")
    fill(database, database.table, [staged("1", legacy_id="L")])

    done = run(database, tmp_path)

    assert done.code == 0, done.text
    assert len(copied_rows(database)) == 1


@no_server
def test_missing_copy_table_is_named(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1")])

    done = run(deployed, tmp_path, "--target", deployed.named("rehearsal_anon"))

    assert done.code == 3
    assert "rehearsal_anon" in done.err


@no_server
@pytest.mark.parametrize("option", ["--source", "--target"])
def test_missing_table_is_reported_with_its_option(deployed: TestDatabase, tmp_path: Path, option: str) -> None:
    name = deployed.named("nosuch" if option == "--source" else "nosuch_anon")

    done = run(deployed, tmp_path, option, name)

    assert done.code == 3
    assert f"check {option}, or make the tables" in done.err
    assert "TABLE_NAME" not in done.err


def test_copy_table_locked_by_a_run_is_left_alone(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1")])
    program = textwrap.dedent(
        f"""
        from api_pipeline.db import run_lock
        from api_pipeline.db import connect
        connection = connect({deployed.connection_string!r})
        lock = run_lock.take(connection, {deployed.anon_table!r}, None)
        print("held", flush=True)
        input()
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=clean_environment(deployed.settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        before = copied_rows(deployed)
        done = run(deployed, tmp_path, "--replace")
        process.kill()
    assert done.code == 75, done.text
    assert copied_rows(deployed) == before
    wait_until_lock_is_free(deployed, deployed.anon_table)
    assert run(deployed, tmp_path, "--replace").code == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_copy_whose_database_drops_rows_is_refused_and_unchanged(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("P1", '{"la_child_id": "P1"}')])
    before = copied_rows(deployed)
    meddling = f"CREATE TRIGGER meddling BEFORE INSERT ON {deployed.anon_table} BEGIN SELECT RAISE(IGNORE); END"
    deployed.execute(meddling)

    done = run(deployed, tmp_path, "--replace")

    assert done.code == 3, done.text
    assert "(records: 1, rows: 0)" in done.err
    assert copied_rows(deployed) == before


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_hashes_of_a_copy_that_keeps_them_as_texts_are_hexadecimal(deployed: TestDatabase, tmp_path: Path) -> None:
    for column in ("current_hash", "previous_hash"):
        change = f"ALTER COLUMN {column} TYPE VARCHAR(64) USING encode({column}, 'hex')"
        deployed.execute(f"ALTER TABLE {deployed.anon_table} {change}")
    fill(deployed, deployed.table, [staged("1", previous=child("1")), staged("2")])

    done = run(deployed, tmp_path, "--replace")

    assert done.code == 0, done.text
    for row in copied_rows(deployed):
        assert row["current_hash"] == hash_of(row["json_payload"]).hex()
        assert row["previous_hash"] in (None, row["current_hash"])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (["1", "NULL", "2"], "1 row has no id"),
        (["1", "2", "1"], "1 id is not unique"),
        (["1", "'x7'", "2"], "has the id x7, which is not a whole number"),
    ],
)
def test_live_table_whose_rows_have_no_ids_of_their_own_is_refused(
    deployed: TestDatabase, tmp_path: Path, ids: list[str], told: str
) -> None:
    columns = "person_id, json_payload, previous_json_payload, row_state"
    deployed.execute(f"CREATE TABLE loaded (id, {columns})")
    fill(deployed, deployed.table, [staged("1")])
    for row_id in ids:
        deployed.execute(f"INSERT INTO loaded SELECT {row_id}, {columns} FROM {deployed.table}")
    before = copied_rows(deployed)

    done = run(deployed, tmp_path, "--replace", "--source", "loaded", "--target", deployed.anon_table)

    assert done.code == 3
    assert told in done.err
    assert copied_rows(deployed) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["json_payload", "person_id"])
def test_row_that_cannot_be_decoded_is_skipped_alone(deployed: TestDatabase, tmp_path: Path, column: str) -> None:
    fill(deployed, deployed.table, [staged(str(number)) for number in range(1, 2 * PAGE_SIZE + 10)])
    for row_id in (PAGE_SIZE + 3, 2 * PAGE_SIZE + 3):
        deployed.execute(f"UPDATE {deployed.table} SET {column} = CAST(X'7BFF7D' AS TEXT) WHERE id = {row_id}")

    done = run(deployed, tmp_path, "--replace")

    assert done.code == 0, done.text
    assert f"id {PAGE_SIZE + 3}, {2 * PAGE_SIZE + 3} of" in done.out
    assert len(copied_rows(deployed)) == 2 * PAGE_SIZE + 7
