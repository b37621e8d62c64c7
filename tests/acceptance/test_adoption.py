"""The first nights on a table that today's tool left, where the row alone tells what the receiver holds."""

from __future__ import annotations

from typing import Any

import pytest

from api_pipeline.sandbox.simulator import Fault
from tests.support.databases import one_kind
from tests.support.staging import EPISODE, change, child, row_of, staged, text_of
from tests.support.world import World, recorded

RECEIPT = "debcba2e-6f0d-4c56-9b3a-0f3f6f2a7d11_2026-05-04 02:00:11.json"
OLD = child("1", social_care_episodes=[EPISODE, {**EPISODE, "social_care_episode_id": "E2"}])
NEW = child("1", social_care_episodes=[EPISODE])


@pytest.fixture
def sent(world: World) -> World:
    """Return a child whom the receiver holds, and a table in which only today's tool's receipt says so."""
    world.fill([staged("1", OLD)])
    assert world.run().code == 0
    for table in ("ssd_api_held", "ssd_api_submission_log"):
        world.database.execute(f"DELETE FROM {world.database.named(table)}")
    change(world.database, world.database.table, "1", api_response=RECEIPT)
    return world


@pytest.fixture
def inherited(sent: World) -> World:
    """Return the same with a payload that was staged after it was sent."""
    sent.restage("1", NEW)
    return sent


def rehearse(world: World) -> None:
    for _ in range(2):
        assert world.run("--testing", "--table", world.database.table).code == 0
    row = row_of(world.database, world.database.table, "1")
    assert row["submission_status"] == "testing"
    assert row["api_response"].startswith("TESTING")
    assert recorded(world.database) == {}


def fail(world: World) -> None:
    world.server.simulator.add_fault(Fault(status=503))
    assert world.run(MAX_ATTEMPTS=1).code == 5


def be_refused(world: World) -> None:
    world.server.simulator.add_fault(Fault(status=422))
    assert world.run().code == 1


def break_the_schema(world: World) -> None:
    world.restage("1", {**NEW, "unheard_of": 1})
    assert world.run().code == 1
    world.restage("1", NEW)


def break_the_json(world: World) -> None:
    world.restage("1", "{")
    assert world.run().code == 1
    world.restage("1", NEW)


@one_kind
@pytest.mark.parametrize("deltas", ["false", "true"])
@pytest.mark.parametrize("before", [rehearse, fail, be_refused, break_the_schema, break_the_json])
def test_adopted_receipts_survive_every_change_of_the_row(inherited: World, before: Any, deltas: str) -> None:
    before(inherited)
    assert inherited.run(USE_PARTIAL_PAYLOAD=deltas).code == 0
    assert inherited.server.simulator.held("1") == NEW
    assert {"la_child_id": "1", **recorded(inherited.database)["1"]} == NEW


@pytest.mark.strict
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_payload_sent_under_another_id_is_not_adopted(inherited: World, deltas: str) -> None:
    renamed = {**OLD, "la_child_id": "NEW1"}
    inherited.restage("1", renamed)
    assert inherited.run(USE_PARTIAL_PAYLOAD=deltas).code == 0
    assert inherited.server.simulator.held("NEW1") == renamed


@pytest.mark.strict
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_two_persons_who_exchange_their_children_are_compared_with_what_was_sent_of_each(
    world: World, deltas: str
) -> None:
    other = child("2", health_and_wellbeing={"sdq_assessments": [{"date": "2026-01-05", "score": 7}]})
    world.fill([staged("1", OLD), staged("2", other)])
    assert world.run().code == 0
    for table in ("ssd_api_held", "ssd_api_submission_log"):
        world.database.execute(f"DELETE FROM {world.database.named(table)}")
    exchanged = {"1": {**OLD, "la_child_id": "2"}, "2": {**other, "la_child_id": "1"}}
    for person, payload in exchanged.items():
        world.restage(person, payload)
    assert world.run(USE_PARTIAL_PAYLOAD=deltas).code == 0
    for payload in exchanged.values():
        assert world.server.simulator.held(payload["la_child_id"]) == payload


@pytest.mark.strict
def test_long_answer_in_a_sent_row_is_not_a_receipt(inherited: World) -> None:
    inherited.restage("1", OLD)
    change(inherited.database, inherited.database.table, "1", submission_status="sent", api_response="taken " * 40)
    inherited.fill([staged("2")])
    assert inherited.run("--resync").code == 0
    assert inherited.server.simulator.held("1") == OLD


@pytest.mark.strict
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_row_that_was_up_to_date_says_what_is_held_after_the_control_tables_are_lost(world: World, deltas: str) -> None:
    world.fill([staged("1", OLD)])
    assert world.run().code == 0
    change(world.database, world.database.table, "1", submission_status="pending")
    assert world.run().code == 0
    for table in ("ssd_api_held", "ssd_api_submission_log"):
        world.database.execute(f"DELETE FROM {world.database.named(table)}")
    world.restage("1", NEW)
    assert world.run(USE_PARTIAL_PAYLOAD=deltas).code == 0
    assert world.server.simulator.held("1") == NEW


@pytest.mark.strict
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_newer_row_is_compared_with_the_older_one_that_was_sent(sent: World, deltas: str) -> None:
    sent.fill([staged("1", NEW)])
    assert sent.run(USE_PARTIAL_PAYLOAD=deltas).code == 0
    assert sent.server.simulator.held("1") == NEW


def test_deletion_is_due_where_an_older_row_of_the_child_was_sent(sent: World) -> None:
    sent.fill([staged("1", OLD, state="Deleted")])
    assert sent.run().code == 0
    assert sent.server.simulator.held("1") is None


@one_kind
@pytest.mark.parametrize("deltas", ["false", "true"])
def test_child_that_a_new_person_has_is_neither_deleted_nor_adopted_from_the_deleted_row(
    sent: World, deltas: str
) -> None:
    named, other = sent.database.table, RECEIPT.replace("d2b", "d2c").replace("7d11", "7d12")
    sent.fill([staged("2", OLD, "sent", "Unchanged", previous=OLD, response=other)])
    change(
        sent.database, named, "1", row_state="Deleted", json_payload=text_of(NEW), previous_json_payload=text_of(NEW)
    )
    done = sent.run(USE_PARTIAL_PAYLOAD=deltas)
    assert done.code == 0, done.text
    assert "of person 1, and now person 2" in done.text
    assert sent.server.simulator.held("1") == OLD
    sent.restage("2", NEW)
    assert sent.run(USE_PARTIAL_PAYLOAD=deltas).code == 0
    assert sent.server.simulator.held("1") == NEW
