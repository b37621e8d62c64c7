"""The order in which the versions of a child are sent, and how they fill the batches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.staging import change, child, fill, staged, table_rows
from tests.support.world import World


@pytest.mark.strict
def test_two_rows_of_one_child_are_sent_in_the_order_of_their_ids(world: World) -> None:
    versions = [child("1", mis_child_id=f"V{number}") for number in range(4)]
    fill(world.database, world.database.table, [staged("1", version) for version in versions])
    done = world.run("--max-in-flight", "8")
    assert done.code == 0, done.text
    assert world.server.simulator.held("1") == versions[-1]
    assert {row["submission_status"] for row in table_rows(world.database, world.database.table)} == {"sent"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("in_flight", ["1", "4"])
def test_rows_of_two_people_with_one_child_are_sent_one_after_the_other(world: World, in_flight: str) -> None:
    versions = [child("1", mis_child_id=f"V{number}") for number in range(3)]
    rows = [staged(f"P{number}", version) for number, version in enumerate(versions)]
    fill(world.database, world.database.table, [rows[0], staged("2"), rows[1], staged("3"), rows[2]])
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=in_flight)
    assert done.code == 0, done.text
    records = [json.loads(record) for record in world.server.simulator.accepted_records]
    assert [record["mis_child_id"] for record in records if record["la_child_id"] == "1"] == ["V0", "V1", "V2"]
    assert {row["submission_status"] for row in table_rows(world.database, world.database.table)} == {"sent"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("in_flight", ["1", "4"])
def test_records_that_follow_a_purge_fill_the_batches_of_the_run(world: World, in_flight: str) -> None:
    def version(number: int, night: int) -> dict[str, Any]:
        closure = {"closure_date": "2026-01-01"} if night == 1 or number % 5 else {"referral_source": "1A"}
        episode = {"social_care_episode_id": "E", **closure}
        return {"la_child_id": f"P{number}", "mis_child_id": f"{night}", "social_care_episodes": [episode]}

    fill(world.database, world.database.table, [staged(f"P{number}", version(number, 1)) for number in range(60)])
    world.settings = {"BATCH_SIZE": "10", "MAX_IN_FLIGHT": in_flight, "SCHEMA_CHECK": "off", "SCHEMA_CODES": "off"}
    assert world.run().code == 0
    for number in range(60):
        text = json.dumps(version(number, 2))
        change(world.database, world.database.table, f"P{number}", json_payload=text, current_hash=text.encode()[:32])
    world.database.execute(f"UPDATE {world.database.table} SET submission_status = 'pending', row_state = 'updated'")
    before = world.server.simulator.stats().requests
    assert world.run("--deltas").code == 0
    assert world.server.simulator.stats().requests - before <= 60 // 10 + 3
    assert all(world.server.simulator.held(f"P{number}") == version(number, 2) for number in range(60))
