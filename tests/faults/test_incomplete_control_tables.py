"""A night in which a control table is missing: no later night believes a baseline that it has overtaken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api_pipeline.outbox.baselines import OVERTAKEN
from api_pipeline.sandbox.simulator import Refusal, SimulatorServer
from tests.faults.outages import allow_writes, before_answer, refuse_writes
from tests.properties.model import content
from tests.support.altering import rename_table
from tests.support.databases import one_kind
from tests.support.killed import wait_until_lock_is_free
from tests.support.logins import another_login
from tests.support.planning import RECEIPT
from tests.support.postgres import PostgresServer
from tests.support.staging import change, child, staged, text_of
from tests.support.world import World, held_now, normal

HELD, LOG, UNCONFIRMED = "ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed"
each_table = pytest.mark.parametrize("table", [HELD, LOG, UNCONFIRMED])
BEFORE = child("A")


def with_episode(number: str) -> dict[str, object]:
    return child("A", social_care_episodes=[{"social_care_episode_id": number, "referral_date": "2026-01-05"}])


@contextmanager
def without(world: World, *tables: str) -> Iterator[None]:
    """Take control tables away for a night; they come back as they were."""
    for table in tables:
        rename_table(world.database, table, f"{table}_away")
    yield
    for table in tables:
        rename_table(world.database, f"{table}_away", table)


@pytest.fixture
def world(deployed_world: World) -> World:
    """Return a world with two children who were sent."""
    deployed_world.fill([staged("A", BEFORE), staged("B")])
    assert deployed_world.run().code == 0
    return deployed_world


def check_receiver_holds_what_is_staged(world: World) -> None:
    for mode in ("--full", "--deltas"):
        done = world.run(mode)
        assert done.code == 0, done.text
        living = [row for row in world.rows().values() if row["row_state"].lower() != "deleted"]
        assert held_now(world.server.simulator) == {row["person_id"]: normal(row["json_payload"]) for row in living}


@each_table
def test_the_payload_of_before_that_night_is_sent_again(world: World, table: str) -> None:
    with without(world, table):
        world.restage("A", with_episode("E1"))
        assert world.run().code == 0
    world.restage("A", BEFORE)
    check_receiver_holds_what_is_staged(world)


@one_kind
@each_table
def test_what_came_in_that_night_is_purged_when_it_vanishes(world: World, table: str) -> None:
    with without(world, table):
        world.restage("A", with_episode("E1"))
        assert world.run().code == 0
    world.restage("A", with_episode("E2"))
    check_receiver_holds_what_is_staged(world)


def delete_without(world: World, table: str) -> None:
    """Delete a child in a night in which a control table is missing."""
    with without(world, table):
        change(world.database, world.database.table, "A", row_state="deleted", submission_status="pending")
        assert world.run().code == 0


@one_kind
@each_table
def test_a_child_who_left_in_that_night_and_returns_is_sent(world: World, table: str) -> None:
    delete_without(world, table)
    world.restage("A", BEFORE)
    check_receiver_holds_what_is_staged(world)


@one_kind
@each_table
def test_a_child_who_left_in_that_night_is_deleted_at_most_once_more(world: World, table: str) -> None:
    delete_without(world, table)
    assert world.run().code == 0
    accepted = world.server.simulator.stats().records_accepted
    done = world.run()
    assert (done.code, world.server.simulator.stats().records_accepted) == (0, accepted), done.text
    assert "A" not in held_now(world.server.simulator)


@one_kind
@each_table
def test_a_child_of_another_tool_who_left_in_that_night_and_returns_is_sent(world: World, table: str) -> None:
    """No log line says that the child is gone, and the build stages what was last there as the previous payload."""
    world.fill([staged("C", status="sent", state="deleted", previous=child("C"), response=RECEIPT)])
    with without(world, table):
        assert world.run().code == 0
    world.restage("C", child("C"))
    change(world.database, world.database.table, "C", previous_json_payload=text_of(child("C")))
    check_receiver_holds_what_is_staged(world)


@one_kind
@each_table
def test_a_child_who_came_in_that_night_and_leaves_is_deleted(world: World, table: str) -> None:
    with without(world, table):
        world.fill([staged("C")])
        assert world.run().code == 0
    change(world.database, world.database.table, "C", row_state="deleted", submission_status="pending")
    check_receiver_holds_what_is_staged(world)


@one_kind
@each_table
def test_a_run_that_is_killed_in_that_night_leaves_no_believed_baseline(world: World, table: str) -> None:
    with without(world, table):
        world.restage("A", with_episode("E1"))
        with world.started() as process, before_answer(world, 1, process.kill):
            process.wait(30)
        wait_until_lock_is_free(world.database)
    assert held_now(world.server.simulator)["A"] == content(with_episode("E1"))
    world.restage("A", with_episode("E2"))
    check_receiver_holds_what_is_staged(world)


@one_kind
@each_table
def test_saved_receipt_of_that_night_leaves_no_believed_baseline(world: World, table: str) -> None:
    world.restage("A", with_episode("E1"))
    assert world.run().code == 0
    with without(world, table):
        world.restage("A", with_episode("E2"))
        with before_answer(world, 1, lambda: refuse_writes(world.database)):
            assert world.run().code == 3
        allow_writes(world.database)
    assert world.run().code == 0
    change(world.database, world.database.table, "A", submission_status="pending")
    check_receiver_holds_what_is_staged(world)


@one_kind
@each_table
def test_the_baseline_of_a_record_refused_in_that_night_stays(world: World, table: str) -> None:
    world.server.simulator.change(refusals=(Refusal(contains="E1"),))
    with without(world, table):
        world.restage("A", with_episode("E1"))
        assert world.run().code == 1
    world.restage("A", BEFORE)
    requests = world.requests()
    check_receiver_holds_what_is_staged(world)
    assert world.requests() == requests


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_baselines_that_the_login_may_not_see_are_overtaken_or_end_the_run(
    world: World, postgres_server: PostgresServer
) -> None:
    rights = (f"SELECT, UPDATE ON {world.database.table}", f"SELECT, INSERT, DELETE ON {UNCONFIRMED}")
    with another_login(world.database, postgres_server, *rights) as login:
        text = login.connection_string
        world.restage("A", with_episode("E1"))
        assert world.run(DB_CONNECTION_STRING=text).code == 0
        world.database.execute(f"REVOKE ALL ON {UNCONFIRMED} FROM {login.name}")
        world.restage("A", with_episode("E2"))
        requests = world.requests()
        done = world.run(DB_CONNECTION_STRING=text)
        assert done.code == 3
        assert f"control table {HELD} is there and cannot be used" in done.text
        assert "Nothing was sent" in done.text
        assert world.requests() == requests
    check_receiver_holds_what_is_staged(world)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_a_run_that_may_not_see_what_is_retained_ends_before_it_sends(
    world: World, postgres_server: PostgresServer
) -> None:
    every = f"SELECT, INSERT, UPDATE, DELETE ON {HELD}, {LOG}, {UNCONFIRMED}, {world.database.table}"
    world.restage("A", with_episode("E1"))
    requests = world.requests()
    with another_login(world.database, postgres_server, every, "USAGE ON ALL SEQUENCES IN SCHEMA public") as login:
        for arguments in ((), ("--dry-run",)):
            done = world.run(*arguments, DB_CONNECTION_STRING=login.connection_string)
            assert done.code == 3, done.text
            assert "control table ssd_api_left_window is there and cannot be read" in done.text
        assert world.requests() == requests
        world.database.execute(f"GRANT SELECT ON ssd_api_left_window TO {login.name}")
        assert world.run(DB_CONNECTION_STRING=login.connection_string).code == 0
        world.database.execute("DROP TABLE ssd_api_left_window")
        assert world.run(DB_CONNECTION_STRING=login.connection_string).code == 0


@one_kind
def test_a_record_refused_beside_accepted_ones_gets_its_receipt_back(world: World) -> None:
    before = receipts_on_record(world)
    world.server.simulator.change(refusals=(Refusal(contains="E1"),))
    with without(world, LOG):
        world.restage("A", with_episode("E1"))
        world.restage("B", child("B", social_care_episodes=[]))
        world.fill([staged("C")])
        assert world.run().code == 1
    after = receipts_on_record(world)
    assert after == {"A": before["A"], "B": OVERTAKEN, "C": OVERTAKEN}


def receipts_on_record(world: World) -> dict[str, str]:
    return dict(world.database.rows(f"SELECT la_child_id, receipt FROM {world.database.named(HELD)}"))


@one_kind
@each_table
def test_what_was_sent_in_that_night_is_not_taken_to_be_held_by_another_receiver(world: World, table: str) -> None:
    with without(world, table):
        world.fill([staged("C")])
        assert world.run().code == 0
    with SimulatorServer() as other:
        world.server = other
        for person in ("A", "B", "C"):
            change(world.database, world.database.table, person, submission_status="pending")
        check_receiver_holds_what_is_staged(world)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_time_limit_on_the_last_count_of_a_run_is_a_warning(deployed_world: World) -> None:
    world = deployed_world
    held, kept = world.database.named("ssd_api_held"), world.database.named("held_kept")
    world.database.execute(f"ALTER TABLE {held} RENAME TO held_kept")
    world.database.execute(
        f"CREATE VIEW {held} AS SELECT * FROM {kept} "
        "WHERE CASE WHEN current_query() LIKE '%EXCEPT%' THEN pg_sleep(30) IS NULL ELSE true END"
    )
    world.database.execute("ALTER ROLE CURRENT_USER SET statement_timeout = '1s'")
    try:
        people = world.stage(3)
        done = world.run()
    finally:
        world.database.execute("ALTER ROLE CURRENT_USER RESET statement_timeout")

    assert done.code == 0, done.text
    assert "children without a row" in done.text
    assert "could not be counted" in done.text
    assert {world.rows()[person]["submission_status"] for person in people} == {"sent"}
