"""A new year begins: what leaves the time window leaves the payload, and is not taken from the receiver for that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.staging.tables import CIN_PLAN
from tests.properties.model import content
from tests.support.commands import Completed, invoke_cli
from tests.support.council_ssd import CouncilSsd, child_rows, council
from tests.support.databases import TestDatabase
from tests.support.effort import IS_LONG
from tests.support.ssd import cin_plan
from tests.support.world import World, recorded

BEFORE, AFTER = "2027-03-31", "2027-04-01"
EMBEDDED = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class Town:
    """One child with a plan that ended in 2024, which a window from 1 April 2025 on no longer holds."""

    def __init__(self, database: TestDatabase, server: SimulatorServer, folder: Path) -> None:
        self.ssd: CouncilSsd = council(database, folder)
        self.world = World(database, server, folder)
        old = cin_plan("OLD", "2024-05-01", "2024-09-01", referral="R1001", of="1001")
        open_plan = cin_plan("OPEN", "2025-01-10", referral="R1001", of="1001")
        self.ssd.put(child_rows("1001", cin_plans=[old, open_plan]))

    def night(self, day: str, mode: str, **settings: str) -> Completed:
        done = self.ssd.stage("--as-of", day, **self.world.environment(**settings))
        assert done.code == 0, done.text
        sent = self.world.run(mode)
        assert sent.code == 0, sent.text
        return sent

    def staged_plans(self) -> list[str]:
        return _plans(json.loads(self.ssd.rows()["1001"]["json_payload"]))

    def held_plans(self) -> list[str]:
        """Return the plans that the receiver holds, which the control table must know as well."""
        held = content(self.world.server.simulator.held("1001") or {})
        assert recorded(self.world.database)["1001"] == held
        return _plans(held)

    def differences(self) -> list[str]:
        """Return what `explain` says of the payload and what the receiver holds."""
        page = self.world.command("explain", "1001").out
        return [line.strip() for line in page.split("Difference", 1)[1].split("\n\n")[0].splitlines()[1:]]

    def noted(self) -> int:
        return self.world.database.count(self.world.database.named("ssd_api_left_window"))


def _plans(payload: dict[str, Any]) -> list[str]:
    (episode,) = payload["social_care_episodes"]
    return sorted(plan["child_in_need_plan_id"] for plan in episode.get("child_in_need_plans", []))


@pytest.fixture
def town(deployed: TestDatabase, tmp_path: Path) -> Iterator[Town]:
    with SimulatorServer() as server:
        yield Town(deployed, server, tmp_path)


@pytest.mark.parametrize(
    ("database", "mode"),
    # Each mode on the embedded database and on another.
    [
        *(("sqlite", mode) for mode in ("--full", "--deltas")),
        *(("postgresql-odbc", mode) for mode in ("--deltas", *(["--full"] if IS_LONG else []))),
        *(("strict", mode) for mode in ("--full", *(["--deltas"] if IS_LONG else []))),
    ],
    indirect=["database"],
)
def test_retained_part_leaves_the_payload_and_stays_at_the_receiver(town: Town, mode: str) -> None:
    town.night(BEFORE, mode)
    assert town.staged_plans() == town.held_plans() == ["OLD", "OPEN"]

    town.night(AFTER, mode)

    assert town.staged_plans() == ["OPEN"]
    assert town.held_plans() == ["OLD", "OPEN"]
    assert town.ssd.rows()["1001"]["submission_status"] == "sent"
    assert town.differences() == ["retained social_care_episodes[R1001].child_in_need_plans[OLD]"]
    town.ssd.rename("1001", "Other")
    town.night(AFTER, mode)
    assert town.held_plans() == ["OLD", "OPEN"]


@EMBEDDED
@pytest.mark.parametrize("mode", ["--full", "--deltas"])
def test_retained_part_is_purged_when_it_vanishes_from_the_ssd(town: Town, mode: str) -> None:
    town.night(BEFORE, mode)
    town.night(AFTER, mode)
    town.world.database.execute("DELETE FROM ssd_cin_plans WHERE cinp_cin_plan_id = 'OLD'")
    assert town.ssd.stage("--as-of", AFTER, **town.world.environment()).code == 0
    assert town.differences() == ["gone    social_care_episodes[R1001].child_in_need_plans[OLD]"]

    town.night(AFTER, mode)

    assert town.held_plans() == ["OPEN"]
    assert town.noted() == 0
    assert "nothing was due" in town.night(AFTER, mode).out


@EMBEDDED
@pytest.mark.parametrize("mode", ["--full", "--deltas"])
def test_part_outside_the_window_is_retained_when_the_table_was_emptied(town: Town, mode: str) -> None:
    town.night(BEFORE, mode)
    town.world.database.execute(f"DELETE FROM {town.world.database.table}")
    town.night(AFTER, mode)
    assert town.staged_plans() == ["OPEN"]
    assert town.held_plans() == ["OLD", "OPEN"]
    town.world.database.execute(f"DELETE FROM {town.world.database.table}")
    town.world.database.execute("DELETE FROM ssd_cin_plans WHERE cinp_cin_plan_id = 'OLD'")
    town.night(AFTER, mode)
    assert town.held_plans() == ["OPEN"]
    assert town.noted() == 0


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_part_outside_the_window_is_retained_where_the_emptied_table_fills_ids_up(town: Town) -> None:
    table = town.world.database.table
    town.world.database.execute(f"ALTER TABLE {table} ALTER COLUMN person_id TYPE CHAR(20)")
    town.night(BEFORE, "--full")
    town.world.database.execute(f"DELETE FROM {table}")
    for _ in range(2):
        town.night(AFTER, "--full")
        assert town.held_plans() == ["OLD", "OPEN"]
    town.ssd.rename("1001", "Other")
    town.night(AFTER, "--full")
    assert (town.held_plans(), town.noted()) == (["OLD", "OPEN"], 1)
    town.world.database.execute("DELETE FROM ssd_cin_plans WHERE cinp_cin_plan_id = 'OLD'")
    town.night(AFTER, "--full")
    assert (town.held_plans(), town.noted()) == (["OPEN"], 0)


@EMBEDDED
@pytest.mark.parametrize("mode", ["--full", "--deltas"])
def test_part_outside_the_window_is_purged_when_set(town: Town, mode: str) -> None:
    town.night(BEFORE, mode, PURGE_LEFT_WINDOW="true")
    town.night(AFTER, mode, PURGE_LEFT_WINDOW="true")
    assert town.held_plans() == ["OPEN"]
    assert town.noted() == 0


@EMBEDDED
def test_retained_part_is_purged_once_the_setting_changes(town: Town) -> None:
    town.night(BEFORE, "--deltas")
    town.night(AFTER, "--deltas")
    assert town.noted() == 1

    town.night(AFTER, "--deltas", PURGE_LEFT_WINDOW="true")

    assert town.held_plans() == ["OPEN"]
    assert town.noted() == 0


@EMBEDDED
def test_part_stays_retained_when_children_enter_another_table(town: Town) -> None:
    town.night(BEFORE, "--deltas")
    town.night(AFTER, "--deltas")
    other = {**town.world.environment(), "TABLE_NAME": "other_table", "API_ENDPOINT": "http://127.0.0.1:1/1"}
    for command in (["deploy-schema", "--apply"], ["stage", "--as-of", AFTER]):
        assert invoke_cli(command, other, town.ssd.folder).code == 0
    assert town.noted() == 1
    town.world.database.execute(f"UPDATE {town.world.database.table} SET submission_status = 'error'")

    town.night(AFTER, "--full")

    assert town.held_plans() == ["OLD", "OPEN"]


@EMBEDDED
def test_retained_part_back_in_the_window_is_an_ordinary_part(town: Town) -> None:
    town.night(BEFORE, "--deltas")
    town.night(AFTER, "--deltas")
    town.ssd.update(CIN_PLAN, "cinp_cin_plan_id = 'OLD'", cinp_cin_plan_end_date=None)
    town.night(AFTER, "--deltas")
    assert town.staged_plans() == town.held_plans() == ["OLD", "OPEN"]
    assert town.noted() == 0


@EMBEDDED
def test_deleted_child_has_no_retained_parts(town: Town) -> None:
    town.night(BEFORE, "--deltas")
    town.night(AFTER, "--deltas")
    town.ssd.remove("1001")

    assert town.ssd.stage("--as-of", AFTER, "--allow-deletions", **town.world.environment()).code == 0

    assert town.noted() == 0
    assert town.world.run("--deltas").code == 0
    assert town.world.server.simulator.all_held() == {}


@EMBEDDED
def test_part_that_was_never_sent_is_not_retained(town: Town) -> None:
    town.ssd.staged("--as-of", BEFORE)
    town.ssd.staged("--as-of", AFTER)
    assert town.staged_plans() == ["OPEN"]
    assert town.noted() == 0


@EMBEDDED
def test_without_the_table_a_warning_says_parts_are_purged(town: Town) -> None:
    town.world.database.execute("DROP TABLE ssd_api_left_window")
    done = town.ssd.stage("--as-of", BEFORE)
    assert done.code == 0
    assert "ssd_api_left_window is missing" in done.err
    assert "deploy-schema --apply" in done.err
    assert town.world.run("--deltas").code == 0
    assert "missing" not in town.ssd.stage("--as-of", BEFORE, PURGE_LEFT_WINDOW="true").err
