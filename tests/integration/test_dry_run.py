"""`run --dry-run` says what the next run does, and does nothing itself."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.staging import change, child, fill, hash_of, staged, table_rows, text_of
from tests.support.world import live_settings

BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
CONTROL_TABLES = ("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed", "ssd_api_runs")


def restage(database: TestDatabase, person: str, payload: dict[str, Any]) -> None:
    change(
        database,
        database.table,
        person,
        json_payload=text_of(payload),
        current_hash=hash_of(payload),
        submission_status="Pending",
        row_state="Updated",
    )


def everything(database: TestDatabase) -> list[Any]:
    """Return all rows of all tables of the pipeline."""
    tables = (database.table, *(database.named(name) for name in CONTROL_TABLES))
    return [database.rows(f"SELECT * FROM {table}") for table in tables]


def logged(database: TestDatabase, run: Completed) -> Counter[str]:
    """Return how many records of each kind the log has of a run."""
    run_id = json.loads(run.out)["run_id"]
    log = database.named("ssd_api_submission_log")
    return Counter(str(row[0]).strip() for row in database.rows(f"SELECT kind FROM {log} WHERE run_id = ?", [run_id]))


@pytest.mark.strict
@BOTH
def test_dry_run_counts_by_kind_what_the_next_run_sends(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    environment = {**deployed.settings, **live_settings(server), "USE_PARTIAL_PAYLOAD": "true"}
    fill(deployed, deployed.table, [staged(f"P{number}") for number in range(6)])
    assert invoke_cli(["run"], environment, tmp_path).code == 0
    restage(deployed, "P0", child("P0", mis_child_id="M0"))
    restage(deployed, "P1", {"la_child_id": "P1", "child_details": {"first_name": "Given P1"}})
    restage(deployed, "P2", child("P2"))
    restage(deployed, "P3", child("P3", no_such_member=1))
    change(deployed, deployed.table, "P4", row_state="Deleted", submission_status="Pending")
    fill(deployed, deployed.table, [staged("P9")])
    before, requests = everything(deployed), len(server.simulator.log)

    planned = invoke_cli(["run", "--dry-run", "--json"], environment, tmp_path)

    assert everything(deployed) == before
    assert len(server.simulator.log) == requests
    assert planned.code == 1, planned.text
    found = json.loads(planned.out)
    assert (found["due"], found["invalid"], found["up_to_date"]) == (6, 1, 1)
    assert found["follow_ups"] == 1
    run = invoke_cli(["run", "--json"], environment, tmp_path)
    assert run.code == 1
    done = json.loads(run.out)
    assert (done["due"], done["invalid"], done["unchanged"]) == (6, 1, 1)
    assert {kind: count["records"] for kind, count in found["kinds"].items()} == logged(deployed, run)
    assert (found["requests"], done["requests"]) == (2, 2)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_dry_run_of_a_table_where_nothing_is_due_says_so(deployed: TestDatabase, tmp_path: Path) -> None:
    done = invoke_cli(["run", "--dry-run"], {**deployed.settings, "TABLE_NAME": deployed.table}, tmp_path)
    assert done.code == 0
    assert "Result: nothing is due (exit code 0)" in done.out
    assert "nothing was written and nothing was sent" in done.out


@BOTH
def test_dry_run_names_the_rows_that_no_run_takes_and_ends_as_the_run_does(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    environment = {**deployed.settings, **live_settings(server)}
    fill(deployed, deployed.table, [staged("P1"), staged("P2", status="sending"), staged("P3")])
    change(deployed, deployed.table, "P3", json_payload=" ")
    told = invoke_cli(["run", "--dry-run"], environment, tmp_path)
    found = json.loads(invoke_cli(["run", "--dry-run", "--json"], environment, tmp_path).out)
    of_another = invoke_cli(["run", "--dry-run", "--person-id", "P1"], environment, tmp_path)
    run = json.loads(invoke_cli(["run", "--json"], environment, tmp_path).out)
    assert told.code == 1, told.text
    assert '(for example "sending" of person P2)' in told.out
    assert "1 row would be due but has no payload: no run takes it (for example P3)" in told.out
    assert "; 1 row has a status that no run takes" in told.out
    for name in ("unknown_status", "blank", "exit_code"):
        assert (found[name], name) == (run[name], name)
    assert of_another.code == 0, of_another.text


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_dry_run_of_deltas_needs_the_control_tables_as_a_run_does(deployed: TestDatabase, tmp_path: Path) -> None:
    deployed.execute("DROP TABLE ssd_api_held")
    settings = {**deployed.settings, "TABLE_NAME": deployed.table}
    done = invoke_cli(["run", "--dry-run", "--deltas"], settings, tmp_path)
    assert done.code == 2
    assert "deploy-schema --apply" in done.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sizes_of_a_dry_run_are_those_of_the_records_sent(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    environment = {**deployed.settings, **live_settings(server)}
    payloads = [child("P1"), child("P2", mis_child_id="M" * 30)]
    fill(deployed, deployed.table, [staged(payload["la_child_id"], payload) for payload in payloads])
    found = json.loads(invoke_cli(["run", "--dry-run", "--json"], environment, tmp_path).out)
    sizes = [len((text_of(payload) or "").encode()) for payload in payloads]
    assert found["bytes"] == sum(sizes)
    assert (found["largest_bytes"], found["largest_person_id"]) == (max(sizes), "P2")
    assert table_rows(deployed, deployed.table)[0]["submission_status"] == "Pending"


@pytest.mark.parametrize("arguments", [["--stage"], ["--report", "folder"]])
def test_dry_run_refuses_options_that_act(arguments: list[str], tmp_path: Path) -> None:
    done = invoke_cli(["run", "--dry-run", *arguments], {}, tmp_path)
    assert done.code == 2
    assert "--dry-run does not go with" in done.err
