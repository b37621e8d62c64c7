import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from api_pipeline.db import connect, run_lock
from api_pipeline.errors import AlreadyRunning, DatabaseError
from api_pipeline.sql.identifiers import Dialect, table_names
from tests.support.commands import clean_environment
from tests.support.databases import TestDatabase
from tests.support.killed import wait_until_lock_is_free
from tests.support.staging import change, fill, row_of, staged


@pytest.mark.strict
def test_second_run_is_refused_until_the_first_has_ended(deployed: TestDatabase) -> None:
    first, second = connect(deployed.connection_string), connect(deployed.connection_string)
    lock = run_lock.take(first, deployed.table, None)
    with pytest.raises(AlreadyRunning, match="Another run"):
        run_lock.take(second, deployed.table, None)
    lock.release()
    first.close()
    run_lock.take(second, deployed.table, None).release()
    second.close()


def test_every_way_of_writing_the_table_name_takes_the_same_lock(deployed: TestDatabase) -> None:
    first, second = connect(deployed.connection_string), connect(deployed.connection_string)
    schema = {Dialect.SQLITE: "main", Dialect.POSTGRESQL: "public"}.get(deployed.dialect)
    others = [deployed.table.upper()]
    if schema is not None and deployed.schema is None:
        others.append(f"{schema}.{deployed.table}")
    lock = run_lock.take(first, deployed.table, None)
    for other in others:
        with pytest.raises(AlreadyRunning):
            run_lock.take(second, other, None)
    lock.release()
    first.close()
    second.close()


@pytest.mark.strict
def test_shards_run_side_by_side_but_not_twice_and_not_beside_a_whole_run(deployed: TestDatabase) -> None:
    connections = [connect(deployed.connection_string) for _ in range(3)]
    locks = [
        run_lock.take(connections[0], deployed.table, (1, 2)),
        run_lock.take(connections[1], deployed.table, (2, 2)),
    ]
    for shard in (None, (1, 2), (2, 2)):
        with pytest.raises(AlreadyRunning):
            run_lock.take(connections[2], deployed.table, shard)
    for lock in locks:
        lock.release()
    for connection in connections:
        connection.close()


def test_lock_does_not_block_readers_or_writers_of_the_table(deployed: TestDatabase) -> None:
    connection = connect(deployed.connection_string)
    lock = run_lock.take(connection, deployed.table, None)
    fill(deployed, deployed.table, [staged("1")])
    change(deployed, deployed.table, "1", submission_status="sent")
    assert row_of(deployed, deployed.table, "1")["submission_status"] == "sent"
    lock.release()
    connection.close()


@pytest.mark.strict
@pytest.mark.parametrize("shard", [None, (1, 2)])
def test_released_lock_is_free_at_once_for_the_next_command(
    deployed: TestDatabase, shard: tuple[int, int] | None
) -> None:
    first, second = connect(deployed.connection_string), connect(deployed.connection_string)
    run_lock.take(first, deployed.table, shard).release()
    # The first connection is still open, as it is for the server when a run has just ended.
    run_lock.take(second, deployed.table, None).release()
    first.close()
    second.close()


def test_releasing_a_lock_without_its_connection_raises_nothing(deployed: TestDatabase) -> None:
    connection = connect(deployed.connection_string)
    lock = run_lock.take(connection, deployed.table, None)
    connection.close()
    lock.release()


def test_the_lock_of_a_killed_process_is_free(deployed: TestDatabase) -> None:
    program = textwrap.dedent(
        f"""
        from api_pipeline.db import run_lock
        from api_pipeline.db import connect
        connection = connect({deployed.connection_string!r})
        lock = run_lock.take(connection, {deployed.table!r}, None)
        print("held", flush=True)
        input()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=clean_environment(deployed.settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    connection = connect(deployed.connection_string)
    with pytest.raises(AlreadyRunning):
        run_lock.take(connection, deployed.table, None)
    process.kill()
    process.communicate()
    connection.close()
    wait_until_lock_is_free(deployed)


def test_a_table_that_is_not_there_is_named(deployed: TestDatabase) -> None:
    if deployed.dialect is Dialect.SQLITE:
        pytest.skip("SQLite locks a file beside the database; a missing table is found before")
    connection = connect(deployed.connection_string)
    with pytest.raises(DatabaseError, match="no_such_table does not exist"):
        run_lock.take(connection, table_names("no_such_table", connection.dialect).staging, None)
    connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an open file cannot be removed, or has no such lock")
@pytest.mark.parametrize("database", ["sqlite", "sqlite-odbc"], indirect=True)
@pytest.mark.parametrize("shard", [None, (1, 2)])
def test_lock_survives_the_removal_of_its_file(deployed: TestDatabase, shard: tuple[int, int] | None) -> None:
    first, second = connect(deployed.connection_string), connect(deployed.connection_string)
    lock = run_lock.take(first, deployed.table, shard)
    files = list(Path(lock.resources[0]).parent.glob("*.run-lock"))
    assert files
    for file in files:
        file.unlink()
    with pytest.raises(AlreadyRunning):
        run_lock.take(second, deployed.table, shard)
    fill(deployed, deployed.table, [staged("1")])
    run_lock.take(second, deployed.anon_table, shard).release()
    lock.release()
    run_lock.take(second, deployed.table, shard).release()
    first.close()
    second.close()
