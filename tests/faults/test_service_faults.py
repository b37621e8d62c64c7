"""Faults of the service as a whole: tokens, throttling, a dead receiver, and giving up (contract 4 and 5)."""

from __future__ import annotations

import re
import threading
import time

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind, LoggedRequest
from api_pipeline.sandbox.simulator.faults import FaultTarget
from tests.faults.outages import after_requests, before_answer
from tests.support.effort import IS_LONG
from tests.support.ports import closed_port
from tests.support.world import World


def token_fault(status: int = 500, **members: object) -> Fault:
    return Fault(target=FaultTarget.TOKEN, status=status, times=None, **members)  # type: ignore[arg-type] # named members


@pytest.mark.parametrize("in_flight", [1, 16, *([4] if IS_LONG else [])])
def test_one_renewal_serves_all_senders_when_the_token_expires(world: World, in_flight: int) -> None:
    persons = world.stage(40)
    world.server.simulator.change(latency_s=0.03)
    with before_answer(world, in_flight + 1, world.server.simulator.expire_tokens):
        done = world.run(BATCH_SIZE=1, MAX_IN_FLIGHT=in_flight)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().tokens_issued == 2
    assert world.server.simulator.stats().token_requests == 2


@pytest.mark.parametrize("in_flight", [1, 4])
def test_second_401_stops_the_run_and_marks_nothing(world: World, in_flight: int) -> None:
    persons = world.stage(40)
    world.server.simulator.add_fault(Fault(status=401, times=None))
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=in_flight)
    assert done.code == 4, done.text
    world.check(dict.fromkeys(persons, "untouched"))
    assert world.server.simulator.stats().tokens_issued == 2
    assert world.requests() <= 2 * in_flight


def test_second_401_mid_run_keeps_what_was_accepted(world: World) -> None:
    world.stage(40)
    world.server.simulator.change(latency_s=0.02)
    world.server.simulator.add_fault(Fault(status=401, first=9, last=10_000))
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=4)
    assert done.code == 4, done.text
    words = world.words()
    world.check(words)
    assert sorted(words.values()) == ["sent"] * 16 + ["untouched"] * 24


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        (token_fault(500), 5, "token service answered HTTP 500"),
        (token_fault(503, retry_after_s=0.05), 5, "token service answered HTTP 503"),
        (token_fault(kind=FaultKind.DROP), 5, "token service could not be reached"),
        (token_fault(kind=FaultKind.HANG), 5, "token service could not be reached"),
        (token_fault(400, body='{"error": "invalid_scope"}'), 4, "invalid_scope"),
        (token_fault(401, body='{"error": "invalid_client"}'), 4, "CLIENT_SECRET"),
        (token_fault(200, body="<html><title>Log in</title></html>"), 5, "holds no token"),
        (token_fault(200, body='{"token_type": "Bearer"}'), 5, "holds no token"),
        (token_fault(200, body='{"access_token": "a\\nb"}'), 5, "holds no token"),
        (token_fault(302, headers={"Location": "http://127.0.0.1:9/"}), 5, "holds no token"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
@pytest.mark.parametrize("in_flight", [4, *([1] if IS_LONG else [])])
def test_failing_token_service_ends_run_and_marks_nothing(
    world: World, fault: Fault, code: int, sentence: str, in_flight: int
) -> None:
    persons = world.stage(40)
    world.server.simulator.add_fault(fault)
    # Only who is never answered needs a timeout; every other answer may take its time on a busy machine.
    limits = {"READ_TIMEOUT_S": 1.0} if fault.kind is FaultKind.HANG else {}
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=in_flight, MAX_ATTEMPTS=2, **limits)
    assert done.code == code, done.text
    assert sentence in done.text
    world.check(dict.fromkeys(persons, "untouched"))
    assert world.requests() == 0
    passes = code == 5 and "holds no token" not in sentence
    assert world.server.simulator.stats().token_requests == (2 if passes else 1)
    world.server.simulator.clear_faults()
    assert world.run().code == 0


def test_refused_token_connection_ends_run_and_marks_nothing(world: World) -> None:
    persons = world.stage(4)
    done = world.run(TOKEN_ENDPOINT=f"http://127.0.0.1:{closed_port()}/token")
    assert done.code == 5, done.text
    world.check(dict.fromkeys(persons, "untouched"))
    assert world.requests() == 0


def test_token_failure_mid_run_keeps_what_was_accepted(world: World) -> None:
    world.stage(40)
    world.server.simulator.change(latency_s=0.02)
    world.server.simulator.add_fault(Fault(target=FaultTarget.TOKEN, first=2, last=100, status=503))
    with before_answer(world, 8, world.server.simulator.expire_tokens):
        done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=4)
    assert done.code == 5, done.text
    words = world.words()
    world.check(words)
    assert set(words.values()) == {"sent", "untouched"}


@pytest.mark.parametrize(("limit", "lost"), [(1, 1), (3, 3), (5, 5)])
def test_run_stops_after_failed_batches_and_leaves_the_rest_pending(world: World, limit: int, lost: int) -> None:
    persons = world.stage(40)
    world.server.simulator.add_fault(Fault(status=503, times=None))
    done = world.run(BATCH_SIZE=4, GIVE_UP_AFTER_FAILED_BATCHES=limit, MAX_ATTEMPTS=2)
    assert done.code == 5, done.text
    assert "left the rest as it was" in done.text.splitlines()[-1]
    error = "error: ^HTTP 503"
    world.check({person: error if place < 4 * lost else "untouched" for place, person in enumerate(persons)})
    # Two tries a batch, and once in the run a look at whether the receiver answers at all.
    assert world.requests() == 2 * lost + 1


