"""A pooler that gives the server's sessions to other programs between two transactions (PgBouncer, contract 3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pyodbc
import pytest

from api_pipeline.db import Connection, connect, run_lock
from api_pipeline.errors import AlreadyRunning
from tests.faults.outages import before_answer
from tests.support.databases import TestDatabase
from tests.support.killed import wait_until_lock_is_free
from tests.support.pgbouncer import Pooler, running_pooler
from tests.support.postgres import PostgresServer
from tests.support.world import World

_LOCK_HOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database d "
_LOCK_HOLDERS += "WHERE d.datname = current_database())"


@pytest.fixture(scope="module")
def pooler(postgres_or_reason: PostgresServer | str) -> Iterator[Pooler | None]:
    if isinstance(postgres_or_reason, str):
        yield None
        return
    with running_pooler(postgres_or_reason, default_pool_size=4, server_round_robin=1) as running:
        yield running


@pytest.fixture
def world(postgres_world: World, pooler: Pooler, postgres_server: PostgresServer) -> World:
    return behind(pooler, postgres_world, postgres_server)


def behind(pooler: Pooler, world: World, server: PostgresServer) -> World:
    """Return the world whose program knows the database through the pooler; the test itself goes straight to it."""
    pooled = pooler.connection_string(world.database.connection_string, server)
    return replace(world, database=replace(world.database, connection_string=pooled))


def kill_lock_holders(database: TestDatabase) -> int:
    return len(database.rows(f"SELECT pg_terminate_backend(pid) FROM ({_LOCK_HOLDERS}) AS holders"))


def test_nightly_run_works_behind_a_pooler_and_leaks_no_setting(world: World) -> None:
    persons = world.stage(9)
    done = world.run(BATCH_SIZE=2, MAX_IN_FLIGHT=2)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    seen = set()
    for _ in range(6):
        with closing(pyodbc.connect(world.database.connection_string, autocommit=True)) as other:
            row = other.execute(
                "SELECT current_setting('lock_timeout'), current_setting('tcp_keepalives_idle'), "
                "current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_isolation')"
            ).fetchone()
            seen.add(tuple(row))
    assert {(row[0], row[2], row[3]) for row in seen} == {("0", "0", "read committed")}
    assert {row[1] for row in seen} != {"60"}


def test_lock_outlives_the_timeouts_of_the_database(world: World) -> None:
    (name,) = world.database.rows("SELECT current_database()")[0]
    for setting in ("idle_in_transaction_session_timeout = 500", "default_transaction_isolation = 'repeatable read'"):
        world.database.execute(f"ALTER DATABASE {name} SET {setting}")
    persons = world.stage(3)
    seen: list[tuple[object, ...]] = []
    world.server.simulator.change(latency_s=0.7)
    look = f"SELECT state, backend_xmin, backend_xid FROM pg_stat_activity WHERE pid IN ({_LOCK_HOLDERS})"
    with before_answer(world, 3, lambda: seen.extend(world.database.rows(look))):
        done = world.run(BATCH_SIZE=1)
    assert done.code == 0, done.text
    assert seen == [("idle in transaction", None, None)], "no snapshot and no row is held"
    world.check(dict.fromkeys(persons, "sent"))


def test_run_goes_on_when_its_lock_was_lost_and_is_still_free(world: World) -> None:
    persons = world.stage(4)
    with before_answer(world, 2, lambda: kill_lock_holders(world.database)):
        done = world.run(BATCH_SIZE=1)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == len(persons)


@pytest.mark.parametrize("control_tables", [True, False])
def test_run_stops_before_its_next_batch_when_another_has_its_lock(
    world: World, postgres_world: World, control_tables: bool
) -> None:
    persons = world.stage(8)
    if not control_tables:
        for table in ("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed"):
            world.database.execute(f"DROP TABLE {table}")
    with closing(connect(postgres_world.database.connection_string)) as other:

        def another_begins() -> None:
            assert kill_lock_holders(world.database) == 1
            wait_for_lock(other, world.database)

        with before_answer(world, 2, another_begins):
            done = world.run(BATCH_SIZE=1, DB_RETRY_S=1)
        assert done.code == 3, done.text
        assert "another run was at work" in done.text
        assert world.requests() <= 3, "that of the answer, and one that was on its way"
        assert world.run().code == 75
    wait_until_lock_is_free(postgres_world.database)
    assert world.run().code == 0
    if not control_tables:
        assert {row["submission_status"] for row in world.rows().values()} == {"sent"}
        return
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == len(persons)


def wait_for_lock(connection: Connection, database: TestDatabase) -> None:
    for _ in range(200):
        try:
            run_lock.take(connection, database.table, None)
        except AlreadyRunning:
            continue
        return
    raise AssertionError("the lock did not become free")


@pytest.mark.parametrize("shard", [None, (1, 2)])
def test_pooled_and_direct_runs_exclude_each_other(
    world: World, postgres_world: World, shard: tuple[int, int] | None
) -> None:
    table = world.database.table
    with (
        closing(connect(world.database.connection_string)) as pooled,
        closing(connect(postgres_world.database.connection_string)) as direct,
        closing(connect(world.database.connection_string)) as third,
    ):
        assert (pooled.is_pooled, direct.is_pooled) == (True, False)
        for first, second in ((pooled, direct), (direct, pooled), (pooled, third)):
            lock = run_lock.take(first, table, shard)
            with pytest.raises(AlreadyRunning):
                run_lock.take(second, table, None)
            if shard is not None:
                run_lock.take(second, table, (2, 2)).release()
            lock.release()
            run_lock.take(second, table, None).release()


def test_pool_without_a_connection_for_the_lock_is_named_before_sending(
    postgres_world: World, postgres_server: PostgresServer
) -> None:
    with running_pooler(postgres_server, default_pool_size=1, query_wait_timeout=1) as small:
        world = behind(small, postgres_world, postgres_server)
        world.stage(1)
        done = world.run(DB_RETRY_S=1)
    assert done.code == 3, done.text
    assert "did not give this run two connections" in done.text
    assert world.requests() == 0


def test_pool_in_session_mode_keeps_sessions_and_their_lock(
    postgres_world: World, postgres_server: PostgresServer
) -> None:
    with running_pooler(postgres_server, mode="session", default_pool_size=6) as sessions:
        world = behind(sessions, postgres_world, postgres_server)
        persons = world.stage(2)
        with closing(connect(world.database.connection_string)) as connection:
            assert not connection.is_pooled
        assert world.run().code == 0
    world.check(dict.fromkeys(persons, "sent"))
