"""A child whose person changed, and deletions of a person who is not in the table any more (contract 3)."""

from __future__ import annotations

import json
import re

import pytest

from api_pipeline.outbox.succession import Succession
from api_pipeline.sandbox.simulator import Fault, FaultKind, ReceiptShape
from tests.support.altering import give_id
from tests.support.databases import no_server
from tests.support.staging import change, child, row_of, staged
from tests.support.stores import store_of
from tests.support.world import World


def leave(world: World, *persons: str) -> None:
    """Mark the rows of persons as deleted."""
    for person in persons:
        change(world.database, world.database.table, person, row_state="Deleted")


def put_first(world: World, person: str) -> None:
    """Give the row of a person an id before all others."""
    give_id(world.database, -1, f"person_id = '{person}'")


def empty_log(world: World) -> None:
    """Empty the audit trail, as LOG_KEEP_DAYS would."""
    world.database.execute(f"DELETE FROM {world.database.named('ssd_api_submission_log')}")


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("is_new_first", [False, True])
def test_deleted_person_takes_no_child_away_from_its_new_person(deployed_world: World, *, is_new_first: bool) -> None:
    world = deployed_world
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    world.fill([staged("new", child("P1", mis_child_id="M2"))])
    leave(world, "old")
    if is_new_first:
        put_first(world, "new")
    for _ in range(2):
        done = world.run()
        assert done.code == 0, done.text
        assert world.server.simulator.held("P1") is not None
    assert "row 1 of person old, and now person new" in done.text
    if not is_new_first:
        # The old row itself says that its deletion was accepted.
        empty_log(world)
        assert world.run().code == 0
        assert world.server.simulator.held("P1") is not None
    leave(world, "new")
    assert world.run().code == 0
    assert world.server.simulator.held("P1") is None


@pytest.mark.parametrize("is_same_night", [False, True])
def test_deleted_person_takes_no_child_away_that_a_new_person_has_unchanged(
    deployed_world: World, *, is_same_night: bool
) -> None:
    world = deployed_world
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    world.fill([staged("new", child("P1"))])
    if is_same_night:
        put_first(world, "new")
    else:
        assert world.run("--deltas").code == 0
        assert world.rows()["new"]["api_response"] != world.rows()["old"]["api_response"]
        assert json.loads(world.server.simulator.accepted_records[-1]) == child("P1"), "sent whole"
    leave(world, "old")
    for _ in range(2):
        done = world.run()
        assert done.code == 0, done.text
        assert world.server.simulator.held("P1") is not None
    assert "row 1 of person old, and now person new" in done.text


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("is_new_first", [False, True])
def test_child_that_a_new_person_has_unchanged_stays_after_log_retention(
    deployed_world: World, *, is_new_first: bool
) -> None:
    world = deployed_world
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    world.fill([staged("new", child("P1"))])
    if is_new_first:
        put_first(world, "new")
    leave(world, "old")
    for _ in range(2):
        empty_log(world)
        assert world.run().code == 0
        assert world.server.simulator.held("P1") is not None
    leave(world, "new")
    assert world.run().code == 0
    assert world.server.simulator.held("P1") is None


def test_child_of_a_new_person_stays_while_its_payload_cannot_be_read(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    world.fill([staged("new", child("P1"))])
    leave(world, "old")
    assert world.run().code == 0
    broken = "SET json_payload = '{', submission_status = 'pending' WHERE person_id = 'new'"
    world.database.execute(f"UPDATE {world.database.table} {broken}")
    assert world.run().code == 1
    assert world.server.simulator.held("P1") is not None


@no_server
def test_deleted_row_without_a_person_takes_no_child_away_and_its_warning_names_the_row(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged(None, child("P1"))])
    assert world.run().code == 0
    world.fill([staged(None, child("P1", mis_child_id="M2"), state="deleted", status="sent")])
    for done in (world.command("run", "--live", "--dry-run"), world.run()):
        assert done.code == 0, done.text
        assert re.search(r"due +0\n", done.text)
        assert "row 2 of person (row 2), and now person (row 1)" in done.text
    assert world.server.simulator.held("P1") is not None


