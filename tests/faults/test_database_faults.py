"""The database goes away, is locked or refuses between an acceptance and its write-back (contract 3 and 5)."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline import load_settings
from api_pipeline.assembly.request import RunObservers, RunRequest
from api_pipeline.assembly.run import run
from api_pipeline.db import Connection, ConnectionLost, connect, run_lock
from api_pipeline.run_summary import RunSummary
from api_pipeline.sandbox.simulator import Fault
from tests.faults.outages import after_requests, before_answer, cut_connections, let_in, shut_out
from tests.support.databases import TestDatabase
from tests.support.effort import IS_LONG
from tests.support.killed import wait_until_lock_is_free
from tests.support.postgres import PostgresServer
from tests.support.relay import Relay, relay_to
from tests.support.spooled import MANY, MID_RUN, check_spooled_and_recovered, no_spool, spool_of, spooled
from tests.support.world import World, live_settings

pytestmark = pytest.mark.strict


# PostgreSQL: the connection is cut, the server is gone for a while, the server is gone for good.


@pytest.mark.parametrize("requests", [1, 5, 12])
def test_connections_cut_mid_run_lose_nothing(postgres_world: World, requests: int) -> None:
    world = postgres_world
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.02)
    with after_requests(world, requests, lambda: cut_connections(world.database)):
        done = world.run(**MID_RUN)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY
    assert no_spool(world)


def test_connections_cut_repeatedly_lose_nothing(postgres_world: World) -> None:
    world = postgres_world
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)

    def cut_and_cut() -> None:
        for _ in range(4):
            cut_connections(world.database)
            time.sleep(0.1)

    with after_requests(world, 2, cut_and_cut):
        done = world.run(**MID_RUN)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY


@pytest.fixture
def relayed(postgres_world: World, postgres_server: PostgresServer) -> Iterator[tuple[World, Relay]]:
    """Yield a world whose runs reach the PostgreSQL server by way of a relay, while the test reaches it directly."""
    with relay_to(postgres_server.port) as relay:
        text = postgres_world.database.connection_string.replace(f"PORT={postgres_server.port}", f"PORT={relay.port}")
        postgres_world.settings["DB_CONNECTION_STRING"] = text
        yield postgres_world, relay


def test_server_that_is_away_for_a_while_is_waited_for(relayed: tuple[World, Relay]) -> None:
    world, relay = relayed
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.02)

    def away_for_a_while() -> None:
        relay.cut()
        time.sleep(1.0)
        relay.restore()

    with after_requests(world, 5, away_for_a_while):
        done = world.run(**MID_RUN)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY


def test_commits_whose_answers_are_lost_leave_each_record_in_the_log_once(relayed: tuple[World, Relay]) -> None:
    world, relay = relayed
    persons = world.stage(40)
    world.server.simulator.add_fault(Fault(status=422, first=2, last=6))
    # The lock, the looks at the tables, the journal's entry and the first page are the first five.
    relay.lose_answers(b"COMMIT\x00", {7, 10, 11, 14, 18, 21})
    done = world.run(BATCH_SIZE=5)
    assert done.code == 1, done.text
    log = world.database.rows(
        f"SELECT person_id, outcome, answer FROM {world.database.named('ssd_api_submission_log')}"
    )
    assert len({(person, answer) for person, _, answer in log}) == len(log)
    assert {person for person, _, _ in log} == set(persons)
    assert [outcome for _, outcome, _ in log].count("accepted") == world.server.simulator.stats().records_accepted


def test_receipts_survive_a_lost_server_and_are_written_first(
    relayed: tuple[World, Relay],
) -> None:
    world, relay = relayed
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    with before_answer(world, 6, relay.cut):
        done = world.run(**MID_RUN, DB_RETRY_S=0)
    relay.restore()
    wait_until_lock_is_free(world.database)
    check_spooled_and_recovered(world, done.code, done.text, may_be_written_too=True)


def test_receipts_survive_a_database_that_refuses_logins(postgres_world: World) -> None:
    world = postgres_world
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    with before_answer(world, 6, lambda: shut_out(world.database)):
        done = world.run(**MID_RUN, DB_RETRY_S=1)
    let_in(world.database)
    wait_until_lock_is_free(world.database)
    check_spooled_and_recovered(world, done.code, done.text, may_be_written_too=True)


# Every third commit of these; each of them in `scripts/test --long`.
@pytest.mark.parametrize("number", range(25, 37, 1 if IS_LONG else 3))
def test_spool_is_named_whichever_connection_is_lost_first(relayed: tuple[World, Relay], number: int) -> None:
    world, relay = relayed
    world.stage(2 * MANY)
    world.server.simulator.change(latency_s=0.03)
    relay.lose_answers(b"COMMIT\x00", {number}, for_good=True)
    done = world.run(**MID_RUN, DB_RETRY_S=0)
    relay.restore()
    assert done.code == 3, done.text
    if not no_spool(world):
        assert str(spool_of(world)) in done.text


def test_run_stops_and_keeps_receipts_when_another_took_its_lock(
    relayed: tuple[World, Relay],
) -> None:
    world, relay = relayed
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    other = connect(world.database.connection_string)

    def another_begins_meanwhile() -> None:
        relay.cut()
        until = time.monotonic() + 5
        while not took_lock() and time.monotonic() < until:
            time.sleep(0.05)
        relay.restore()

    def took_lock() -> bool:
        try:
            run_lock.take(other, world.database.table, None)
        except Exception:
            return False
        return True

    with before_answer(world, 5, another_begins_meanwhile):
        done = world.run(**MID_RUN)
    assert done.code == 3, done.text
    assert "another run was at work" in done.text
    assert spooled(world)
    other.close()
    wait_until_lock_is_free(world.database)
    assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY


def test_session_that_ends_behind_the_last_write_back_fails_no_run(postgres_world: World) -> None:
    persons = postgres_world.stage(2)
    database = postgres_world.database

    def end_session(summary: RunSummary) -> None:
        if summary.accepted == len(persons):
            cut_connections(database)

    values = {**database.settings, **live_settings(postgres_world.server)}
    settings = load_settings(None, **values)
    done = run(settings, RunRequest("run-1"), RunObservers(progress=end_session), threading.Event())

    assert (done.errors, done.exit_code) == ([], 0)
    postgres_world.check(dict.fromkeys(persons, "sent"))


def test_server_frees_the_lock_of_a_computer_that_vanished(postgres_world: World) -> None:
    connection = connect(postgres_world.database.connection_string)
    for _ in range(2):
        idle = connection.query("SELECT current_setting('tcp_keepalives_idle')")
        assert idle == [("60",)], "seconds of silence after which the server asks whether the client is still there"
        connection.reopen()
    connection.close()


def test_commit_reported_as_done_is_durable_when_the_connection_dies(
    postgres: TestDatabase,
) -> None:
    """The driver calls some commits done that died with the connection: about one in thirty, cut as this test does."""
    postgres.execute("CREATE TABLE done (attempt INT, number INT)")
    chance = random.Random(1)
    for attempt in range(150 if IS_LONG else 60):
        connection = connect(postgres.connection_string)
        (pid,) = connection.query("SELECT pg_backend_pid()")[0]
        cut = threading.Timer(chance.random() * 0.004, postgres.execute, ("SELECT pg_terminate_backend(?)", [pid]))
        cut.start()
        done = transactions_until_lost(connection, attempt)
        cut.join()
        connection.close()
        numbers = postgres.rows("SELECT DISTINCT number FROM done WHERE attempt = ? ORDER BY number", [attempt])
        assert [number for (number,) in numbers][:done] == list(range(done))


def transactions_until_lost(connection: Connection, attempt: int) -> int:
    """Return how many transactions came to their end without an exception."""
    until = time.monotonic() + 30
    for number in itertools.takewhile(lambda _: time.monotonic() < until, itertools.count()):
        try:
            with connection.transaction():
                for _ in range(4):
                    connection.execute("INSERT INTO done VALUES (?, ?)", [attempt, number])
        except ConnectionLost:
            return number
    raise AssertionError("the connection was not cut")


def test_database_that_is_away_from_the_start_ends_the_run_with_3(world: World, tmp_path: Path) -> None:
    done = world.run(DB_CONNECTION_STRING=f"sqlite:///{tmp_path / 'nowhere.db'}")
    assert done.code == 3, done.text
    assert world.requests() == 0
