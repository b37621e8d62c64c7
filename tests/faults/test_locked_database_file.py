"""An SQLite file that somebody locks while a run writes (contract 3 and 5)."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api_pipeline.db import DatabaseBusy, connect
from api_pipeline.db.journal_entry import write_entry
from tests.faults.outages import before_answer
from tests.support.databases import SQLITE_DRIVER
from tests.support.spooled import MANY, MID_RUN, check_spooled_and_recovered
from tests.support.world import World

pytestmark = pytest.mark.strict


@contextmanager
def locked_file(world: World) -> Iterator[threading.Event]:
    """Let another writer lock the file before the fifth request is answered, until the event is set."""
    path = world.database.connection_string.removeprefix("sqlite:///")
    release, is_locked = threading.Event(), threading.Event()

    def hold() -> None:
        with sqlite3.connect(path, timeout=60, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            is_locked.set()
            release.wait(60)
            other.execute("ROLLBACK")
        other.close()

    holder = threading.Thread(target=hold)

    def begin() -> None:
        holder.start()
        assert is_locked.wait(60)

    with before_answer(world, 5, begin):
        yield release
    release.set()
    holder.join()


def test_commit_that_met_a_reader_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "council.db"
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("PRAGMA synchronous = OFF")
    reader.execute("CREATE TABLE line (number INTEGER)")
    reader.execute("BEGIN")
    reader.executemany("INSERT INTO line VALUES (?)", [(number,) for number in range(1000)])
    reader.execute("COMMIT")
    reading = reader.execute("SELECT number FROM line")
    reading.fetchone()
    connection = connect(f"sqlite:///{path}", busy_wait_s=0.1)
    try:
        for _ in range(2):
            with pytest.raises(DatabaseBusy), connection.transaction():
                connection.execute("INSERT INTO line VALUES (1000)")
        reading.close()
        with connection.transaction():
            connection.execute("INSERT INTO line VALUES (1000)")
        assert connection.query("SELECT COUNT(*) FROM line") == [(1001,)]
    finally:
        connection.close()
        reader.close()


@contextmanager
def locked_for_writing(folder: Path) -> Iterator[Path]:
    """Yield a file with one table, in which somebody has a transaction open."""
    path = folder / "council.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("CREATE TABLE line (number INTEGER)")
    writer.execute("BEGIN IMMEDIATE")
    yield path
    writer.close()


@pytest.mark.parametrize("kind", ["sqlite:///", f"Driver={{{SQLITE_DRIVER}}};Database="])
def test_statement_waits_for_a_lock_as_long_as_it_is_told(tmp_path: Path, kind: str) -> None:
    with locked_for_writing(tmp_path) as path:
        connection = connect(f"{kind}{path}", busy_wait_s=0.2)
        began = time.monotonic()
        with pytest.raises(DatabaseBusy), connection.transaction():
            pass
        connection.close()
    assert 0.2 <= time.monotonic() - began < 5


def test_journal_entry_of_a_run_that_met_a_lock_hardly_waits_again(tmp_path: Path) -> None:
    def write() -> None:
        with connection.transaction():
            pass

    with locked_for_writing(tmp_path) as path:
        connection = connect(f"sqlite:///{path}", busy_wait_s=20)
        began = time.monotonic()
        error = write_entry(connection, write, is_end=True, was_busy=True)
        connection.close()
    assert isinstance(error, DatabaseBusy)
    assert time.monotonic() - began < 5


def test_file_that_is_locked_for_a_while_is_waited_for(embedded_world: World) -> None:
    world = embedded_world
    persons = world.stage(MANY)
    world.server.simulator.change(latency_s=0.02)
    with locked_file(world) as release:
        threading.Timer(1.0, release.set).start()
        done = world.run(**MID_RUN)
    assert done.code == 0, done.text
    world.check(dict.fromkeys(persons, "sent"))
    assert world.server.simulator.stats().records_accepted == MANY


def test_receipts_survive_a_file_locked_beyond_the_limit(embedded_world: World) -> None:
    world = embedded_world
    world.stage(MANY)
    world.server.simulator.change(latency_s=0.1)
    began = time.monotonic()
    with locked_file(world):
        done = world.run(**MID_RUN, DB_RETRY_S=0)
    assert time.monotonic() - began < 25, "the wait is bounded"
    check_spooled_and_recovered(world, done.code, done.text)