def test_deletion_goes_from_a_table_filled_anew_after_log_retention(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("P1")])
    assert world.run().code == 0
    world.database.execute(f"DELETE FROM {world.database.table}")
    empty_log(world)
    world.fill([staged("P1", state="Deleted")])
    assert world.run().code == 0
    assert world.server.simulator.held("P1") is None


def test_child_whose_row_is_gone_is_named_by_run_and_status(world: World) -> None:
    world.stage(4)
    assert world.run().code == 0
    world.database.execute(f"DELETE FROM {world.database.table} WHERE person_id IN ('P0001', 'P0003')")
    change(world.database, world.database.table, "P0000", submission_status="pending")
    for done in (world.run(), world.command("status")):
        assert done.code == 0, done.text
        assert "P0001" in done.text
        assert "P0003" in done.text
        assert "P0002" not in done.text
    world.stage(1, first=1)
    assert "P0003" in world.run().text
    assert row_of(world.database, world.database.table, "P0001")["submission_status"] == "sent"


@no_server
@pytest.mark.parametrize("is_new_first", [False, True])
@pytest.mark.parametrize(("old", "new"), [("old", "NULL"), ("old", "''"), ("", "'  '")])
def test_child_of_a_row_without_a_person_stays(
    deployed_world: World, old: str, new: str, *, is_new_first: bool
) -> None:
    world, table = deployed_world, deployed_world.database.table
    world.fill([staged(old, child("P1"))])
    assert world.run().code == 0
    world.fill([staged("new", child("P1"))])
    world.database.execute(f"UPDATE {table} SET person_id = {new} WHERE person_id = 'new'")
    if is_new_first:
        give_id(world.database, -1, "id = 2")
    world.database.execute(f"UPDATE {table} SET row_state = 'Deleted' WHERE id = 1")
    for _ in range(2):
        assert world.run().code == 0
        assert world.server.simulator.held("P1") is not None
    world.database.execute(f"UPDATE {table} SET row_state = 'Deleted'")
    assert world.run().code == 0
    assert world.server.simulator.held("P1") is None


@no_server
@pytest.mark.parametrize("is_changed", [False, True])
def test_child_of_a_new_person_stays_when_persons_get_new_ids(deployed_world: World, *, is_changed: bool) -> None:
    world, table = deployed_world, deployed_world.database.table
    world.fill([staged("old", child("P1")), staged("gone", child("P2"))])
    assert world.run().code == 0
    leave(world, "gone")
    for number, deleted in ((3, "old"), (4, "new3")):
        person = f"new{number}"
        world.fill([staged(f"n{number}", child("P1", **({"mis_child_id": f"M{number}"} if is_changed else {})))])
        assert world.run().code == 0
        world.database.execute(f"UPDATE {table} SET person_id = '{person}' WHERE person_id = 'n{number}'")
        leave(world, deleted)
        done = world.run()
        assert done.code == 0, done.text
        assert f"and now person {person}" in done.text
        assert world.server.simulator.held("P1") is not None
    assert world.server.simulator.held("P2") is None


@no_server
def test_deletion_in_a_run_for_one_person_heeds_the_newest_rows_of_others_alone(deployed_world: World) -> None:
    world, table = deployed_world, deployed_world.database.table
    world.fill([staged("other", child("P1"), "sent"), staged("other", child("P2")), staged("1", child("P1"))])
    assert world.run().code == 0
    empty_log(world)
    change(world.database, table, "1", row_state="Deleted", api_response=None)
    assert world.run("--person-id", "1").code == 0
    assert world.server.simulator.held("P1") is None


