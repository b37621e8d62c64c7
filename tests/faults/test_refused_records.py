"""400, 422, 403 and 413: a record of the batch is the cause, and the search for it costs few requests (contract 4)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from api_pipeline.sandbox.simulator import Fault, Refusal, RefusalForm
from tests.faults.wire import answer, finish
from tests.support.effort import IS_LONG
from tests.support.staging import child, staged
from tests.support.world import World

REFUSALS = [
    *((f"{status} by {form.value}", status, True, form) for status in (400, 422) for form in list(RefusalForm)[:3]),
    ("400 that names none", 400, False, RefusalForm.LIST),
    ("422 that names none", 422, False, RefusalForm.LIST),
    ("403 of a firewall", 403, False, RefusalForm.LIST),
]


# One after the other, one of each kind: how a refusal is written makes no difference there.
IN_TURN = REFUSALS if IS_LONG else REFUSALS[::3] + REFUSALS[-2:]
REFUSED = [(*case[1:], in_flight) for in_flight, cases in ((1, IN_TURN), (4, REFUSALS)) for case in cases]


@pytest.mark.parametrize(("status", "is_named", "form", "in_flight"), REFUSED)
def test_rejected_record_is_removed_and_the_rest_accepted(
    world: World, status: int, is_named: bool, form: RefusalForm, in_flight: int
) -> None:
    persons = world.stage(16)
    culprits = {persons[5], persons[10]}
    refusal = Refusal(ids=frozenset(culprits), status=status, is_named=is_named, message="postcode is wrong")
    world.server.simulator.change(refusals=(refusal,), refusal_form=form, latency_s=0.01)
    done = world.run(BATCH_SIZE=8, MAX_IN_FLIGHT=in_flight)
    assert done.code == 1, done.text
    reason = "postcode is wrong" if is_named else f"^HTTP {status}"
    world.check({person: f"error: {reason}" if person in culprits else "sent" for person in persons})
    if is_named:
        assert world.requests() == 4
    finish(world)


def test_only_the_first_index_of_a_path_names_a_record(world: World) -> None:
    persons = world.stage(6)
    body = '{"errors": ["[3].social_care_episodes[0].closure_date: not a date"]}'
    world.server.simulator.add_fault(answer(400, body=body))
    done = world.run()
    assert done.code == 1, done.text
    world.check({person: "error: not a date" if person == persons[3] else "sent" for person in persons})


@pytest.mark.parametrize("in_flight", [1, 4])
def test_refused_key_stops_run_after_one_probe_and_marks_nothing(world: World, in_flight: int) -> None:
    persons = world.stage(12)
    world.server.simulator.change(refuse_supplier_key=True, latency_s=0.02)
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=in_flight)
    assert done.code == 4, done.text
    assert "SUPPLIER_KEY" in done.text
    world.check(dict.fromkeys(persons, "untouched"))
    probes = [request for request in world.server.simulator.log if request.status == 403 and request.records == 0]
    assert len(probes) == 1
    assert world.requests() <= in_flight + 1
    finish(world)


def test_page_of_a_firewall_stops_the_run_and_blames_no_key(world: World) -> None:
    persons = world.stage(4)
    world.server.simulator.add_fault(Fault(status=403, body="<html>Request blocked</html>", times=None))
    done = world.run(BATCH_SIZE=2)
    assert done.code == 4, done.text
    assert "A web page forbids access (HTTP 403)" in done.text
    assert "SUPPLIER_KEY" not in done.text
    world.check(dict.fromkeys(persons, "untouched"))


@pytest.mark.parametrize("in_flight", [1, 4])
def test_probe_distinguishes_a_blocked_record_from_a_wrong_key(world: World, in_flight: int) -> None:
    persons = world.stage(8)
    world.server.simulator.change(refusals=(Refusal(ids=frozenset({persons[0]}), status=403),), latency_s=0.01)
    done = world.run(BATCH_SIZE=4, MAX_IN_FLIGHT=in_flight)
    assert done.code == 1, done.text
    world.check({person: "error: ^HTTP 403" if person == persons[0] else "sent" for person in persons})
    finish(world)


def test_firewall_that_blocks_everything_costs_few_requests(world: World) -> None:
    persons = world.stage(64)
    world.server.simulator.change(refusals=(Refusal(ids=frozenset(persons), status=403),))
    done = world.run(BATCH_SIZE=64)
    assert done.code == 1, done.text
    world.check(dict.fromkeys(persons, "error: ^HTTP 403"))
    assert world.requests() < 64


@pytest.mark.parametrize("in_flight", [1, 4])
def test_batch_that_is_too_large_is_halved_until_it_fits(world: World, in_flight: int) -> None:
    persons = world.stage(16)
    world.server.simulator.change(max_body_bytes=600)
    done = world.run(BATCH_SIZE=8, MAX_IN_FLIGHT=in_flight)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))


def test_record_that_is_too_large_by_itself_is_in_error_alone(world: World) -> None:
    large = staged("LARGE", child("LARGE", mis_child_id="M" * 20, social_care_episodes=[episode(n) for n in range(30)]))
    world.fill([staged("P1"), large, staged("P2")])
    world.server.simulator.change(max_body_bytes=1000)
    done = world.run()
    assert done.code == 1, done.text
    world.check({"P1": "sent", "LARGE": "error: ^HTTP 413", "P2": "sent"})


def episode(number: int) -> dict[str, Any]:
    return {
        "social_care_episode_id": f"E{number}",
        "referral_date": "2026-01-05",
        "referral_source": "1A",
        "referral_no_further_action_flag": False,
    }


def bound(records: int, culprits: int, batches: int) -> float:
    """Return the most requests that unnamed culprits may cost: the bound that the search is held to."""
    return batches + culprits * (math.ceil(math.log2(records)) + 2)


def test_ten_unnamed_rejections_among_2000_cost_few_requests(world: World) -> None:
    world.fill([staged(f"P{number:04d}") for number in range(2000)])
    malformed = [f"P{number:04d}" for number in (0, 7, 199, 200, 731)]
    disliked = [f"P{number:04d}" for number in (732, 733, 1250, 1600, 1999)]
    world.server.simulator.change(
        refusals=(Refusal(frozenset(malformed), is_named=False), Refusal(frozenset(disliked), status=403))
    )
    done = world.run(BATCH_SIZE=100, MAX_IN_FLIGHT=4)
    assert done.code == 1, done.text
    becomes = dict.fromkeys(malformed, "error: ^HTTP 400") | dict.fromkeys(disliked, "error: ^HTTP 403")
    world.check({**dict.fromkeys(world.before, "sent"), **becomes})
    assert world.server.simulator.stats().records_accepted == 1990
    # A batch refused with 403 is tried once more as a whole: at most one request for each of the four such batches.
    assert world.requests() <= bound(100, 10, 20) + 4
    print(f"ten culprits among 2,000 records: {world.requests()} requests, at most {bound(100, 10, 20) + 4}")


@pytest.mark.parametrize("status", [400, 403])
def test_rejecting_everything_costs_less_than_two_requests_a_record(world: World, status: int) -> None:
    persons = world.stage(200)
    refusal = Refusal(frozenset(persons), status=status, is_named=False)
    world.server.simulator.change(refusals=(refusal,))
    done = world.run(BATCH_SIZE=100)
    assert done.code == 1, done.text
    world.check(dict.fromkeys(persons, f"error: ^HTTP {status}"))
    assert world.requests() <= 2 * 40
    print(f"200 records, all refused with {status}: {world.requests()} requests")