def test_accepted_batch_resets_the_count_of_failed_batches(world: World) -> None:
    persons = world.stage(24)
    bad = {3, 4, 7, 8, 11, 12}
    for number in bad:
        world.server.simulator.add_fault(Fault(status=429, first=number, last=number))
    done = world.run(BATCH_SIZE=2, MAX_ATTEMPTS=1)
    assert done.code == 5, done.text
    word = {True: "error: ^HTTP 429", False: "sent"}
    world.check({person: word[place // 2 + 1 in bad] for place, person in enumerate(persons)})


@pytest.mark.parametrize("in_flight", [1, 4])
def test_run_stops_soon_when_the_receiver_is_down(world: World, in_flight: int) -> None:
    world.stage(40)
    endpoint = f"http://127.0.0.1:{closed_port()}"
    done = world.run(API_ENDPOINT=endpoint, BATCH_SIZE=2, MAX_IN_FLIGHT=in_flight, MAX_ATTEMPTS=2)
    assert done.code == 5, done.text
    words = world.words()
    world.check(words)
    lost = [word for word in words.values() if word.startswith("error")]
    assert 6 <= len(lost) <= 2 * (3 + in_flight)
    assert all("could not be reached" in word.replace("\\", "") for word in lost)
    assert world.run().code == 0


def test_table_is_correct_after_the_receiver_dies_mid_run(world: World) -> None:
    world.stage(40)
    world.server.simulator.change(latency_s=0.02)
    world.server.simulator.add_fault(Fault(FaultKind.DIE, first=9, last=9))
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=4)
    assert done.code == 5, done.text
    words = world.words()
    world.check(words)
    assert {word.split(":")[0] for word in words.values()} == {"sent", "error", "untouched"}


# Throttling.


def test_no_request_is_sent_within_a_retry_after(world: World) -> None:
    persons = world.stage(16)
    world.server.simulator.change(rate_limit=2.0)
    began = time.monotonic()
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=4, MAX_ATTEMPTS=10, RETRY_MAX_WAIT_S=1)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().answers[429] > 1
    assert time.monotonic() - began > 2.5
    check_pauses(world.server.simulator.log)


@pytest.mark.parametrize(("status", "as_date"), [(503, False), (429, True)], ids=["in seconds", "as a date"])
def test_retry_after_pauses_every_sender(world: World, status: int, as_date: bool) -> None:
    persons = world.stage(40)
    world.server.simulator.change(latency_s=0.15)
    fault = Fault(status=status, first=6, last=6, retry_after_s=2, retry_after_as_date=as_date)
    world.server.simulator.add_fault(fault)
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=4)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    check_pauses(world.server.simulator.log)


def check_pauses(log: list[LoggedRequest]) -> None:
    """See that no request came between an answer with Retry-After and its end, but those on their way already."""
    children = [request for request in log if request.target is FaultTarget.CHILDREN]
    # A date is made when the request comes, before the time that its answer takes.
    pauses = [(one.answered, one.arrived + one.retry_after_s) for one in children if one.retry_after_s]
    assert pauses
    for start, end in pauses:
        # What was sent before the answer could be read is not a fault, and a busy machine may take its time for both. A
        # sender that does not wait goes on in the second half of the pause as well.
        early = [one for one in children if (start + end) / 2 < one.arrived < end - 0.002]
        assert not early


def test_retry_after_longer_than_the_maximum_ends_the_run(world: World) -> None:
    persons = world.stage(12)
    world.server.simulator.add_fault(Fault(status=429, retry_after_s=7200))
    began = time.monotonic()
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=4)
    assert done.code == 5, done.text
    assert time.monotonic() - began < 60
    words = world.words()
    world.check(words)
    assert set(words.values()) <= {"sent", "untouched"}
    assert len(persons) > list(words.values()).count("sent")


@pytest.mark.parametrize("in_flight", [1, 4])
def test_gap_between_the_starts_of_two_posts_is_kept(world: World, in_flight: int) -> None:
    world.stage(8)
    assert world.run(BATCH_SIZE=1, MAX_IN_FLIGHT=in_flight, MIN_POST_GAP_MS=120).code == 0
    arrived = sorted(one.arrived for one in world.server.simulator.log if one.target is FaultTarget.CHILDREN)
    # A start may be noticed late on a busy machine, so that two seem closer than they were; all together are not.
    assert arrived[-1] - arrived[0] > 0.5


def test_slow_answer_delays_no_other_sender(world: World) -> None:
    persons = world.stage(40)
    enough = threading.Event()

    def look() -> None:
        # The answer is held up for longer than is looked here: what is seen, is seen while it is out.
        until = time.monotonic() + 20
        while time.monotonic() < until and not enough.is_set():
            if list(world.words().values()).count("sent") >= 16:
                enough.set()
            time.sleep(0.02)

    # The slow batch's two are still out; as many batches as the window holds are written back before it.
    with before_answer(world, 1, lambda: enough.wait(30)), after_requests(world, 1, look):
        done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=3)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert enough.is_set()


def test_nothing_of_a_token_is_printed(world: World) -> None:
    world.stage(2)
    done = world.run("--verbose")
    assert done.code == 0
    assert not re.search(r"Bearer [A-Za-z0-9_-]{8}", done.text)