@no_server
def test_deletion_that_was_accepted_under_an_earlier_person_id_is_believed(deployed_world: World) -> None:
    world, table = deployed_world, deployed_world.database.table
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    leave(world, "old")
    assert world.run().code == 0
    # The child comes back under another id, and the build keeps as previous what was staged last.
    returned = "previous_json_payload = json_payload, submission_status = 'pending', row_state = 'updated'"
    world.database.execute(f"UPDATE {table} SET person_id = 'new', {returned}")
    assert world.run().code == 0
    assert world.server.simulator.held("P1") == child("P1")


@no_server
@pytest.mark.parametrize("status", ["sent", "pending"])
@pytest.mark.parametrize("nights_between", [0, 1])
def test_child_of_a_copied_row_stays_when_the_first_is_deleted(
    deployed_world: World, status: str, nights_between: int
) -> None:
    world, table = deployed_world, deployed_world.database.table
    world.fill([staged("old", child("P1")), staged("gone", child("P2"))])
    assert world.run().code == 0
    copied = ", ".join(world.rows()["old"].keys() - {"id", "person_id", "submission_status"})
    world.database.execute(
        f"INSERT INTO {table} (person_id, submission_status, {copied}) "
        f"SELECT 'new', '{status}', {copied} FROM {table} WHERE person_id = 'old'"
    )
    for _ in range(nights_between):
        assert world.run().code == 0
    leave(world, "old", "gone")
    for _ in range(2):
        done = world.run()
        assert done.code == 0, done.text
        assert "of person old, and now person new" in done.text
        assert world.server.simulator.held("P1") is not None
        assert world.server.simulator.held("P2") is None
    leave(world, "new")
    assert world.run().code == 0
    assert world.server.simulator.held("P1") is None


@no_server
@pytest.mark.parametrize("since", ["up to date", "rehearsed", "rejected"])
def test_child_of_a_copied_row_stays_whatever_the_first_was_answered_since(deployed_world: World, since: str) -> None:
    world, table = deployed_world, deployed_world.database.table
    world.fill([staged("old", child("P1"))])
    assert world.run().code == 0
    copied = ", ".join(world.rows()["old"].keys() - {"id", "person_id"})
    world.database.execute(f"INSERT INTO {table} (person_id, {copied}) SELECT 'new', {copied} FROM {table}")
    if since == "rejected":
        change(world.database, table, "old", submission_status="error", api_response="HTTP 400: no")
    else:
        change(world.database, table, "old", submission_status="pending")
        assert world.run(*(["--testing", "--table", table] if since == "rehearsed" else ["--deltas"])).code == 0
    leave(world, "old")
    for _ in range(2):
        done = world.run()
        assert done.code == 0, done.text
        assert "of person old, and now person new" in done.text
        assert world.server.simulator.held("P1") is not None


@no_server
def test_deleted_person_whose_record_was_replaced_takes_no_child_from_a_living_one(deployed_world: World) -> None:
    world = deployed_world
    for person in ("1", "2", "3"):
        world.fill([staged(person, child("P1"))])
        assert world.run().code == 0
    for person in ("2", "3"):
        leave(world, person)
    assert world.run("--person-id", "2").code == 0
    assert world.server.simulator.held("P1") is not None


@no_server
def test_one_receipt_for_a_whole_batch_makes_no_row_a_copy(deployed_world: World) -> None:
    world, table = deployed_world, deployed_world.database.table
    world.server.simulator.add_fault(Fault(FaultKind.RECEIPTS, shape=ReceiptShape.SINGLE))
    world.fill([staged(person, child(person)) for person in ("1", "2", "3")])
    assert world.run().code == 0
    assert len({row["api_response"] for row in world.rows().values()}) == 1
    copied = ", ".join(world.rows()["1"].keys() - {"id", "person_id"})
    with store_of(world.database) as store:
        rows = store.read_rows([1, 2, 3])
        assert not any(map(Succession(store).has_copies, rows))
        world.database.execute(
            f"INSERT INTO {table} (person_id, {copied}) SELECT '4', {copied} FROM {table} WHERE id = 1"
        )
        assert Succession(store).has_copies(rows[0])
