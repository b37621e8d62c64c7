"""A database that takes no write-back: the receipts are spooled, and recovered before the next run sends anything."""

from __future__ import annotations

from contextlib import closing

import pyodbc
import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind
from tests.faults.outages import allow_writes, before_answer, refuse_writes
from tests.properties.model import content
from tests.support.postgres import PostgresServer
from tests.support.spooled import MANY, MID_RUN, check_spooled_and_recovered, no_spool, spooled
from tests.support.staging import EPISODE, change, child, staged, text_of
from tests.support.world import World, recorded

pytestmark = pytest.mark.strict


def test_receipts_survive_a_database_that_refuses_to_write(world: World) -> None:
    check_refused_writes(world)


def test_receipts_survive_a_read_only_postgresql_database(postgres_world: World) -> None:
    check_refused_writes(postgres_world)


def check_refused_writes(world: World) -> None:
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    with before_answer(world, 6, lambda: refuse_writes(world.database), holds_all=True):
        done = world.run(**MID_RUN)
    allow_writes(world.database)
    check_spooled_and_recovered(world, done.code, done.text)


@pytest.mark.parametrize("purging", ["true", "false"])
def test_recovered_receipt_writes_the_same_baseline_as_a_direct_one(embedded_world: World, purging: str) -> None:
    world = embedded_world
    second = {**EPISODE, "social_care_episode_id": "E2"}
    world.fill([staged("1", child("1", social_care_episodes=[EPISODE, second]))])
    assert world.run(PURGE_VANISHED=purging).code == 0
    # The second episode left the payload, but is to stay at the receiver.
    if purging == "true":
        world.database.execute(
            f"INSERT INTO {world.database.named('ssd_api_left_window')} (person_id, elements) VALUES (?, ?)",
            ["1", '[["social_care_episodes", "E2"]]'],
        )
    now = child("1", social_care_episodes=[{**EPISODE, "referral_source": "1A"}])
    change(world.database, world.database.table, "1", json_payload=text_of(now), submission_status="pending")
    with before_answer(world, 1, lambda: refuse_writes(world.database)):
        assert world.run(PURGE_VANISHED=purging).code == 3
    allow_writes(world.database)
    assert spooled(world)
    world.server.simulator.add_fault(Fault(FaultKind.DROP, times=None))
    world.run(PURGE_VANISHED=purging)
    assert no_spool(world)
    held = recorded(world.database)["1"]
    assert [episode["social_care_episode_id"] for episode in held["social_care_episodes"]] == ["E1", "E2"]


def test_foreign_open_transaction_ends_the_run_within_its_limit(
    postgres_world: World, postgres_server: PostgresServer
) -> None:
    world = postgres_world
    persons = world.stage(4)
    with closing(pyodbc.connect(world.database.connection_string)) as other:
        other.execute(f"UPDATE {world.database.table} SET legacy_id = '1' WHERE person_id = ?", [persons[1]])
        done = world.run(BATCH_SIZE=2, DB_RETRY_S=0)
        assert done.code == 3, done.text
        other.rollback()
    receipts = spooled(world)
    assert {line["person_id"] for line in receipts} >= set(persons[:2])
    assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == len(persons)


@pytest.mark.parametrize("refused", ["'purge'", "'purge', 'full'"])
def test_the_receipt_of_a_purge_that_is_refused_is_spooled_and_logged(embedded_world: World, refused: str) -> None:
    world = embedded_world
    details = child("1")["child_details"]
    world.fill([staged(person, child(person)) for person in ("1", "2")])
    assert world.run().code == 0
    world.restage("1", child("1", child_details={name: details[name] for name in details if name != "surname"}))
    world.database.execute(
        f"CREATE TRIGGER refused BEFORE INSERT ON ssd_api_submission_log WHEN NEW.kind IN ({refused}) "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )

    done = world.run(PURGE_VANISHED="true")

    assert done.code == 3, done.text
    purge = spooled(world)[0]
    assert (purge["kind"], purge["person_id"]) == ("purge", "1")
    world.database.execute("DROP TRIGGER refused")
    assert world.run(PURGE_VANISHED="true").code == 0
    assert no_spool(world)
    logged = world.database.rows(
        "SELECT kind, outcome, answer, run_id FROM ssd_api_submission_log WHERE person_id = '1' ORDER BY id"
    )
    assert ("purge", "accepted", purge["receipt"], purge["run_id"]) in [tuple(line) for line in logged]
    assert len({line[2] for line in logged}) == len(logged), "an answer is logged once"
    assert "surname" not in recorded(world.database)["1"]["child_details"]


@pytest.mark.parametrize("kind", ["purge", "resync"])
def test_what_a_purge_took_is_sent_again_though_its_receipt_was_refused(embedded_world: World, kind: str) -> None:
    world = embedded_world
    details = child("1")["child_details"]
    before = child("1", social_care_episodes=[EPISODE])
    world.fill([staged("1", before)])
    assert world.run().code == 0
    less = child("1", child_details={name: details[name] for name in details if name != "surname"})
    world.restage("1", less if kind == "purge" else before)
    world.database.execute(
        "CREATE TRIGGER refused BEFORE INSERT ON ssd_api_submission_log WHEN NEW.kind = 'purge' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    simulator = world.server.simulator
    simulator.add_fault(Fault(status=422, first=3, last=9))
    done = world.run(*(["--resync"] if kind == "resync" else []), PURGE_VANISHED="true")
    assert done.code == 3, done.text
    assert content(before) != content(simulator.held("1") or {})
    world.database.execute("DROP TRIGGER refused")
    simulator.clear_faults()

    # The source is corrected back to what was held before the purge.
    world.restage("1", before)
    assert world.run(PURGE_VANISHED="true").code == 0
    world.remember()
    world.check({"1": "sent"})


def test_row_that_is_refused_every_night_keeps_each_receipt_in_the_log(embedded_world: World) -> None:
    world = embedded_world
    world.stage(2)
    world.database.execute(
        f"CREATE TRIGGER refused BEFORE UPDATE ON {world.database.table} WHEN NEW.person_id = 'P0001' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    for _ in range(3):
        assert world.run().code == 3
    # That of the night before last is in the log by now, and the file does not grow with every night.
    assert len(spooled(world)) == 2
    world.database.execute("DROP TRIGGER refused")

    assert world.run().code == 0
    assert no_spool(world)
    logged = world.database.rows("SELECT answer FROM ssd_api_submission_log WHERE person_id = 'P0001' ORDER BY id")
    given = world.server.simulator.receipts("P0001")
    assert len(given) == len(logged) == 3
    assert all(answer in whole for (answer,), whole in zip(logged, given, strict=True))
