"""Two rows of a child in the staging table: the newest is sent, and the older ones are closed or stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, When
from tests.support.databases import one_kind
from tests.support.staging import EPISODE, change, child, staged, table_rows
from tests.support.world import World, recorded


@pytest.mark.strict
def test_a_deletion_is_history_where_a_newer_row_of_the_child_lives(world: World) -> None:
    world.fill([staged("D1", state="Deleted", previous=child("D1"))])
    assert world.run().code == 0
    assert world.server.simulator.held("D1") is None
    world.fill([staged("D1")])
    for _ in range(3):
        assert world.run().code == 0
        assert world.server.simulator.held("D1") == child("D1")
    old, new = table_rows(world.database, world.database.table)
    assert (old["row_state"], new["row_state"], new["submission_status"]) == ("deleted", "unchanged", "sent")


@pytest.mark.strict
def test_a_deletion_is_due_where_only_an_older_row_of_the_child_lives(world: World) -> None:
    world.fill([staged("D1"), staged("D1", state="Deleted", previous=child("D1"))])
    assert world.run().code == 0
    assert world.server.simulator.held("D1") is None


@pytest.mark.strict
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_only_the_newest_row_of_a_person_is_sent(world: World, deltas: str) -> None:
    older = child("1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
    newest = child("1", social_care_episodes=[EPISODE])
    world.fill([staged("1", older), staged("1", older, "Error", "Updated"), staged("1", older, state="Deleted")])
    world.fill([staged("1", "  "), *(staged(str(number)) for number in range(2, 20)), staged("1", newest)])
    done = world.run(BATCH_SIZE=1, USE_PARTIAL_PAYLOAD=deltas)
    assert done.code == 0
    assert "3 older rows were closed" in done.text
    assert world.server.simulator.held("1") == newest
    assert len(world.server.simulator.receipts("1")) == 1
    *closed, blank, newest_row = rows_of(world, "1")
    assert [(row["submission_status"], row["row_state"]) for row in closed] == [
        ("sent", "unchanged"),
        ("sent", "unchanged"),
        ("sent", "Deleted"),
    ]
    assert {row["api_response"] for row in closed} == {f"NOT SENT: superseded by row {newest_row['id']}"}
    assert blank["submission_status"] == "Pending"
    assert newest_row["submission_status"] == "sent"


@one_kind
def test_rows_closed_before_a_deletion_are_counted_once(world: World) -> None:
    world.fill([staged("1"), staged("1", status="sent", state="Deleted", previous=child("1"))])
    done = world.run()
    assert done.code == 0
    assert "1 older row was closed" in done.text
    assert [row["submission_status"] for row in rows_of(world, "1")] == ["sent", "sent"]


@one_kind
def test_older_rows_stay_as_they_are_until_the_newest_is_accepted(world: World) -> None:
    world.fill([staged("1", child("1", mis_child_id="M1")), staged("1")])
    world.server.simulator.add_fault(Fault(status=422))
    assert world.run().code == 1
    assert [row["submission_status"] for row in rows_of(world, "1")] == ["Pending", "error"]
    assert world.run("--testing", "--table", world.database.table).code == 0
    assert [row["submission_status"] for row in rows_of(world, "1")] == ["Pending", "testing"]
    assert world.run().code == 0
    assert [row["submission_status"] for row in rows_of(world, "1")] == ["sent", "sent"]
    assert world.server.simulator.held("1") == child("1")


@pytest.mark.strict
def test_rows_without_a_person_stand_for_themselves(world: World) -> None:
    world.fill([staged(None, child("A")), staged(None, child("B"))])
    assert world.run().code == 0
    assert world.server.simulator.held("A")
    assert world.server.simulator.held("B")


@one_kind
def test_adopted_baseline_never_replaces_a_later_one(world: World) -> None:
    one = child("1", social_care_episodes=[EPISODE])
    two = child("1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
    world.fill([staged("1", one)])
    assert world.run().code == 0
    # As today's tool leaves it: the row alone says what was sent.
    world.database.execute(f"DELETE FROM {world.database.named('ssd_api_held')}")
    world.database.execute(f"DELETE FROM {world.database.named('ssd_api_submission_log')}")
    change(world.database, world.database.table, "1", submission_status="pending")
    world.fill([staged("1", two), *(staged(str(number)) for number in range(2, 12))])
    assert world.run(BATCH_SIZE=1).code == 0
    assert world.server.simulator.held("1") == two
    assert {"la_child_id": "1", **recorded(world.database)["1"]} == two


@pytest.mark.strict
def test_up_to_date_row_keeps_the_in_doubt_mark_of_the_other_row(world: World) -> None:
    one = child("1", social_care_episodes=[EPISODE])
    two = child("1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
    world.fill([staged("1", one)])
    assert world.run().code == 0
    change(world.database, world.database.table, "1", submission_status="error")
    world.fill([staged("1", two), *(staged(str(number)) for number in range(2, 6))])
    world.server.simulator.add_fault(Fault(kind=FaultKind.DROP, when=When.AFTER_ACCEPTING))
    assert world.run(BATCH_SIZE=1, MAX_ATTEMPTS=1).code == 5
    newest = max(row["id"] for row in table_rows(world.database, world.database.table) if row["person_id"] == "1")
    world.database.execute(
        f"UPDATE {world.database.table} SET submission_status = 'pending', json_payload = ? WHERE id = ?",
        [json.dumps({**one, "mis_child_id": "M1"}), newest],
    )
    assert world.run().code == 0
    assert world.server.simulator.held("1") == {**one, "mis_child_id": "M1"}


def rows_of(world: World, person: str) -> list[dict[str, Any]]:
    return [row for row in table_rows(world.database, world.database.table) if row["person_id"] == person]


@pytest.mark.strict
@pytest.mark.parametrize("command", [(), ("requeue",)])
def test_failed_row_is_closed_where_a_newer_one_was_sent(world: World, command: tuple[str, ...]) -> None:
    one, two = child("1", mis_child_id="M1"), child("1")
    world.fill([staged("1", one, "Error"), staged("2")])
    assert world.run().code == 0
    change(world.database, world.database.table, "1", submission_status="error")
    world.fill([staged("1", two)])
    newest = rows_of(world, "1")[1]["id"]
    world.database.execute(f"UPDATE {world.database.table} SET submission_status = 'sent' WHERE id = {newest}")
    if command:
        assert world.command(*command).code == 0
    requests = world.requests()
    assert world.run().code == 0
    assert world.requests() == requests
    assert rows_of(world, "1")[0]["api_response"] == f"NOT SENT: superseded by row {newest}"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_all_rows_of_a_person_are_in_one_shard(world: World) -> None:
    people = [str(number) for number in range(8)]
    world.fill([staged(person, child(person, mis_child_id="M1")) for person in people] + [staged("x")])
    world.fill([staged(person) for person in people])
    for shard in ("1/2", "2/2"):
        assert world.run("--shard", shard).code == 0
    assert all(world.server.simulator.held(person) == child(person) for person in people)
    assert all(len(world.server.simulator.receipts(person)) == 1 for person in people)
    assert {row["submission_status"] for row in table_rows(world.database, world.database.table)} == {"sent"}
