"""Ids at the ends of their type, cut by the driver, null or twice: the rows are sent, or the command says why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sql.identifiers import Dialect
from tests.support.databases import TestDatabase
from tests.support.layouts import make_table
from tests.support.staging import child, text_of
from tests.support.world import World

AT_ONCE = (
    "INSERT INTO {table} (id, person_id, json_payload, submission_status, row_state) VALUES (?, ?, ?, 'Pending', 'New')"
)


def put(world: World, ids: Sequence[float | str | None]) -> list[str]:
    """Put in a due row for each id; return the people."""
    people = [f"N{number}" for number in range(len(ids))]
    for row_id, person in zip(ids, people, strict=True):
        world.database.execute(AT_ONCE.format(table=world.database.table), [row_id, person, text_of(child(person))])
    return people


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_lowest_negative_and_highest_ids_are_sent(deployed_world: World) -> None:
    world = deployed_world
    if world.database.name == "strict":
        pytest.skip("SQLite's ODBC driver, which the strict database wraps, cuts such ids: the next test")
    if world.database.dialect is not Dialect.SQLITE:
        world.database.execute(f"DROP TABLE {world.database.table}")
        make_table(world.database, world.database.table, "today", id="BIGINT PRIMARY KEY")
    put(world, [-(2**63), -(2**63) + 1, -1, 0, 2**63 - 1])
    done = world.run(BATCH_SIZE=2)
    assert done.code == 0, done.text
    assert {row["submission_status"] for row in world.rows().values()} == {"sent"}
    assert world.run().code == 0
    assert world.server.simulator.stats().records_accepted == 5


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
@pytest.mark.parametrize("ids", [[1, 2**32], [2**31], [2**32 + 1, 2**32 + 2]], ids=["among others", "one", "all"])
def test_ids_that_the_driver_cuts_are_told_before_a_run_begins(deployed_world: World, ids: list[int | None]) -> None:
    world = deployed_world
    put(world, ids)

    for done in (
        world.command("test-schema"),
        world.command("stage"),
        world.run(),
        world.run("--shard", "1/1"),
    ):
        assert done.code == 3, done.text
        assert "cuts their ids and reads" in done.text

    assert world.requests() == 0
    assert {row["submission_status"] for row in world.rows().values()} == {"Pending"}


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
def test_ids_at_the_end_of_32_bits_and_those_of_a_bigint_are_read_whole(deployed_world: World) -> None:
    world = deployed_world
    put(world, [-(2**31), 2**31 - 1])
    assert (world.command("test-schema").code, world.run().code) == (0, 0)

    made = world.database.rows("SELECT sql FROM sqlite_master WHERE name = ?", [world.database.table])[0][0]
    world.database.execute(f"DROP TABLE {world.database.table}")
    world.database.execute(made.replace("id INTEGER PRIMARY KEY AUTOINCREMENT", "id BIGINT PRIMARY KEY"))
    put(world, [2**31, 2**63 - 1])
    assert (world.command("test-schema").code, world.run().code) == (0, 0)
    assert {row["submission_status"] for row in world.rows().values()} == {"sent"}


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
@pytest.mark.parametrize("args", [["validate"], ["run", "--dry-run"], ["anonymise", "--replace"]], ids=" ".join)
def test_ids_that_the_driver_cuts_end_other_commands_as_well(deployed_world: World, args: list[str]) -> None:
    put(deployed_world, [2**32 + 1, 2**32 + 2])
    done = deployed_world.command(*args)
    assert done.code == 3, done.text
    assert "the ODBC driver cuts their ids" in done.text


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("args", [["run"], ["run", "--dry-run"], ["explain", "N0"], ["validate"]], ids=" ".join)
def test_ids_that_are_texts_end_each_command_with_code_3(deployed_world: World, args: list[str]) -> None:
    world = deployed_world
    world.database.execute(f"DROP TABLE {world.database.table}")
    make_table(world.database, world.database.table, "today", id="TEXT PRIMARY KEY")
    put(world, ["1", "1x", "2"])
    done = world.command(*args)
    assert (done.code, world.requests()) == (3, 0), done.text
    assert ".id is TEXT, which does not hold whole numbers" in done.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("args", [["run"], ["run", "--shard", "1/1"], ["run", "--dry-run"], ["validate"]], ids=" ".join)
def test_row_whose_id_is_a_fraction_is_not_passed_over(deployed_world: World, args: list[str]) -> None:
    world = deployed_world
    world.database.execute(f"DROP TABLE {world.database.table}")
    make_table(world.database, world.database.table, "today", id="BIGINT PRIMARY KEY")
    put(world, [1, 2.5, 3])
    done = world.command(*args)
    assert (done.code, world.requests()) == (3, 0), done.text
    assert "has the id 2.5, which is not a whole number" in done.err


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_lowest_id_of_its_type_is_copied_by_anonymise_as_well(deployed_world: World) -> None:
    world = deployed_world
    put(world, [-(2**63), -(2**31), 5])

    done = world.command("anonymise", "--replace")

    assert done.code == 0, done.text
    assert world.database.count(world.database.anon_table) == 3


@pytest.mark.parametrize("ids", [[4, None, 5], [7, 7]], ids=["null", "twice"])
@pytest.mark.parametrize("mode", ["live", "testing"])
def test_table_whose_ids_are_null_or_twice_is_refused(
    database: TestDatabase, server: SimulatorServer, tmp_path: Path, ids: list[int | None], mode: str
) -> None:
    database.deploy()
    table = database.named("without_key")
    make_table(database, table, "no key, no defaults", plain_id="BIGINT")
    world = World(database, server, tmp_path, {"TABLE_NAME": table, "TESTING_MODE": str(mode == "testing")})
    for row_id in ids:
        database.execute(AT_ONCE.format(table=table), [row_id, f"N{row_id}", text_of(child("N"))])
    done = world.run()
    assert (done.code, world.requests()) == (3, 0), done.text
    assert ("1 row has no id" in done.text) == (None in ids)
    assert ("not unique" in done.text) == (None not in ids)
    assert database.count(table, "submission_status = 'Pending'") == len(ids)
    assert world.command("test-schema").code == 3
