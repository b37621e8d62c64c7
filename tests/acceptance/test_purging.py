"""`PURGE_VANISHED` off, a purge that the payload asks for itself, and what a purge takes with it."""

from __future__ import annotations

import json

import pytest

from api_pipeline.sandbox.simulator import Reading
from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, When
from tests.support.databases import one_kind
from tests.support.staging import EPISODE, child, row_of, staged
from tests.support.world import World, recorded


@one_kind
def test_without_purging_a_payload_goes_even_where_something_only_vanished(world: World) -> None:
    closed = child("1", social_care_episodes=[{**EPISODE, "closure_date": "2026-02-01"}])
    world.fill([staged("1", closed)])
    assert world.run(PURGE_VANISHED="false").code == 0
    world.server.simulator.change(reading=Reading.REPLACE)
    opened = child("1", social_care_episodes=[EPISODE])
    text = json.dumps(opened)
    world.restage("1", text)
    assert world.run(PURGE_VANISHED="false").code == 0
    assert world.server.simulator.accepted_records[-1] == text.encode()
    assert world.server.simulator.held("1") == opened
    assert "NOT SENT" not in row_of(world.database, world.database.table, "1")["api_response"]


@one_kind
def test_without_purging_a_lost_answer_leaves_the_baseline_in_doubt(world: World) -> None:
    first, second = child("1", mis_child_id="M1"), child("1", mis_child_id="M2", social_care_episodes=[EPISODE])
    world.fill([staged("1", first)])
    assert world.run(PURGE_VANISHED="false").code == 0
    for payload, code in ((second, 5), (first, 0), ({**second, "mis_child_id": "M1"}, 0), (first, 0)):
        world.restage("1", payload)
        if code:
            world.server.simulator.add_fault(Fault(kind=FaultKind.DROP, when=When.AFTER_ACCEPTING))
        assert world.run(PURGE_VANISHED="false", MAX_ATTEMPTS=1).code == code
        assert "NOT SENT" not in (row_of(world.database, world.database.table, "1")["api_response"] or "")
        assert (world.server.simulator.held("1") or {})["mis_child_id"] == payload["mis_child_id"]


@one_kind
@pytest.mark.parametrize("status", [500, 503, 504])
def test_part_that_may_have_arrived_with_an_error_is_purged_once_it_vanishes(world: World, status: int) -> None:
    first, last = (
        child("1", social_care_episodes=[EPISODE]),
        child("1", mis_child_id="M2", social_care_episodes=[EPISODE]),
    )
    world.fill([staged("1", first)])
    assert world.run().code == 0
    more = [EPISODE, {**EPISODE, "social_care_episode_id": "E2"}]
    world.restage("1", child("1", social_care_episodes=more))
    world.server.simulator.add_fault(Fault(FaultKind.ANSWER, status=status, when=When.AFTER_ACCEPTING))
    assert world.run(MAX_ATTEMPTS=1).code == 5
    world.restage("1", last)
    assert world.run().code == 0
    assert world.server.simulator.held("1") == last


@one_kind
@pytest.mark.parametrize("mode", ["--full", "--deltas"])
def test_what_vanished_in_nights_without_purging_is_purged_in_the_next_with_it(world: World, mode: str) -> None:
    episodes = [{**EPISODE, "social_care_episode_id": number} for number in ("E1", "E2", "E3")]
    world.fill([staged("1", child("1", mis_child_id="M1", social_care_episodes=episodes))])
    assert world.run().code == 0
    for left in (2, 1):
        world.restage("1", child("1", social_care_episodes=episodes[:left]))
        assert world.run(PURGE_VANISHED="false").code == 0
    last = child("1", social_care_episodes=[{**EPISODE, "social_care_episode_id": "E4"}])
    world.restage("1", last)
    assert world.run(mode).code == 0
    assert world.server.simulator.held("1") == last
    assert {"la_child_id": "1", **recorded(world.database)["1"]} == last


@one_kind
def test_a_purge_flag_in_a_payload_goes_even_where_all_else_is_held(world: World) -> None:
    world.fill([staged("1")])
    assert world.run().code == 0
    payload = child("1", purge=True)
    world.restage("1", payload)
    assert world.run().code == 0
    assert world.server.simulator.held("1") is None
    assert "1" not in recorded(world.database)


@one_kind
@pytest.mark.parametrize("deltas", ["false", "true"])
@pytest.mark.parametrize("gone", ["closure", "identifier"])
def test_retained_part_is_sent_again_after_a_purge_of_its_parent(world: World, deltas: str, gone: str) -> None:
    plan = {"child_in_need_plan_id": "OLD", "start_date": "2019-01-01", "end_date": "2019-05-01"}
    closed = {**EPISODE, "closure_date": "2026-02-01", "closure_reason": "RC1"} if gone == "closure" else EPISODE
    members = {"mis_child_id": "M1"} if gone == "identifier" else {}
    world.fill([staged("1", child("1", social_care_episodes=[{**closed, "child_in_need_plans": [plan]}], **members))])
    assert world.run().code == 0
    left = json.dumps([["social_care_episodes", "E1", "child_in_need_plans", "OLD"]])
    keep = f"INSERT INTO {world.database.named('ssd_api_left_window')} (person_id, elements) VALUES ('1', ?)"
    world.database.execute(keep, [left])
    payload = child("1", social_care_episodes=[EPISODE])
    world.restage("1", payload)
    assert world.run(USE_PARTIAL_PAYLOAD=deltas).code == 0
    expected = child("1", social_care_episodes=[{**EPISODE, "child_in_need_plans": [plan]}])
    assert world.server.simulator.held("1") == expected
    assert {"la_child_id": "1", **recorded(world.database)["1"]} == expected
