"""The receipt spool: whose receipts the next run writes, and what it makes of damaged files (contract 3 and 5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind, Reading, SimulatorServer
from tests.faults.outages import allow_writes, before_answer, refuse_writes
from tests.support.databases import TestDatabase, no_server, sqlite_database
from tests.support.spooled import no_spool, spool_of, spooled
from tests.support.staging import EPISODE, change, child, hash_of, staged, table_rows, text_of
from tests.support.world import World, held_now, normal, recorded

pytestmark = pytest.mark.strict


# What the spool is for, and what it is not for.


def lose_write_back(world: World, count: int = 4, **settings: object) -> None:
    """Leave `count` accepted rows whose receipts are in the spool file only."""
    world.stage(count)
    refuse_writes(world.database)
    done = world.run(**settings)
    allow_writes(world.database)
    assert done.code == 3, done.text
    assert len(spooled(world)) == count


def test_receipts_of_another_receiver_stay_in_the_spool(world: World) -> None:
    lose_write_back(world)
    before = spool_of(world).read_bytes()
    with SimulatorServer() as elsewhere:
        done = replace(world, server=elsewhere).run("--limit", "1")
        assert done.code == 0, done.text
        assert elsewhere.simulator.stats().records_accepted == 1
    assert spool_of(world).read_bytes() == before
    assert sorted(world.words().values()) == ["sent", "untouched", "untouched", "untouched"]


def test_receipts_of_another_table_are_left_alone(world: World) -> None:
    lose_write_back(world)
    before = spool_of(world).read_bytes()
    world.server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
    done = world.run(TABLE_NAME=world.database.anon_table, MAX_ATTEMPTS=1, GIVE_UP_AFTER_FAILED_BATCHES=1)
    assert done.code == 5, done.text
    assert spool_of(world).read_bytes() == before
    receipts = {line["receipt"] for line in spooled(world)}
    rows = table_rows(world.database, world.database.anon_table)
    assert rows
    assert receipts.isdisjoint(row["api_response"] for row in rows)


def test_receipts_of_another_database_stay_in_the_spool(world: World) -> None:
    lose_write_back(world)
    path = spool_of(world)
    before = path.read_bytes()
    folder = world.folder / "other"
    folder.mkdir()
    with sqlite_database(folder) as database:
        other = World(database.deploy(), world.server, world.folder)
        other.stage(4)
        world.server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
        done = other.run(MAX_ATTEMPTS=1, GIVE_UP_AFTER_FAILED_BATCHES=1)
        assert done.code == 5, done.text
        assert "sent" not in other.words().values()
    assert path.read_bytes() == before


def test_testing_mode_leaves_the_receipts_for_a_live_run(world: World) -> None:
    lose_write_back(world)
    before = spool_of(world).read_bytes()
    assert world.run(TESTING_MODE="true").code == 0
    assert spool_of(world).read_bytes() == before
    assert {row["submission_status"] for row in world.rows().values()} == {"testing"}


def test_row_changed_after_its_receipt_was_spooled_stays_due(world: World) -> None:
    lose_write_back(world)
    newer = text_of(child("P0001", mis_child_id="newer"))
    change(world.database, world.database.table, "P0001", json_payload=newer, current_hash=hash_of(newer))
    world.remember()
    assert world.run().code == 0
    assert no_spool(world)
    world.check(dict.fromkeys(world.before, "sent"))
    # The changed child is purged and sent whole: what the receiver holds of it is not on record.
    assert [len(world.server.simulator.receipts(person)) for person in world.before] == [1, 3, 1, 1]


def test_spooled_receipt_is_dropped_when_the_child_was_sent_again(world: World) -> None:
    lose_write_back(world, 1)
    first = world.rows()["P0000"]["json_payload"]
    path = spool_of(world)
    old = path.read_bytes()
    (receipt,) = (line["receipt"] for line in spooled(world))
    path.unlink()
    newer = text_of(child("P0000", mis_child_id="newer"))
    change(world.database, world.database.table, "P0000", json_payload=newer, current_hash=hash_of(newer))
    assert world.run().code == 0
    again = {"json_payload": first, "current_hash": hash_of(first), "submission_status": "Pending"}
    change(world.database, world.database.table, "P0000", **again)
    world.remember()
    path.write_bytes(old)
    assert world.run().code == 0
    # The receipt fits the row as it stands, but the receiver had taken something else in between.
    world.check({"P0000": "sent"})
    assert world.rows()["P0000"]["api_response"] != receipt
    assert no_spool(world)


def test_receipt_of_a_deletion_is_written_from_the_file_as_well(world: World) -> None:
    world.server.simulator.change(reading=Reading.MERGE)
    world.stage(3)
    assert world.run().code == 0
    change(world.database, world.database.table, "P0001", row_state="Deleted")
    refuse_writes(world.database)
    assert world.run().code == 3
    allow_writes(world.database)
    (receipt,) = spooled(world)
    assert receipt["kind"] == "deletion"
    requests = world.requests()
    assert world.run().code == 0
    row = world.rows()["P0001"]
    assert (row["submission_status"], row["row_state"], row["api_response"]) == ("sent", "deleted", receipt["receipt"])
    assert (row["previous_json_payload"], row["previous_hash"]) == (None, None)
    assert world.requests() == requests
    assert world.server.simulator.held("P0001") is None


def test_log_names_run_and_batch_of_a_recovered_record(world: World) -> None:
    lose_write_back(world, 4, BATCH_SIZE=2)
    receipts = spooled(world)
    assert world.run().code == 0
    log = f"SELECT run_id, batch, person_id, answer FROM {world.database.named('ssd_api_submission_log')}"
    found = {tuple(row) for row in world.database.rows(log)}
    assert found == {(one["run_id"], one["batch"], one["person_id"], one["receipt"]) for one in receipts}


def test_unfinished_last_line_of_the_spool_is_skipped(world: World) -> None:
    lose_write_back(world)
    with spool_of(world).open("a", encoding="utf-8") as file:
        file.write('{"run_id": "cut sho')
    assert world.run().code == 0
    assert no_spool(world)
    world.check(dict.fromkeys(world.before, "sent"))
    assert world.server.simulator.stats().records_accepted == 4


def test_unreadable_spool_ends_the_run_before_sending(world: World) -> None:
    lose_write_back(world)
    path = spool_of(world)
    path.unlink()
    path.mkdir()
    requests = world.requests()
    done = world.run()
    assert done.code == 3, done.text
    assert str(path) in done.text
    assert world.requests() == requests


def test_unwritable_spool_is_reported_and_rows_stay_due(world: World) -> None:
    persons = world.stage(4)
    folder = world.folder / "receipts"
    refuse_writes(world.database)
    world.server.simulator.change(latency_s=0.1)
    with before_answer(world, 1, lambda: folder.write_text("in the way", encoding="utf-8")):
        done = world.run(SPOOL_FOLDER=folder)
    allow_writes(world.database)
    assert done.code == 3, done.text
    assert "neither to the database nor to" in done.text
    assert "(SQLSTATE" in done.text
    world.check(dict.fromkeys(persons, "untouched"))
    assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))


@no_server
@pytest.mark.parametrize("is_retained", [False, True])
def test_what_is_not_purged_is_still_recorded_after_recovery(deployed_world: World, *, is_retained: bool) -> None:
    world, left = deployed_world, deployed_world.database.named("ssd_api_left_window")
    world.fill([staged("A", child("A", social_care_episodes=[EPISODE]))])
    assert world.run().code == 0
    world.restage("A", child("A"))
    if is_retained:
        world.database.execute(f"INSERT INTO {left} VALUES ('A', '[[\"social_care_episodes\", \"E1\"]]')")
    with before_answer(world, 1, lambda: refuse_writes(world.database)):
        assert world.run(PURGE_VANISHED="false").code == 3
    allow_writes(world.database)
    receipt = spooled(world)[0]["receipt"]
    assert world.run().code == 0
    assert world.rows()["A"]["api_response"] == receipt
    world.database.execute(f"DELETE FROM {left}")
    change(world.database, world.database.table, "A", submission_status="pending")
    assert world.run().code == 0
    assert world.server.simulator.held("A") == child("A")


@no_server
def test_receipts_of_two_rows_of_a_child_with_a_written_purge_between_them(deployed_world: World) -> None:
    world = deployed_world
    world.fill([staged("one", child("A", social_care_episodes=[EPISODE])), staged("two", child("A"))])
    with (
        before_answer(world, 1, lambda: refuse_writes(world.database)),
        before_answer(world, 2, lambda: allow_writes(world.database)),
        before_answer(world, 3, lambda: refuse_writes(world.database)),
    ):
        assert world.run().code == 3
    allow_writes(world.database)
    assert [line["person_id"] for line in spooled(world)] == ["one", "two"]
    assert world.run().code == 0
    assert recorded(world.database) == held_now(world.server.simulator) == {"A": normal(text_of(child("A")) or "")}


@no_server
def test_receipt_is_of_no_use_where_a_later_one_of_its_child_is_lost(deployed_world: World) -> None:
    world, table = deployed_world, deployed_world.database.table
    closed = {**EPISODE, "closure_date": "2026-05-05"}
    world.fill([staged("one", child("A", social_care_episodes=[EPISODE]))])
    world.fill([staged("two", child("A", social_care_episodes=[closed]))])
    with before_answer(world, 1, lambda: refuse_writes(world.database)):
        assert world.run().code == 3
    assert [line["person_id"] for line in spooled(world)] == ["one", "two"]
    allow_writes(world.database)
    change(world.database, table, "two", row_state="Deleted")
    assert world.run().code == 0
    assert recorded(world.database) == held_now(world.server.simulator)
    assert held_now(world.server.simulator)["A"] == normal(text_of(child("A", social_care_episodes=[EPISODE])) or "")


# What one shard left is not lost when the shards are no more, and the other way round.


def test_whole_table_run_writes_receipts_of_shards(world: World) -> None:
    persons = world.stage(6)
    refuse_writes(world.database)
    assert world.run("--shard", "1/2").code == 3
    assert world.run("--shard", "2/2").code == 3
    allow_writes(world.database)
    assert len(list(world.folder.glob("unwritten-receipts-*"))) == 2
    assert world.run().code == 0
    assert no_spool(world)
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == 6


def test_first_shard_writes_receipts_of_a_whole_table_run(world: World) -> None:
    lose_write_back(world, 6)
    assert world.run("--shard", "2/2").code == 0
    assert no_spool(world)
    world.check(dict.fromkeys(world.before, "sent"))
    assert world.server.simulator.stats().records_accepted == 6


def test_shard_ignores_the_spool_of_another_shard(world: World) -> None:
    world.stage(6)
    refuse_writes(world.database)
    assert world.run("--shard", "1/2").code == 3
    allow_writes(world.database)
    before = spool_of(world).read_bytes()
    assert world.run("--shard", "2/2").code == 0
    assert spool_of(world).read_bytes() == before
    assert world.run("--shard", "1/2").code == 0
    world.check(dict.fromkeys(world.before, "sent"))
    assert world.server.simulator.stats().records_accepted == 6


@pytest.fixture
def without_control_tables(world: World) -> TestDatabase:
    for table in ("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed"):
        world.database.execute(f"DROP TABLE {world.database.named(table)}")
    return world.database


def test_receipts_are_spooled_without_control_tables(world: World, without_control_tables: TestDatabase) -> None:
    lose_write_back(world)
    receipts = {line["person_id"]: line["receipt"] for line in spooled(world)}
    requests = world.requests()
    assert world.run().code == 0
    assert world.requests() == requests
    assert {person: row["api_response"] for person, row in world.rows().items()} == receipts
    assert without_control_tables.count(world.database.table, "submission_status = 'sent'") == 4


def test_receipt_of_an_unknown_run_is_not_believed_without_control_tables(
    world: World, without_control_tables: TestDatabase
) -> None:
    lose_write_back(world)
    without_control_tables.execute(f"DELETE FROM {world.database.named('ssd_api_runs')}")
    requests = world.requests()
    done = world.run()
    assert done.code == 0
    assert "does not use 4 receipts of a run that is not in the journal" in done.text
    assert world.requests() > requests
