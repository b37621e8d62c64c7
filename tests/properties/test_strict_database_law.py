"""The laws of write-back and staging on a database as strict as SQL Server, whose transactions end behind the back.

Whatever is undone, comes late or is counted as -1: a row is `sent` only with its receipt stored, `stage` reports what
the table holds, or the command ends with exit code 3; and the next quiet night completes what was not done.
`STRICT_HISTORIES` sets how many histories are tried (`scripts/strict-histories` tries 500).
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.council_ssd import CouncilSsd, council
from tests.support.effort import examples
from tests.support.staging import child, staged
from tests.support.strict import Mishap, StrictServer, strict_database
from tests.support.world import World, normal

HISTORIES = int(os.environ.get("STRICT_HISTORIES", examples(5, 500)))
QUIET: dict[int, Mishap] = {}
mishaps = st.dictionaries(st.integers(1, 60), st.sampled_from(Mishap), max_size=4)
seeds = st.integers(0, 2**16)
# A history is a few whole commands: what fails is worth reading as it is, and shrinking it takes minutes.
many = settings(max_examples=HISTORIES, phases=(Phase.explicit, Phase.reuse, Phase.generate))


@dataclass(frozen=True)
class Sending:
    """A night of `run`: how many children, how they travel, and what befalls the statements.

    With `deltas` everything was sent before and has changed; where something `vanishes` as well, a purge comes first.
    """

    children: int
    batch_size: int
    in_flight: int
    deltas: bool
    vanishes: bool
    mishaps: dict[int, Mishap]
    seed: int


sendings = st.builds(
    Sending, st.integers(1, 9), st.integers(1, 5), st.integers(1, 2), st.booleans(), st.booleans(), mishaps, seeds
)


@many
@given(sendings)
def test_a_row_is_sent_only_with_its_receipt_stored(history: Sending) -> None:
    strict = StrictServer(seed=history.seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        strict_database(Path(folder), strict) as database,
        SimulatorServer() as server,
    ):
        world = World(database.deploy(), server, Path(folder))
        people = [f"N{number:02}" for number in range(history.children)]
        world.fill([staged(person, child(person)) for person in people])
        if history.deltas:
            assert night(world, history, strict, QUIET).code == 0
            for person in people:
                details = dict(child(person)["child_details"], first_name="Changed")
                if history.vanishes:
                    del details["surname"]
                world.restage(person, child(person, child_details=details))
        done = night(world, history, strict, history.mishaps)
        assert done.code in (0, 3), done.text
        check_sent(world)
        if done.code == 0:
            assert sent(world) == set(people)
        again = night(world, history, strict, QUIET)
        assert again.code == 0, again.text
        assert sent(world) == set(people)
        check_sent(world)
        check_log(world, people, purges=history.deltas and history.vanishes)


def night(world: World, history: Sending, strict: StrictServer, befalls: dict[int, Mishap]) -> Any:
    strict.statements, strict.mishaps = 0, befalls
    return world.run(
        BATCH_SIZE=history.batch_size,
        MAX_IN_FLIGHT=history.in_flight,
        USE_PARTIAL_PAYLOAD=str(history.deltas).lower(),
        DB_RETRY_S=1,
    )


def sent(world: World) -> set[str]:
    return {person for person, row in world.rows().items() if row["submission_status"] == "sent"}


def check_sent(world: World) -> None:
    """Hold every sent row against the receiver, and against what the control table says of the child."""
    held = {
        str(row[0]): (normal(row[1]), str(row[2]))
        for row in world.database.rows("SELECT la_child_id, held_payload, receipt FROM ssd_api_held")
    }
    for person, row in world.rows().items():
        if row["submission_status"] == "sent":
            assert any(row["api_response"] in given for given in world.server.simulator.receipts(person))
            assert row["previous_json_payload"] == row["json_payload"]
            assert held[person] == (normal(row["json_payload"]), row["api_response"])


def check_log(world: World, people: list[str], *, purges: bool) -> None:
    """Hold the log: no answer is in it twice, and each receipt of a row is there; those of purges alone may not be."""
    logged = [str(row[0]) for row in world.database.rows("SELECT answer FROM ssd_api_submission_log")]
    assert len(logged) == len(set(logged))
    assert {row["api_response"] for row in world.rows().values()} <= set(logged)
    if not purges:
        given_out = [receipt for person in people for receipt in world.server.simulator.receipts(person)]
        assert not [receipt for receipt in given_out if not any(one in receipt for one in logged)]


@dataclass(frozen=True)
class Staging:
    """Two nights of `stage`: who is there, who changes, who leaves, and what befalls the statements of each."""

    children: int
    changed: frozenset[int]
    left: frozenset[int]
    nights: tuple[dict[int, Mishap], dict[int, Mishap]]
    seed: int


numbers = st.frozensets(st.integers(0, 11), max_size=4)
stagings = st.builds(
    Staging,
    st.integers(1, 12),
    numbers,
    numbers,
    st.tuples(
        st.dictionaries(st.integers(1, 14), st.sampled_from(Mishap), max_size=2),
        st.dictionaries(st.integers(1, 14), st.sampled_from(Mishap), max_size=2),
    ),
    seeds,
)


@many
@given(stagings)
def test_stage_reports_what_the_table_holds(history: Staging) -> None:
    strict = StrictServer(seed=history.seed)
    with tempfile.TemporaryDirectory() as folder, strict_database(Path(folder), strict) as database:
        ssd = council(database.deploy(), Path(folder))
        people = [f"P{number:02}" for number in range(history.children)]
        ssd.children(*people)
        stage(ssd, strict, history.nights[0], dict.fromkeys(people, "new"))

        expected = dict.fromkeys(people, "new")
        for number in history.changed & set(range(history.children)):
            ssd.rename(people[number], "Changed")
        for number in history.left & set(range(history.children)):
            ssd.remove(people[number])
            expected[people[number]] = "deleted"
        stage(ssd, strict, history.nights[1], expected)


def stage(ssd: CouncilSsd, strict: StrictServer, befalls: dict[int, Mishap], expected: dict[str, str]) -> None:
    """Stage a night with mishaps and, where it ended with exit code 3, once more; then the table is as expected."""
    strict.statements, strict.mishaps = 0, befalls
    before = {person: row["row_state"] for person, row in ssd.rows().items()}
    done = ssd.stage("--allow-deletions")
    assert done.code in (0, 3), done.text
    if done.code == 0:
        added = [person for person in ssd.rows() if person not in before]
        gone = [person for person, state in expected.items() if state == "deleted" != before[person]]
        assert (reported(done.out, "new"), reported(done.out, "deleted")) == (len(added), len(gone))
    else:
        strict.mishaps = QUIET
        assert (again := ssd.stage("--allow-deletions")).code == 0, again.text
    assert {person: row["row_state"] for person, row in ssd.rows().items()} == expected


def reported(text: str, word: str) -> int:
    """Return how many rows a staging said to have become so."""
    found = re.search(rf"rows {word} +(\d+)", text)
    assert found is not None, text
    return int(found[1])
