"""A resync purges children whose rows are sent. Whatever cuts it short, the next ordinary run sends them again."""

from __future__ import annotations

import json
import time

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind
from api_pipeline.sandbox.simulator.faults import When
from tests.faults.outages import allow_writes, before_answer, refuse_writes
from tests.support.databases import one_kind
from tests.support.staging import child, staged
from tests.support.world import World, recorded

PERSONS = ("P0000", "P0001", "P0002")


@pytest.fixture
def world(deployed_world: World) -> World:
    """Return a world with three children who were sent."""
    deployed_world.stage(len(PERSONS))
    assert deployed_world.run().code == 0
    deployed_world.remember()
    return deployed_world


def check_all_are_back(world: World) -> None:
    until = time.monotonic() + 10
    while (done := world.run()).code == 75 and time.monotonic() < until:
        # The server has not yet noticed that the killed run is gone.
        time.sleep(0.1)
    assert done.code == 0, done.text
    for person in PERSONS:
        assert world.server.simulator.held(person) == child(person)
        assert {"la_child_id": person, **recorded(world.database)[person]} == child(person)
    assert {row["submission_status"] for row in world.rows().values()} == {"sent"}


def test_a_resync_that_is_killed_after_the_purge_loses_no_child(world: World) -> None:
    with world.started("--resync", BATCH_SIZE=2) as process, before_answer(world, 1, process.kill):
        process.wait(30)
    assert world.server.simulator.held("P0000") is None
    check_all_are_back(world)


@pytest.mark.strict
def test_a_resync_whose_purge_could_not_be_written_back_loses_no_child(world: World) -> None:
    try:
        with before_answer(world, 1, lambda: refuse_writes(world.database)):
            assert world.run("--resync", BATCH_SIZE=2).code == 3
    finally:
        allow_writes(world.database)
    check_all_are_back(world)


@one_kind
@pytest.mark.parametrize(("arguments", "due"), [((), 8), (("--limit", "6"), 6), (("--person-id", "P0007"), 1)])
def test_a_resync_that_gives_up_counts_every_row_that_it_would_have_taken(
    world: World, arguments: tuple[str, ...], due: int
) -> None:
    world.stage(8)
    # Of each of two persons the older row is superseded, and one left the cohort.
    again = [staged(f"P000{number}", status="sent", state="unchanged") for number in (6, 7)]
    gone = staged("gone", status="sent", state="deleted", previous=child("gone"))
    world.fill([*again, gone])
    world.server.simulator.add_fault(Fault(kind=FaultKind.ANSWER, status=503, times=None))
    settings = {"BATCH_SIZE": 1, "MAX_ATTEMPTS": 1, "GIVE_UP_AFTER_FAILED_BATCHES": 1}
    counts = json.loads(world.run("--resync", "--json", *arguments, **settings).out)
    assert (counts["due"], counts["undelivered"], counts["not_tried"]) == (due, 1, due - 1)


@one_kind
def test_a_resync_whose_answer_was_lost_before_a_signal_loses_no_child(world: World) -> None:
    simulator = world.server.simulator
    simulator.add_fault(Fault(kind=FaultKind.ANSWER, status=502, when=When.AFTER_ACCEPTING))
    simulator.add_fault(Fault(kind=FaultKind.ANSWER, status=503, retry_after_s=30.0, times=None))
    before = world.requests()
    with world.started("--resync", BATCH_SIZE=1, MAX_ATTEMPTS=3) as process:
        until = time.monotonic() + 30
        while world.requests() < before + 2 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        process.terminate()
        assert process.wait(30) == 130
    simulator.clear_faults()
    assert simulator.held("P0000") is None
    check_all_are_back(world)
