"""Work on a database that is away or busy, on a real one in a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api_pipeline.db import Connection, ConnectionLost, DatabaseBusy, connect
from api_pipeline.db.retry import RetryBudget, with_retry
from api_pipeline.errors import DatabaseError


@dataclass
class Time:
    """A clock that moves only by what is slept."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def budget(self, seconds: float) -> RetryBudget:
        return RetryBudget(seconds, lambda: self.now, self.sleep)


@dataclass
class Work:
    """Work that meets each of these errors once and then succeeds."""

    errors: list[Exception]
    done: int = 0

    def __call__(self) -> str:
        self.done += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def quietly(self) -> None:
        """Do the work and return nothing."""
        self()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with_file = connect(f"sqlite:///{tmp_path / 'here.db'}", create=True)
    yield with_file
    with_file.close()


def lost(times: int) -> Work:
    return Work([ConnectionLost("gone") for _ in range(times)])


def test_work_that_succeeds_is_done_once_and_waits_for_nothing(connection: Connection) -> None:
    time, work = Time(), lost(0)
    assert with_retry(connection, work, time.budget(60)) == "done"
    assert (work.done, time.slept) == (1, [])


def test_waits_double_up_to_five_seconds(connection: Connection) -> None:
    time = Time()
    with_retry(connection, lost(8), time.budget(600))
    assert time.slept == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_database_that_stays_away_is_given_up_within_the_time(connection: Connection) -> None:
    time, work = Time(), lost(99)
    with pytest.raises(ConnectionLost, match="gone"):
        with_retry(connection, work, time.budget(3.0))
    assert time.slept == [0.2, 0.4, 0.8, 1.6]
    assert work.done == 5


def test_no_time_at_all_means_one_try(connection: Connection) -> None:
    work = lost(1)
    with pytest.raises(ConnectionLost):
        with_retry(connection, work, Time().budget(0))
    assert work.done == 1


def test_error_that_does_not_pass_is_not_repeated(connection: Connection) -> None:
    work = Work([DatabaseError("no such table")])
    with pytest.raises(DatabaseError, match="no such table"):
        with_retry(connection, work, Time().budget(60))
    assert work.done == 1


def test_lost_connection_is_opened_again_and_prepared_before_the_work(connection: Connection) -> None:
    connection.query("CREATE TEMPORARY TABLE of_this_session (a INTEGER)")
    prepared: list[int] = []
    work = lost(1)
    with_retry(connection, work, Time().budget(60), lambda: prepared.append(work.done))
    assert prepared == [1]
    # A temporary table ends with its session.
    with pytest.raises(DatabaseError):
        connection.query("SELECT a FROM of_this_session")


def test_busy_database_is_asked_again_on_the_same_connection(connection: Connection) -> None:
    connection.query("CREATE TEMPORARY TABLE of_this_session (a INTEGER)")
    prepared: list[None] = []
    work = Work([DatabaseBusy("locked")])
    assert with_retry(connection, work, Time().budget(60), lambda: prepared.append(None)) == "done"
    assert (connection.query("SELECT a FROM of_this_session"), prepared) == ([], [])


def test_connection_that_is_lost_while_it_is_prepared_is_opened_again(connection: Connection) -> None:
    work, preparing = lost(1), lost(2)
    assert with_retry(connection, work, Time().budget(60), preparing.quietly) == "done"
    assert (work.done, preparing.done) == (2, 3)


def test_connection_stays_to_be_opened_after_a_busy_try_to_prepare_it(connection: Connection) -> None:
    work, preparing = lost(1), Work([DatabaseBusy("locked")])
    with_retry(connection, work, Time().budget(60), preparing.quietly)
    assert preparing.done == 2
