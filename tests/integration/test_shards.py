"""A table divided among several runs: no row in two shards, none in no shard, each shard with its own lock."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from api_pipeline.db import connect
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.sandbox.simulator import Fault, FaultKind
from api_pipeline.sql.identifiers import table_names
from tests.support.databases import TestDatabase
from tests.support.killed import wait_until_lock_is_free
from tests.support.staging import fill, staged
from tests.support.world import World

pytestmark = pytest.mark.slow

# Holds up the first request, and with it the run, until `simulator.interrupt`, or the test's end.
HELD_UP = Fault(FaultKind.SLOW, delay_s=50.0)


on_postgresql = pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
on_both_kinds = pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 153])
def test_every_row_is_in_exactly_one_shard(deployed: TestDatabase, count: int) -> None:
    fill(deployed, deployed.table, [staged(f"P{number}") for number in range(100)])
    deployed.execute(f"DELETE FROM {deployed.table} WHERE person_id LIKE 'P%3'")
    connection = connect(deployed.connection_string)
    store = StagingTable(connection, table_names(deployed.table, connection.dialect))
    shares = [ids(store, Selection(shard=(index, count))) for index in range(1, count + 1)]
    assert [store.count(Selection(shard=(index, count))) for index in range(1, count + 1)] == [*map(len, shares)]
    connection.close()
    together = [row_id for share in shares for row_id in share]
    assert len(together) == len(set(together)) == 90
    assert sorted(together) == [row[0] for row in deployed.rows(f"SELECT id FROM {deployed.table} ORDER BY id")]
    assert max(map(len, shares)) <= 2 * (100 // count) + 4, "the shares are of about one size"


def ids(store: StagingTable, selection: Selection) -> list[int]:
    found: list[int] = []
    while page := store.read_page(selection, found[-1] if found else None, 7):
        found += [row.id for row in page]
    return found


@on_postgresql
def test_four_shards_at_once_send_every_row_once(world: World) -> None:
    persons = world.stage(200)
    world.server.simulator.change(latency_s=0.02)
    with ExitStack() as stack:
        runs = [
            stack.enter_context(world.started("--shard", f"{index}/4", "--batch-size", "10", "--max-in-flight", "2"))
            for index in range(1, 5)
        ]
        assert [run.wait(timeout=60) for run in runs] == [0, 0, 0, 0]
    world.check(dict.fromkeys(persons, "sent"))
    assert [len(world.server.simulator.receipts(person)) for person in persons] == [1] * 200
    journal = world.database.rows("SELECT shard, accepted FROM ssd_api_runs ORDER BY shard")
    assert [row[0] for row in journal] == [f"{index}/4" for index in range(1, 5)]
    assert sum(row[1] for row in journal) == 200


@pytest.mark.strict
@on_both_kinds
def test_one_shard_sends_its_own_rows_and_touches_no_other(world: World) -> None:
    persons = world.stage(12)
    done = world.run("--shard", "2/3")
    assert done.code == 0, done.text
    of_shard = {person for person, row in world.rows().items() if Selection(shard=(2, 3)).is_ours(row["id"], person)}
    assert 0 < len(of_shard) < 12
    world.check({person: "sent" if person in of_shard else "untouched" for person in persons})


@on_both_kinds
@pytest.mark.parametrize(
    ("at_work", "second"),
    [((), ("--shard", "1/2")), (("--shard", "1/2"), ()), (("--shard", "1/2"), ("--shard", "1/2"))],
    ids=["shard beside the whole table", "whole table beside a shard", "one shard twice"],
)
def test_second_run_that_could_meet_the_same_rows_ends_with_75(
    world: World, at_work: tuple[str, ...], second: tuple[str, ...]
) -> None:
    world.stage(20)
    world.server.simulator.add_fault(HELD_UP)
    with world.started(*at_work, BATCH_SIZE=2) as process:
        wait_for_a_request(world, process)
        requests = world.server.simulator.stats().records_accepted
        done = world.run(*second)
        assert done.code == 75, done.text
        assert "Another run" in done.text
        world.server.simulator.interrupt()
        assert process.wait(timeout=30) == 0
    accepted = world.server.simulator.stats().records_accepted
    assert accepted > requests
    assert accepted == list(world.words().values()).count("sent")


@on_both_kinds
def test_other_division_into_shards_during_a_run_ends_with_75(world: World) -> None:
    persons = world.stage(20)
    world.server.simulator.add_fault(HELD_UP)
    with world.started("--shard", "1/2", BATCH_SIZE=2) as process:
        wait_for_a_request(world, process)
        other = world.run("--shard", "1/4")
        assert other.code == 75, other.text
        assert "shard 1/2" in other.text
        same = world.run("--shard", "2/2")
        assert same.code == 0, same.text
        world.server.simulator.interrupt()
        assert process.wait(timeout=30) == 0
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == 20
    codes = world.database.rows(f"SELECT shard, exit_code FROM {world.database.named('ssd_api_runs')} ORDER BY shard")
    assert [tuple(row) for row in codes] == [("1/2", 0), ("1/4", 75), ("2/2", 0)]


@on_both_kinds
@pytest.mark.skipif(sys.platform == "win32", reason="the run is killed in the manner of POSIX")
def test_killed_shard_does_not_block_another_division(world: World) -> None:
    persons = world.stage(20)
    world.server.simulator.add_fault(HELD_UP)
    with world.started("--shard", "1/2", BATCH_SIZE=2) as process:
        wait_for_a_request(world, process)
        process.kill()
        process.wait(timeout=10)
    wait_until_lock_is_free(world.database)
    for index in range(1, 5):
        done = world.run("--shard", f"{index}/4")
        assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))


def wait_for_a_request(world: World, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 20
    while world.requests() < 1 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    assert process.poll() is None, "the run ended before the second one began"
    assert world.requests() >= 1, "no request came"
