"""METRICS_FILE, read by Prometheus' own parser."""

from __future__ import annotations

import importlib
import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.sandbox.simulator import Refusal
from tests.support.databases import missing
from tests.support.world import World

ONE_KIND = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def world(world: World) -> World:
    world.stage(3)
    return world


def metrics(path: Path) -> dict[str, Any]:
    """Return every sample by its name, or by name and outcome, as Prometheus reads the file."""
    try:
        parser = importlib.import_module("prometheus_client.parser")
    except ImportError:
        missing("prometheus-client is not installed")
    found = {}
    for family in parser.text_string_to_metric_families(path.read_text(encoding="utf-8")):
        assert (family.type, bool(family.documentation)) == ("gauge", True), family.name
        for sample in family.samples:
            outcome = sample.labels.get("outcome")
            found[f"{sample.name} {outcome}" if outcome else sample.name] = sample.value
    return found


def run(world: World, **settings: object) -> dict[str, Any]:
    world.run(METRICS_FILE="csc.prom", **settings)
    return metrics(world.folder / "csc.prom")


@ONE_KIND
def test_metrics_say_when_the_run_was_and_what_became_of_each_row(world: World) -> None:
    world.server.simulator.change(refusals=(Refusal(ids=frozenset({"P0001"}), message="no"),))
    before = time.time()
    found = run(world)
    assert found["csc_api_run_exit_code"] == 1
    assert before - 1 <= found["csc_api_run_start_timestamp_seconds"] <= found["csc_api_run_end_timestamp_seconds"]
    assert found["csc_api_run_due"] == 3
    outcomes = {name.split()[1]: value for name, value in found.items() if name.startswith("csc_api_run_records ")}
    assert outcomes.pop("accepted") == 2
    assert outcomes.pop("refused") == 1
    assert set(outcomes.values()) == {0}
    assert "csc_api_last_success_timestamp_seconds" not in found


@ONE_KIND
def test_time_of_the_last_good_run_outlives_a_bad_one(world: World) -> None:
    good = run(world)["csc_api_last_success_timestamp_seconds"]
    bad = run(world, BATCH_SIZE="x")
    assert bad["csc_api_run_exit_code"] == 2
    assert bad["csc_api_last_success_timestamp_seconds"] == good
    assert "csc_api_run_due" not in bad


@pytest.mark.strict
def test_age_of_the_oldest_due_row_is_known_on_every_database(world: World) -> None:
    world.server.simulator.change(refusals=(Refusal(ids=frozenset({"P0001"}), message="no"),))
    hour_ago = (datetime.now() - timedelta(hours=1)).isoformat(" ", "seconds")  # noqa: DTZ005 - the database's own time
    world.database.execute(f"UPDATE {world.database.table} SET last_updated = '{hour_ago}'")
    assert 3590 <= run(world)["csc_api_oldest_due_age_seconds"] <= 3900
    world.server.simulator.change(refusals=())
    assert run(world)["csc_api_oldest_due_age_seconds"] == 0


@ONE_KIND
@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_every_account_may_read_the_file_and_no_other_is_left(world: World) -> None:
    run(world)
    run(world)
    assert [path.name for path in world.folder.iterdir() if "prom" in path.name] == ["csc.prom"]
    assert (world.folder / "csc.prom").stat().st_mode & 0o777 == 0o644


@ONE_KIND
def test_age_is_known_of_a_table_that_keeps_a_zone_with_its_times(world: World) -> None:
    two_hours_ago = (datetime.now(timezone.utc) - timedelta(hours=2)).isoformat()
    world.database.execute(f"UPDATE {world.database.table} SET last_updated = '{two_hours_ago}'")
    world.run("--limit", "1", METRICS_FILE="csc.prom")
    assert 7190 <= metrics(world.folder / "csc.prom")["csc_api_oldest_due_age_seconds"] <= 7500


@ONE_KIND
@pytest.mark.parametrize("path", ["no/such/folder/csc.prom", "/", "."])
def test_file_that_cannot_be_written_is_a_warning_and_no_more(path: str, world: World) -> None:
    done = world.run(METRICS_FILE=path)
    assert done.code == 0
    assert "the metrics could not be written to" in done.err


def last_good_runs(world: World) -> dict[str, float]:
    """Return the end of the last good run of each mode, as the file has it."""
    lines = (world.folder / "csc.prom").read_text(encoding="utf-8").splitlines()
    own = [line.rsplit(" ", 1) for line in lines if line.startswith("csc_api_last_success_timestamp_seconds{")]
    return {labels.partition('mode="')[2].rstrip('"}'): float(value) for labels, value in own}


@ONE_KIND
def test_rehearsal_writes_metrics_of_its_own_mode(world: World) -> None:
    world.run(METRICS_FILE="csc.prom", TESTING_MODE="true", TABLE_NAME=world.database.table)
    assert 'mode="testing"' in (world.folder / "csc.prom").read_text(encoding="utf-8")


@ONE_KIND
@pytest.mark.parametrize("is_of_its_table", [True, False])
def test_rehearsal_is_no_good_run_of_live_mode_and_hides_none(world: World, *, is_of_its_table: bool) -> None:
    table = world.database.table if is_of_its_table else world.database.anon_table
    rehearsal = {"TESTING_MODE": "true", "TABLE_NAME": table}
    run(world, **rehearsal)
    run(world, BATCH_SIZE="x")
    assert list(last_good_runs(world)) == ["testing"]
    run(world)
    live = last_good_runs(world)["live"]
    run(world, **rehearsal)
    run(world, BATCH_SIZE="x")
    assert last_good_runs(world)["live"] == live


@ONE_KIND
@pytest.mark.parametrize("value", ["1.7.9", "NaN", "1e+", "-"])
def test_file_of_metrics_that_is_damaged_changes_no_run(world: World, value: str) -> None:
    labels = f'{{table="{world.database.table}",mode="live"}}'
    text = f"csc_api_last_success_timestamp_seconds{labels} {value}\n"
    (world.folder / "csc.prom").write_text(text, encoding="utf-8")
    done = world.run(METRICS_FILE="csc.prom", TOKEN_ENDPOINT="x")
    assert (done.code, metrics(world.folder / "csc.prom")["csc_api_run_exit_code"]) == (2, 2)


@ONE_KIND
def test_each_shard_has_metrics_of_its_own(world: World) -> None:
    world.stage(9, first=3)
    world.run("--shard", "1/2", METRICS_FILE="csc.prom", TOKEN_ENDPOINT="x")
    world.run("--shard", "2/2", METRICS_FILE="csc.prom")
    first, second = (metrics(world.folder / f"csc_shard_{number}_of_2.prom") for number in (1, 2))
    assert not (world.folder / "csc.prom").exists()
    assert (first["csc_api_run_exit_code"], second["csc_api_run_exit_code"]) == (2, 0)
    assert 'shard="1/2",mode="live"' in (world.folder / "csc_shard_1_of_2.prom").read_text(encoding="utf-8")
    assert "csc_api_last_success_timestamp_seconds" not in first
    assert second["csc_api_last_success_timestamp_seconds"]


@ONE_KIND
def test_no_metric_is_in_two_files_with_the_same_labels(world: World) -> None:
    for command in (["--shard", "1/2"], ["--shard", "2/2"], []):
        world.run(*command, METRICS_FILE="csc.prom")
    world.run(METRICS_FILE="other.prom", TESTING_MODE="true", TABLE_NAME=world.database.table)
    files = list(world.folder.glob("*.prom"))
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    samples = [line.rpartition(" ")[0] for line in lines]
    assert (len(files), len(set(samples))) == (4, len(samples))
