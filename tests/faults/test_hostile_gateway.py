"""Each kind of bad gateway alone: what the run makes of it, held against what the receiver truly accepted."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from api_pipeline.commands.simulate_api import TRICKS as TRICKS_OF_COMMAND
from api_pipeline.sandbox.simulator.hostile_gateway import Habits, HostileGateway
from api_pipeline.sandbox.simulator.hostile_tricks import Trick
from tests.support.commands import Completed, invoke_cli, started_cli
from tests.support.effort import IS_LONG
from tests.support.staging import child, staged
from tests.support.world import World

UNKNOWN = "error: ^HTTP 200: .*unknown"
# What becomes of three rows in one batch under each trick: by the first run, which has three tries.
TRICKS = {
    Trick.LOGIN_PAGE: UNKNOWN,
    Trick.ERROR_PAGE: "sent",
    Trick.THROTTLED: "sent",
    Trick.DROPPED: "sent",
    Trick.INTERIM: "sent",
    Trick.MANY_INTERIM: "sent",
    Trick.DROPPED_LATE: "sent",
    Trick.BROKEN_OFF: "sent",
    Trick.ENDLESS: "sent",
    Trick.BOMB: "sent",
    Trick.DRIPPING_HEAD: "sent",
    Trick.DRIPPING_BODY: "sent",
    Trick.RECEIPT_TWICE: UNKNOWN,
    Trick.RECEIPT_MISSING: UNKNOWN,
    Trick.TWO_ANSWERS: "sent",
}


@contextmanager
def gateway(world: World, habits: Habits | None = None, tricks: tuple[Trick, ...] = ()) -> Iterator[HostileGateway]:
    with HostileGateway(world.server.simulator, habits, tricks) as hostile:
        yield hostile


def run(world: World, hostile: HostileGateway, **settings: Any) -> Completed:
    return world.run(
        API_ENDPOINT=hostile.base_url,
        TOKEN_ENDPOINT=hostile.token_url,
        **{"READ_TIMEOUT_S": 1, "CONNECT_TIMEOUT_S": 2, **settings},
    )


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.value)
def test_trick_is_met_and_forgotten_by_the_next_run(world: World, trick: Trick) -> None:
    persons = world.stage(3)
    with gateway(world, tricks=(trick,)) as hostile:
        began = time.monotonic()
        done = run(world, hostile, READ_TIMEOUT_S=0.3)
        assert time.monotonic() - began < 12, "no try lasts longer than twice READ_TIMEOUT_S"
        assert done.code == (0 if TRICKS[trick] == "sent" else 1), done.text
        world.check(dict.fromkeys(persons, TRICKS[trick]))
        assert run(world, hostile).code == 0
    world.check(dict.fromkeys(persons, "sent"))


def test_interim_answers_never_stand_for_the_answer(world: World) -> None:
    world.fill([staged(f"Q{number}", child(f"Q{number}")) for number in range(5)])
    with gateway(world, Habits(poison={"Q2": 502}, interim=(100, 102, 103))) as hostile:
        done = run(world, hostile, BATCH_SIZE=1, MAX_ATTEMPTS=1)
    assert done.code == 1, done.text
    world.check({f"Q{number}": "sent" if number != 2 else "error: ^HTTP 502" for number in range(5)})


def test_second_answer_on_a_connection_is_not_taken_for_the_next_request(world: World) -> None:
    persons = world.stage(6)
    with gateway(world, tricks=(Trick.TWO_ANSWERS,) * 6) as hostile:
        assert run(world, hostile, BATCH_SIZE=1).code == 0
    world.check(dict.fromkeys(persons, "sent"))


@pytest.mark.parametrize("status", [408, 500, 502, 504, 0] if IS_LONG else [408, 502, 0])
def test_record_that_fails_its_batch_is_found_on_the_first_night(world: World, status: int) -> None:
    persons = [f"R{number:02}" for number in range(40)]
    world.fill([staged(person, child(person)) for person in persons])
    with gateway(world, Habits(poison={"R07": status, "R31": status})) as hostile:
        done = run(world, hostile, BATCH_SIZE=20)
        assert hostile.requests <= 2 * (3 + 4 * 20)
        first = hostile.requests
        assert done.code == 1, done.text
        word = "error: ^network error.*sent alone" if status == 0 else f"error: ^HTTP {status}.*sent alone"
        world.check({person: word if person in ("R07", "R31") else "sent" for person in persons})
        hostile.begin_night(Habits(), ())
        assert run(world, hostile).code == 0
    assert first < 60, "halving costs about two requests a level and culprit"
    world.check(dict.fromkeys(persons, "sent"))


def test_two_neighbours_in_every_batch_do_not_stop_the_run(world: World) -> None:
    persons = [f"S{number:02}" for number in range(32)]
    world.fill([staged(person, child(person)) for person in persons])
    bad = {person for number, person in enumerate(persons) if number % 8 in (0, 1)}
    with gateway(world, Habits(poison=dict.fromkeys(bad, 500))) as hostile:
        assert run(world, hostile, BATCH_SIZE=8, MAX_ATTEMPTS=2).code == 1
    world.check({person: "error: ^HTTP 500" if person in bad else "sent" for person in persons})


def test_size_at_which_the_connection_is_reset_is_gone_below(world: World) -> None:
    persons = [f"T{number:02}" for number in range(24)]
    world.fill([staged(person, child(person)) for person in persons])
    one = len(str(world.rows()["T00"]["json_payload"]))
    with gateway(world, Habits(largest_body=5 * one)) as hostile:
        assert run(world, hostile, BATCH_SIZE=24).code == 0
    world.check(dict.fromkeys(persons, "sent"))


def test_batch_lost_with_the_service_is_divided_in_a_later_night(world: World) -> None:
    persons = [f"U{number}" for number in range(8)]
    world.fill([staged(person, child(person)) for person in persons])
    with gateway(world, Habits(poison=dict.fromkeys(persons, 503))) as hostile:
        assert run(world, hostile, MAX_ATTEMPTS=2).code == 5
        world.check(dict.fromkeys(persons, "error: ^HTTP 503"))
        hostile.begin_night(Habits(poison={"U0": 503}), ())
        assert run(world, hostile, MAX_ATTEMPTS=2).code == 1
        words = world.words()
    assert [words[person] for person in persons[1:]] == ["sent"] * 7
    assert words["U0"].startswith("error")


def test_quota_in_mid_run_stops_it_and_marks_nothing(world: World) -> None:
    persons = world.stage(30)
    with gateway(world, Habits(quota=2)) as hostile:
        done = run(world, hostile, BATCH_SIZE=5)
        assert done.code == 4, done.text
        assert hostile.requests == 4, "two batches, the one that is forbidden, and the probe"
    assert "SUPPLIER_KEY" in done.text
    world.check({person: "sent" if place < 10 else "untouched" for place, person in enumerate(persons)})


@pytest.mark.skipif(sys.platform == "win32", reason="getrusage is POSIX")
def test_packed_bomb_and_endless_body_cost_little_memory(world: World) -> None:
    import resource  # Windows has no such module

    world.stage(2)
    with gateway(world, tricks=(Trick.BOMB, Trick.ENDLESS)) as hostile:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert run(world, hostile).code == 0
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 100


@pytest.mark.skipif(sys.platform == "win32", reason="an interrupt to another program is POSIX")
def test_council_can_rehearse_with_the_gateway_from_the_command_line(world: World) -> None:
    persons = world.stage(4)
    options = ["--port", "0", "--trick", "error-page", "--trick", "receipt-twice", "--poison", "P0002:502"]
    with started_cli(["simulate-api", *options, "--interim", "103"], {}, world.folder) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(8)]
        settings = dict(line.strip().split("=", 1) for line in said[1:])
        assert "bad gateway" in said[0]
        done = world.run(BATCH_SIZE=2, **settings)
        assert done.code == 1, done.text
        words = world.words()
        assert words["P0002"].startswith("error"), "the poison stays"
        world.run(BATCH_SIZE=2, **settings)
        words = world.words()
        assert [words[person] for person in persons] == ["sent", "sent", words["P0002"], "sent"]
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=20)[0]
    assert "children that the receiver holds: 3." in rest


def test_options_of_the_command_name_every_trick() -> None:
    assert set(TRICKS_OF_COMMAND) == {trick.value.replace(" ", "-") for trick in Trick} - {"honest"}


@pytest.mark.parametrize("poison", ["P1", ":500", "P1:404", "P1:x"])
def test_poison_that_cannot_be_read_is_a_usage_error(world: World, poison: str) -> None:
    done = invoke_cli(["simulate-api", "--poison", poison], {}, world.folder)
    assert (done.code, "CHILD:STATUS" in done.text) == (2, True)
