"""The run lock on a database in a file; every other kind of database is tried in integration/test_run_lock.py."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from api_pipeline.db import Connection, LockLost, connect, run_lock
from api_pipeline.errors import AlreadyRunning, DatabaseError

TABLE = "staging"


class Runs:
    """Runs of the program, each with a connection of its own to the same database."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self._stack = stack

    def another(self) -> Connection:
        connection = connect(f"sqlite:///{self.path}", create=True)
        self._stack.callback(connection.close)
        return connection


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with ExitStack() as stack:
        yield Runs(tmp_path / "here.db", stack)


def is_free(runs: Runs, table: str = TABLE, shard: tuple[int, int] | None = None) -> bool:
    """Tell whether a further run could begin, and let it end at once."""
    try:
        run_lock.take(runs.another(), table, shard).release()
    except AlreadyRunning:
        return False
    return True


def test_lock_is_held_until_it_is_released_and_may_be_released_twice(runs: Runs) -> None:
    lock = run_lock.take(runs.another(), TABLE, None)
    assert not is_free(runs)
    lock.release()
    lock.release()
    assert is_free(runs)


def test_run_that_lost_its_lock_to_another_changes_nothing_any_more(runs: Runs) -> None:
    connection = runs.another()
    keeper = run_lock.LockKeeper(connection, TABLE, None)
    keeper.take()
    keeper.release()  # as the database does when the connection is lost
    other = run_lock.take(runs.another(), TABLE, None)
    with pytest.raises(LockLost, match="another run was at work"):
        keeper.retake()
    other.release()
    for change in (
        keeper.retake,
        lambda: connection.execute("CREATE TABLE t (a INT)"),
        connection.transaction().__enter__,
    ):
        with pytest.raises(LockLost):
            change()
    assert connection.query("SELECT COUNT(*) FROM sqlite_master") == [(0,)]


def test_table_is_one_however_it_is_written(runs: Runs) -> None:
    lock = run_lock.take(runs.another(), TABLE, None)
    assert [is_free(runs, name) for name in ("STAGING", 'main."staging"', "staging_anon")] == [False, False, True]
    lock.release()


def test_shards_keep_out_themselves_and_the_whole_table_alone(runs: Runs) -> None:
    lock = run_lock.take(runs.another(), TABLE, (1, 2))
    assert [is_free(runs, shard=shard) for shard in (None, (1, 2), (2, 2))] == [False, False, True]
    lock.release()
    lock = run_lock.take(runs.another(), TABLE, None)
    assert not is_free(runs, shard=(2, 2))
    lock.release()


def test_lock_that_is_refused_says_of_what_and_keeps_nothing(runs: Runs) -> None:
    lock = run_lock.take(runs.another(), TABLE, (1, 2))
    with pytest.raises(AlreadyRunning, match=r"working on the table staging \(shard 1/2\); nothing was done"):
        run_lock.take(runs.another(), TABLE, (1, 2))
    lock.release()
    # The table's own lock, which the second run had already, is free again.
    assert is_free(runs)


def test_part_keeps_out_the_same_part_alone(runs: Runs) -> None:
    lock = run_lock.take_part(runs.another(), TABLE, "stage", "the staging of staging")
    with pytest.raises(AlreadyRunning, match="Another run is working on the staging of staging"):
        run_lock.take_part(runs.another(), TABLE, "stage", "the staging of staging")
    run_lock.take_part(runs.another(), TABLE, "other", "something else").release()
    assert is_free(runs)
    lock.release()
    run_lock.take_part(runs.another(), TABLE, "stage", "the staging of staging").release()


def test_databases_side_by_side_have_locks_of_their_own(runs: Runs, tmp_path: Path) -> None:
    with ExitStack() as stack:
        lock = run_lock.take(runs.another(), TABLE, None)
        assert is_free(Runs(tmp_path / "there.db", stack))
        lock.release()


@pytest.mark.skipif(sys.platform != "linux", reason="only there can the file of a lock be removed")
@pytest.mark.parametrize("shard", [None, (1, 2)])
def test_lock_outlives_its_file(runs: Runs, shard: tuple[int, int] | None) -> None:
    lock = run_lock.take(runs.another(), TABLE, shard)
    files = list(runs.path.parent.glob("*.run-lock"))
    assert files
    for file in files:
        file.unlink()
    assert not is_free(runs, shard=shard)
    lock.release()


def test_lock_file_that_cannot_be_made_is_named(runs: Runs) -> None:
    connection = runs.another()
    (runs.path.parent / f"{runs.path.name}.{TABLE}.run-lock").mkdir()
    with pytest.raises(DatabaseError, match=r"The lock file .*run-lock cannot be opened; the account needs to write"):
        run_lock.take(connection, TABLE, None)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is Unicode")
def test_path_that_is_not_utf_8_is_no_text_of_a_row(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    with ExitStack() as stack:
        connection = Runs(folder / "here.db", stack).another()
        with pytest.raises(DatabaseError, match="The path of the SQLite database file has a name that is not UTF-8"):
            run_lock.take(connection, TABLE, None)


def test_lock_file_that_cannot_be_locked_does_not_count_as_another_run(runs: Runs) -> None:
    connection = runs.another()
    (runs.path.parent / f"{runs.path.name}.{TABLE}.run-lock").write_text("not a database, and longer than none " * 9)
    with pytest.raises(DatabaseError, match=r"The lock file .*run-lock cannot be used .*; see that the disk has room"):
        run_lock.take(connection, TABLE, (1, 2))


def test_lock_of_the_session_needs_no_check_of_a_transaction(runs: Runs) -> None:
    lock = run_lock.take(runs.another(), TABLE, None)
    lock.check()
    assert not is_free(runs)
    lock.release()


@pytest.mark.parametrize(("answer", "is_taken"), [(0, True), (1, True), (-1, False), (-999, False)])
def test_answer_of_sql_server_says_whether_the_lock_was_taken(answer: int, is_taken: bool) -> None:
    assert run_lock._is_taken(answer) is is_taken


@pytest.mark.parametrize("answer", [-2, -3])
def test_another_answer_of_sql_server_is_no_run_that_has_the_lock(answer: int) -> None:
    with pytest.raises(DatabaseError, match=f"sp_getapplock answers {answer}"):
        run_lock._is_taken(answer)


def test_shard_whose_lock_file_cannot_be_used_keeps_nothing_locked(runs: Runs) -> None:
    (runs.path.parent / f"{runs.path.name}.{TABLE}.shard-1-of-2.run-lock").mkdir()
    with pytest.raises(DatabaseError, match="cannot be opened"):
        run_lock.take(runs.another(), TABLE, (1, 2))
    assert is_free(runs)
