"""The fault matrix: every line of the wire table (contract 4), one after the other and with four posts in flight.

Each test runs the whole job against the embedded receiver over HTTP, then holds the table row by row against what is
expected and against what the receiver holds, lets the faults pass, and sees that a clean run finishes the job. Lines
that end alike share a run: each of them meets a batch of its own.

Line of the wire table -> where it is held down, one after the other and in flight (the lines are in `wire.py`):

- 200-202, one receipt a record, text, one receipt for all -> ACCEPTED in the two tests of a table's lines
- 200-202, another count or no receipt to be recognised -> UNKNOWN in the two tests of a table's lines
- 400, 422 and 403 -> test_refused_records.py
- 413 -> PASSING ("one 413") and test_refused_records.py
- 401 -> PASSING ("one 401"); a second 401 and one renewal for all senders -> test_service_faults.py
- 408, 425, 429, 5xx, timeout, connection fault -> PASSING, LATE and OUTLASTING; Retry-After -> test_service_faults.py
- 204, other 4xx, redirects -> FINAL in the two tests of a table's lines
"""

from __future__ import annotations

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind
from tests.faults.wire import FINAL, OUTLASTING, PASSING, TABLES, UNKNOWN, Line, finish
from tests.support.effort import IS_LONG
from tests.support.staging import staged
from tests.support.world import World

ALONE = 3
BATCH = 2
MANY = 24
HIT = 6  # the request that is hit in mid-run: more than a window's worth before it and after it
MID_RUN = {"BATCH_SIZE": BATCH, "MAX_IN_FLIGHT": 4}
# As if there were no fault, in the place of one.
HONEST = Fault(FaultKind.SLOW)
of_each_table = pytest.mark.parametrize("lines", TABLES.values(), ids=TABLES)


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
    # Each of the three batches is tried again once: the line's other tests try all they may.
    done = world.run(**{**MID_RUN, **line.settings, "MAX_ATTEMPTS": 2})
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
