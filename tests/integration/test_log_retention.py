"""LOG_KEEP_DAYS: old lines of the submission log go at the end of a run, those still needed stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from api_pipeline.outbox import log_retention
from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sql.identifiers import Dialect
from tests.support.databases import TestDatabase
from tests.support.world import World

COLUMNS = "run_id, batch, staging_table, staging_id, person_id, la_child_id, kind, sent_hash, outcome, logged_at"


def put_lines(world: World, person: str | None, days: int, count: int = 1, outcome: str = "refused") -> None:
    """Put lines into the submission log as they were written some days ago."""
    database = world.database
    then = (datetime.now(timezone.utc) - timedelta(days=days)).replace(tzinfo=None, microsecond=0)
    logged_at = then.isoformat(" ") + ".000" if database.dialect is Dialect.SQLITE else then
    row = ["earlier", 1, database.table, 1, person, person, "full", "0" * 64, outcome, logged_at]
    for _ in range(count):
        database.execute(
            f"INSERT INTO {database.named('ssd_api_submission_log')} ({COLUMNS}) VALUES ({', '.join('?' * len(row))})",
            row,
        )


def earlier(world: World) -> list[str]:
    """Return whose the lines are that were there before the run."""
    log = world.database.named("ssd_api_submission_log")
    found = world.database.rows(f"SELECT person_id FROM {log} WHERE run_id = 'earlier' ORDER BY id")
    return [str(row[0]) for row in found]


@pytest.fixture
def council(deployed: TestDatabase, tmp_path: Path) -> Iterator[World]:
    with SimulatorServer() as server:
        world = World(deployed, server, tmp_path)
        world.stage(2)
        yield world


@pytest.mark.strict
def test_old_lines_are_deleted_in_steps_and_counted(council: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_retention, "LINES_IN_A_STEP", 3)
    put_lines(council, "old", 40, count=7)
    put_lines(council, None, 31)
    put_lines(council, "young", 29, count=2)

    done = council.run("--json", LOG_KEEP_DAYS=30)

    assert done.code == 0, done.text
    assert earlier(council) == ["young", "young"]
    assert json.loads(done.out)["log_lines_deleted"] == 8
    log = council.database.named("ssd_api_submission_log")
    assert council.database.rows(f"SELECT COUNT(*) FROM {log}")[0][0] == 4


def test_old_lines_behind_those_that_a_wrong_clock_dated_ahead_go(
    council: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_retention, "LINES_IN_A_STEP", 3)
    put_lines(council, "ahead", -1000, count=3)
    put_lines(council, "old", 40)

    assert council.run(LOG_KEEP_DAYS=30).code == 0

    assert earlier(council) == ["ahead"] * 3


@pytest.mark.parametrize("database", ["strict"], indirect=True)
def test_lines_whose_numbers_the_driver_cuts_stay_and_are_told(council: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_retention, "LINES_IN_A_STEP", 3)
    log = council.database.named("ssd_api_submission_log")
    put_lines(council, "first", 40, count=5)
    council.database.execute(f"UPDATE {log} SET id = id + 4294967294 WHERE id > 2")

    done = council.run(LOG_KEEP_DAYS=30)

    assert done.code == 0, done.text
    assert f"The ids of {log} do not come in their order" in done.text
    assert earlier(council) == ["first"] * 5


@pytest.mark.strict
def test_an_acceptance_that_is_still_needed_stays(council: World) -> None:
    # P0000 is sent by this run, so that its baseline says what DfE holds; of P0001 the receiver will hold nothing.
    council.database.execute(
        f"UPDATE {council.database.table} SET submission_status = 'sent', row_state = 'unchanged' "
        "WHERE person_id = 'P0001'"
    )
    for person in ("P0000", "P0001", "gone"):
        put_lines(council, person, 400, outcome="accepted")
        put_lines(council, person, 400, outcome="refused")

    done = council.run(LOG_KEEP_DAYS=365)

    assert done.code == 0, done.text
    assert earlier(council) == ["P0001"]
    assert "5 lines of the submission log older than LOG_KEEP_DAYS were deleted" in done.out


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_old_lines_of_the_table_in_another_spelling_go_and_those_of_another_table_stay(council: World) -> None:
    spellings = ("main.ssd_api_data_staging", "[SSD_api_data_staging]", "[main].[ssd_api_data_staging]")
    others = ("ssd_api_data_staging_anon", "main.ssd_api", "no table's name")
    for name in (*spellings, *others):
        put_lines(council, name, 40)
        council.database.execute(
            "UPDATE ssd_api_submission_log SET staging_table = person_id WHERE person_id = ?", [name]
        )

    assert council.run(LOG_KEEP_DAYS=30).code == 0

    assert earlier(council) == list(others)


@pytest.mark.parametrize("settings", [{}, {"LOG_KEEP_DAYS": 0}, {"LOG_KEEP_DAYS": 30, "TESTING_MODE": "true"}])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nothing_is_deleted_unless_the_officer_said_so(council: World, settings: dict[str, object]) -> None:
    put_lines(council, "old", 4000, count=3)

    assert council.run(**settings).code == 0

    assert len(earlier(council)) == 3


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_lines_that_cannot_be_deleted_end_no_run(council: World) -> None:
    put_lines(council, "old", 40)
    council.database.execute(
        "CREATE TRIGGER keep BEFORE DELETE ON ssd_api_submission_log BEGIN SELECT RAISE(ABORT, 'no'); END"
    )

    done = council.run(LOG_KEEP_DAYS=30)

    assert done.code == 0, done.text
    assert "old lines of ssd_api_submission_log could not be deleted (LOG_KEEP_DAYS)" in done.err
    assert earlier(council) == ["old"]
