"""The fault matrix: every line of the wire table (contract 4), one after the other and with four posts in flight.

Each test runs the whole job against the embedded receiver over HTTP, then holds the table row by row against what is
expected and against what the receiver holds, lets the faults pass, and sees that a clean run finishes the job. Lines
that end alike share a run: each of them meets a batch of its own.

Line of the wire table -> where it is held down, one after the other and in flight:

- 200-202, one receipt a record, text, one receipt for all -> ACCEPTED in the two tests of a table's lines
- 200-202, another count or no receipt to be recognised -> UNKNOWN in the two tests of a table's lines
- 400 / 422 naming records -> test_refused_record_is_taken_out_..., test_only_the_first_index_of_a_path_...
- 400 / 422 naming none, 403 that persists -> test_refused_record_is_taken_out_..., test_ten_unnamed_culprits_...,
  test_receiver_that_refuses_everything_...
- 403 before anything was accepted -> test_forbidden_key_..., test_probe_tells_..., test_firewall_that_dislikes_...
- 413 -> PASSING ("one 413"), test_batch_that_is_too_large_..., test_record_that_is_too_large_...
- 401 -> PASSING ("one 401"); a second 401 and one renewal for all senders -> test_service_faults.py
- 408, 425, 429, 5xx, timeout, connection fault -> PASSING, LATE and OUTLASTING; Retry-After -> test_service_faults.py
- 204, other 4xx, redirects -> FINAL in the two tests of a table's lines
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind, ReceiptShape, Refusal, RefusalForm, When
from tests.support.effort import IS_LONG
from tests.support.staging import child, staged
from tests.support.world import World

ALONE = 3
BATCH = 2
MANY = 24
HIT = 6  # the request that is hit in mid-run: more than a window's worth before it and after it
IN_TIME_S = 1.0  # a busy machine answers within this, and a test that waits for it does not last long
MID_RUN = {"BATCH_SIZE": BATCH, "MAX_IN_FLIGHT": 4}
# As if there were no fault, in the place of one.
HONEST = Fault(FaultKind.SLOW)


@dataclass(frozen=True)
class Line:
    """One line of the wire table: the fault, and what becomes of the records of the batch that it applies to.

    `tries` is how many requests of that batch are met by the fault; `requests` how many requests the batch takes;
    `probes` how many empty arrays are sent beside them.
    """

    name: str
    fault: Fault
    becomes: str
    exit_code: int
    requests: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    probes: int = 0

    def __str__(self) -> str:
        return self.name

    def is_met(self, status: str, said: str) -> bool:
        """Return whether a row stands as this line has it."""
        if self.becomes == "sent":
            return status == "sent"
        return status == "error" and re.search(self.becomes.removeprefix("error: "), said) is not None


def answer(status: int, **members: Any) -> Fault:
    return Fault(FaultKind.ANSWER, status=status, **members)


def receipts(shape: ReceiptShape, status: int = 200) -> Fault:
    return Fault(FaultKind.RECEIPTS, shape=shape, status=status)


ACCEPTED = [
    Line(f"{status} with {shape.value} receipts", receipts(shape, status), "sent", 0)
    for status, shape in (
        (200, ReceiptShape.LIST),
        (201, ReceiptShape.LIST),
        (202, ReceiptShape.LIST),
        (200, ReceiptShape.TEXT),
        (201, ReceiptShape.TEXT),
        (200, ReceiptShape.SINGLE),
        (202, ReceiptShape.SINGLE),
    )
]
UNKNOWN = [
    Line(f"{status} with {shape.value} receipts", receipts(shape, status), f"error: ^HTTP {status}: .*unknown", 1)
    for status, shape in (
        (200, ReceiptShape.SHORT),
        (202, ReceiptShape.SHORT),
        (200, ReceiptShape.LONG),
        (200, ReceiptShape.EMPTY),
        (201, ReceiptShape.EMPTY),
        (200, ReceiptShape.LOGIN_PAGE),
        (200, ReceiptShape.MALFORMED),
    )
]
# Whatever a proxy makes of an answer of success, the records may have been taken.
UNKNOWN += [Line(str(status), answer(status), f"error: ^HTTP {status}: .*unknown", 1) for status in (203, 207)]
FINAL = [
    Line(str(status), answer(status), f"error: ^HTTP {status}", 1) for status in (204, 402, 404, 405, 409, 415, 451)
] + [
    Line(
        f"{status}, which is not followed",
        answer(status, headers={"Location": "http://127.0.0.1:9/elsewhere"}),
        f"error: ^HTTP {status}: redirected",
        1,
    )
    for status in (301, 302, 303, 307, 308)
]
PASSING = [Line(f"one {status}", answer(status), "sent", 0, 2) for status in (408, 425, 429, 500, 502, 503, 504, 599)]
PASSING += [
    Line("a drop before anything is read", Fault(FaultKind.DROP, when=When.BEFORE_READING), "sent", 0, 2),
    Line("a drop before anything is accepted", Fault(FaultKind.DROP), "sent", 0, 2),
    Line("a drop after all was accepted", Fault(FaultKind.DROP, when=When.AFTER_ACCEPTING), "sent", 0, 2),
    Line("a 500 after all was accepted", answer(500, when=When.AFTER_ACCEPTING), "sent", 0, 2),
    Line("one 401", answer(401), "sent", 0, 2),
    Line("one 413", answer(413), "sent", 0, 3),
]
LATE = [
    Line("no answer in time", Fault(FaultKind.HANG), "sent", 0, 2, {"READ_TIMEOUT_S": IN_TIME_S}),
    Line(
        "no answer in time though all was accepted",
        Fault(FaultKind.HANG, when=When.AFTER_ACCEPTING),
        "sent",
        0,
        2,
        {"READ_TIMEOUT_S": IN_TIME_S},
    ),
]
# Each ends a run in one way, whatever else of the table is in it: with every row sent, or with rows in error.
TABLES = {"accepted": ACCEPTED, "unknown": UNKNOWN, "final": FINAL, "passing": PASSING, "late": LATE}
of_each_table = pytest.mark.parametrize("lines", TABLES.values(), ids=TABLES)
OUTLASTING = [
    *(Line(str(code), answer(code, times=None), f"error: ^HTTP {code}", 5) for code in (408, 425, 429)),
    *(Line(str(code), answer(code, times=None), f"error: ^HTTP {code}", 5, probes=1) for code in (500, 503, 504)),
    Line("drops", Fault(FaultKind.DROP, times=None), "error: ^network error: the connection was lost", 5, probes=1),
    Line(
        "drops after accepting",
        Fault(FaultKind.DROP, times=None, when=When.AFTER_ACCEPTING),
        "error: ^network error: the connection was lost",
        5,
        probes=1,
    ),
    Line(
        "no answer",
        Fault(FaultKind.HANG, times=None),
        "error: ^network error: no answer within READ_TIMEOUT_S",
        5,
        settings={"READ_TIMEOUT_S": IN_TIME_S},
        probes=1,
    ),
]


@of_each_table
def test_lines_of_the_wire_table_one_after_the_other(world: World, lines: list[Line]) -> None:
    batches = [[f"L{number:02}N{place}" for place in range(ALONE)] for number in range(len(lines))]
    world.fill([staged(person) for batch in batches for person in batch])
    for line in lines:
        # What the batch needs besides is answered as ever.
        world.server.simulator.add_fault(line.fault, *[HONEST] * (line.requests - 1))
    done = world.run(BATCH_SIZE=ALONE, MAX_IN_FLIGHT=1, **lines[0].settings)
    assert done.code == lines[0].exit_code, done.text
    rows = world.rows()
    told = [
        (line, [(row["submission_status"], row["api_response"]) for row in (rows[person] for person in batch)])
        for line, batch in zip(lines, batches, strict=True)
    ]
    wrong = [(line.name, answers) for line, answers in told if not all(line.is_met(*answer) for answer in answers)]
    assert wrong == []
    world.check({person: line.becomes for line, batch in zip(lines, batches, strict=True) for person in batch})
    assert world.requests() == sum(line.requests for line in lines)
    finish(world)


@of_each_table
def test_lines_of_the_wire_table_with_four_posts_in_flight(world: World, lines: list[Line]) -> None:
    check_in_flight(world, lines)


def test_lines_of_the_wire_table_with_four_posts_in_flight_on_postgresql(postgres_world: World) -> None:
    check_in_flight(postgres_world, [UNKNOWN[0], FINAL[0], FINAL[8], PASSING[2], PASSING[10]])


def check_in_flight(world: World, lines: list[Line]) -> None:
    batches = HIT + 3 * len(lines)
    world.stage(batches * BATCH)
    # Longer than a busy machine takes to write a batch back, so that requests do overlap.
    world.server.simulator.change(latency_s=0.06)
    world.server.simulator.add_fault(*[HONEST] * (HIT - 1))
    for line in lines:
        world.server.simulator.add_fault(line.fault, HONEST, HONEST)
    # A batch that is sent again may meet the next line's answer.
    done = world.run(**{**MID_RUN, **lines[0].settings, "MAX_ATTEMPTS": len(lines) + 1})
    assert done.code == max(line.exit_code for line in lines), done.text
    words = world.words()
    world.check(words)
    left = [row for row in world.rows().values() if row["submission_status"] != "sent"]
    failing = [line for line in lines if line.becomes != "sent"]
    for line in failing:
        hit = [row for row in left if line.is_met(row["submission_status"], row["api_response"])]
        assert len(hit) == BATCH * [other.becomes for other in failing].count(line.becomes), line
    assert len(left) == BATCH * len(failing)
    assert world.requests() == batches + sum(line.requests - 1 for line in lines)
    assert world.server.simulator.stats().most_at_once > 1
    finish(world)


@pytest.mark.parametrize("line", OUTLASTING, ids=str)
def test_error_that_outlasts_every_retry_alone(world: World, line: Line) -> None:
    persons = world.stage(ALONE)
    world.server.simulator.add_fault(line.fault)
    done = world.run(**line.settings)
    assert done.code == line.exit_code, done.text
    world.check(dict.fromkeys(persons, line.becomes))
    # Three tries, and for an error that may come from the records one look at whether the receiver answers at all.
    assert world.requests() == 3 + line.probes
    finish(world)


@pytest.mark.parametrize("line", OUTLASTING if IS_LONG else OUTLASTING[2:5:2] + OUTLASTING[6:], ids=str)
def test_lasting_error_mid_run_ends_the_run_after_three_batches(world: World, line: Line) -> None:
    world.stage(2 * MANY)
    # Longer than a busy machine takes to write a batch back, so that requests do overlap.
    world.server.simulator.change(latency_s=0.06)
    world.server.simulator.add_fault(*(Fault(FaultKind.SLOW, times=1) for _ in range(HIT - 1)), line.fault)
    done = world.run(**{**MID_RUN, **line.settings})
    assert done.code == line.exit_code, done.text
    words = world.words()
    world.check(words)
    lost = [person for person, word in words.items() if word.startswith("error")]
    world.check({**words, **dict.fromkeys(lost, line.becomes)})
    # Three in a row end the run; what the other senders had under way may be lost or left as it was.
    assert 3 * BATCH <= len(lost) <= 6 * BATCH
    assert list(words.values()).count("sent") == (HIT - 1) * BATCH
    assert list(words.values()).count("untouched") >= 2 * MANY - (HIT - 1 + 6) * BATCH
    assert "run again when it answers" in done.text
    finish(world)


def finish(world: World) -> None:
    """Let every fault pass and see that a clean run leaves nothing due."""
    world.server.simulator.clear_faults()
    world.server.simulator.change(latency_s=0.0, refusals=(), refuse_supplier_key=False)
    done = world.run()
    assert done.code == 0, done.text
    world.check(dict.fromkeys(world.before, "sent"))


# 400, 422 and 403: a record of the batch is the cause.

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
