"""Work on a database that is away or busy, or that refuses it, on a real one in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api_pipeline.db import Connection, ConnectionLost, DatabaseBusy, LockLost, connect, unless_refused
from api_pipeline.db.connection import translated
from api_pipeline.db.retry import RetryBudget, Retrying
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.driver_errors import StatementFailed

BUDGET = RetryBudget(60, lambda: 0, lambda _: None)
NO_BUDGET = RetryBudget(0, lambda: 0, lambda _: None)


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
    assert Retrying(connection, time.budget(60)).run(work) == "done"
    assert (work.done, time.slept) == (1, [])


def test_waits_double_up_to_five_seconds(connection: Connection) -> None:
    time = Time()
    Retrying(connection, time.budget(600)).run(lost(8))
    assert time.slept == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_database_that_stays_away_is_given_up_within_the_time(connection: Connection) -> None:
    time, work = Time(), lost(99)
    with pytest.raises(ConnectionLost, match="gone"):
        Retrying(connection, time.budget(3.0)).run(work)
    assert time.slept == [0.2, 0.4, 0.8, 1.6]
    assert work.done == 5


def test_no_time_at_all_means_one_try(connection: Connection) -> None:
    work = lost(1)
    with pytest.raises(ConnectionLost):
        Retrying(connection, Time().budget(0)).run(work)
    assert work.done == 1


def test_error_that_does_not_pass_is_not_repeated(connection: Connection) -> None:
    work = Work([DatabaseError("no such table")])
    with pytest.raises(DatabaseError, match="no such table"):
        Retrying(connection, Time().budget(60)).run(work)
    assert work.done == 1


def test_lost_connection_is_opened_again_and_prepared_before_the_work(connection: Connection) -> None:
    connection.query("CREATE TEMPORARY TABLE of_this_session (a INTEGER)")
    prepared: list[int] = []
    work = lost(1)
    Retrying(connection, Time().budget(60), lambda: prepared.append(work.done)).run(work)
    assert prepared == [1]
    # A temporary table ends with its session.
    with pytest.raises(DatabaseError):
        connection.query("SELECT a FROM of_this_session")


def test_busy_database_is_asked_again_on_the_same_connection(connection: Connection) -> None:
    connection.query("CREATE TEMPORARY TABLE of_this_session (a INTEGER)")
    prepared: list[None] = []
    work = Work([DatabaseBusy("locked")])
    assert Retrying(connection, Time().budget(60), lambda: prepared.append(None)).run(work) == "done"
    assert (connection.query("SELECT a FROM of_this_session"), prepared) == ([], [])


def test_connection_that_is_lost_while_it_is_prepared_is_opened_again(connection: Connection) -> None:
    work, preparing = lost(1), lost(2)
    assert Retrying(connection, Time().budget(60), preparing.quietly).run(work) == "done"
    assert (work.done, preparing.done) == (2, 3)


def test_connection_stays_to_be_opened_after_a_busy_try_to_prepare_it(connection: Connection) -> None:
    work, preparing = lost(1), Work([DatabaseBusy("locked")])
    Retrying(connection, Time().budget(60), preparing.quietly).run(work)
    assert preparing.done == 2


def failing(*errors: DatabaseError) -> Callable[[], str]:
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def test_work_is_repeated_with_the_lock_of_the_new_connection(connection: Connection) -> None:
    taken: list[int] = []
    db = Retrying(connection, BUDGET, lambda: taken.append(connection.openings))

    assert db.run(failing(DatabaseBusy("busy"), ConnectionLost("lost"))) == "done"
    assert taken == [2]


def test_what_the_database_refuses_is_returned_and_not_repeated(connection: Connection) -> None:
    refusal = DatabaseError("no such column")
    work = failing(refusal)
    db = Retrying(connection, BUDGET)

    assert db.attempt("the answers", work) is refusal
    assert db.attempt("the answers", work) is None


@pytest.mark.parametrize("error", [ConnectionLost("lost"), DatabaseBusy("busy"), LockLost("another run")])
def test_database_that_is_away_or_not_ours_any_more_is_no_refusal(connection: Connection, error: DatabaseError) -> None:
    with pytest.raises(type(error)):
        Retrying(connection, NO_BUDGET).attempt("the answers", failing(error))


def test_an_answer_is_returned_even_where_it_has_no_rows(connection: Connection) -> None:
    assert unless_refused(lambda: connection.query("SELECT type FROM sqlite_master")) == []


@pytest.mark.parametrize("sql", ["SELECT id FROM other", "SELECT colour FROM sqlite_master"])
def test_missing_table_or_column_is_none(connection: Connection, sql: str) -> None:
    assert unless_refused(lambda: connection.query(sql)) is None


def test_database_that_is_away_is_not_taken_for_a_missing_table() -> None:
    def away() -> None:
        raise ConnectionLost("The connection to the database was lost.")

    with pytest.raises(ConnectionLost):
        unless_refused(away)


def test_statement_that_a_time_limit_ends_is_not_taken_for_a_missing_table() -> None:
    def ended() -> None:
        with closing(sqlite3.connect(":memory:")) as embedded, translated():
            embedded.set_progress_handler(lambda: 1, 1)
            embedded.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()

    with pytest.raises(StatementFailed, match="was cancelled"):
        unless_refused(ended)
