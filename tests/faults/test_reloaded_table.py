"""The table is emptied and filled again, or a row changes its person, while a record is on its way (contract 3).

Nothing of one child is ever written into another child's row: payload, hash, receipt or reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind, SimulatorServer
from tests.faults.outages import allow_writes, before_answer, refuse_writes
from tests.support.altering import giving_ids
from tests.support.databases import TestDatabase
from tests.support.staging import change, child, hash_of, staged, text_of
from tests.support.world import WRITTEN, World, recorded


@pytest.fixture
def reloaded_world(deployed: TestDatabase, server: SimulatorServer, tmp_path: Path) -> World:
    return World(deployed, server, tmp_path)


def reload(world: World, people: list[str], status: str = "Pending", payload: str | None = None) -> Callable[[], None]:
    """Return what empties the table and fills it again with rows of `people`, numbered from 1."""

    def happen() -> None:
        table = world.database.table
        columns = "id, person_id, json_payload, current_hash, submission_status, row_state"
        with world.database.transaction(), giving_ids(world.database, table):
            world.database.execute(f"DELETE FROM {table}")
            for number, person in enumerate(people, 1):
                text = payload or text_of(child(person))
                values = [number, person, text, hash_of(text), status, "New"]
                world.database.execute(f"INSERT INTO {table} ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
        world.remember()

    return happen


@pytest.mark.strict
@pytest.mark.parametrize("answer", ["accepted", "refused", "lost"])
def test_rows_of_other_people_under_the_same_ids_are_not_touched(reloaded_world: World, answer: str) -> None:
    world = reloaded_world
    first = world.stage(3)
    if answer == "refused":
        errors = json.dumps({"errors": [{"path": f"[{place}]", "message": "unknown"} for place in range(3)]})
        world.server.simulator.add_fault(Fault(status=400, body=errors))
    elif answer == "lost":
        world.server.simulator.add_fault(Fault(status=503, times=None))
    with before_answer(world, 3 if answer == "lost" else 1, reload(world, ["X", "Y", "Z"])):
        done = world.run()
    assert "Traceback" not in done.text
    world.check({"X": "untouched", "Y": "untouched", "Z": "untouched"})
    world.server.simulator.clear_faults()
    held = recorded(world.database)
    assert held.keys() == (set(first) if answer == "accepted" else set())
    assert world.run().code == 0
    world.check({"X": "sent", "Y": "sent", "Z": "sent"})


def test_reload_with_the_same_payload_text_still_goes_by_the_person(reloaded_world: World) -> None:
    # The same payload, so the same hash: only the person tells that the row is another one.
    world = reloaded_world
    text = text_of(child("TWIN"))
    world.fill([staged("A", text), staged("B", text)])
    with before_answer(world, 1, reload(world, ["B", "A"], payload=text)):
        world.run(BATCH_SIZE=1, SCHEMA_CHECK="warn")
    rows = world.rows()
    for person in "AB":
        if rows[person]["submission_status"] == "sent":
            assert json.loads(rows[person]["json_payload"])["la_child_id"] == "TWIN"
    world.run(SCHEMA_CHECK="warn")
    assert {row["submission_status"] for row in world.rows().values()} == {"sent"}


def test_same_people_in_another_order_stay_due_or_get_their_own_receipts(reloaded_world: World) -> None:
    world = reloaded_world
    persons = world.stage(4)
    with before_answer(world, 1, reload(world, [*reversed(persons)])):
        assert world.run().code == 0
    assert set(world.words().values()) <= {"sent", "untouched"}
    world.check(world.words())
    assert world.run().code == 0
    assert {row["submission_status"] for row in world.rows().values()} == {"sent"}
    assert recorded(world.database).keys() == set(persons)


@pytest.mark.strict
def test_row_that_changes_its_person_in_flight_is_left_alone(reloaded_world: World) -> None:
    world = reloaded_world
    world.stage(2)
    moved = f"UPDATE {world.database.table} SET person_id = 'M0001' WHERE person_id = 'P0001'"
    with before_answer(world, 1, lambda: world.database.execute(moved)):
        assert world.run().code == 0
    row = world.rows()["M0001"]
    assert {name: row[name] for name in WRITTEN} == {name: world.before["P0001"][name] for name in WRITTEN}


@pytest.mark.strict
def test_reload_while_receipts_wait_in_the_spool_gives_none_to_others(world: World) -> None:
    persons = world.stage(3)
    with before_answer(world, 1, lambda: refuse_writes(world.database)):
        assert world.run(DB_RETRY_S=1).code == 3
    assert list(world.folder.glob("unwritten-receipts-*"))
    allow_writes(world.database)
    reload(world, ["S1", persons[1], "S3"], status="Sent")()
    change(world.database, world.database.table, persons[1], submission_status="pending")
    world.remember()
    assert world.run().code == 0
    world.check({"S1": "untouched", persons[1]: "sent", "S3": "untouched"})


@pytest.mark.strict
def test_deletion_whose_id_is_another_childs_by_now_removes_nothing_of_it(reloaded_world: World) -> None:
    world = reloaded_world
    world.fill([staged("gone")])
    assert world.run().code == 0
    change(world.database, world.database.table, "gone", row_state="Deleted")
    with before_answer(world, 1, reload(world, ["new"], status="Sent")):
        assert world.run().code == 0
    world.check({"new": "untouched"})
    assert world.server.simulator.held("gone") is None


@pytest.mark.strict
def test_reload_between_the_tries_of_a_lost_batch_is_met(reloaded_world: World) -> None:
    world = reloaded_world
    world.stage(2)
    world.server.simulator.add_fault(Fault(FaultKind.DROP))
    with before_answer(world, 2, reload(world, ["X", "Y"])):
        world.run()
    assert world.words() == {"X": "untouched", "Y": "untouched"}
