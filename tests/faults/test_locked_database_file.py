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
from tests.faults.outages import before_answer
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
