"""What two commands that work on the same tables at once say, and what they leave."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest

from api_pipeline.deploy import make_tables
from api_pipeline.outbox.status import requeue
from tests.support.databases import TestDatabase
from tests.support.staging import change, fill, staged, table_rows
from tests.support.stores import store_of

pytestmark = pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
_Result = TypeVar("_Result")
_LONGEST_S = 20


def meanwhile(database: TestDatabase, change_tables: Callable[[], None], work: Callable[[], _Result]) -> _Result:
    """Return what `work` returns, which waits until the transaction of a change is committed."""
    with ThreadPoolExecutor(1) as pool:
        with database.transaction():
            change_tables()
            under_way = pool.submit(work)
            wait_for_lock(database, under_way)
        return under_way.result(_LONGEST_S)


def wait_for_lock(database: TestDatabase, under_way: Future[_Result]) -> None:
    until = time.monotonic() + _LONGEST_S
    waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
    while not database.rows(waiting)[0][0]:
        assert not under_way.done(), "it waited for nothing"
        assert time.monotonic() < until
        time.sleep(0.01)


def test_requeue_does_not_count_rows_that_a_run_sends_meanwhile(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged(person, status="error") for person in ("1", "2", "3")])

    def put_back() -> int:
        with store_of(deployed) as store:
            return requeue(store)

    rows = meanwhile(deployed, lambda: change(deployed, deployed.table, "2", submission_status="sent"), put_back)
    found = {row["person_id"]: row["submission_status"] for row in table_rows(deployed, deployed.table)}
    assert (rows, found) == (2, {"1": "pending", "2": "sent", "3": "pending"})


def test_tables_that_somebody_else_makes_meanwhile_are_no_error(database: TestDatabase) -> None:
    def make_one() -> None:
        database.execute("CREATE TABLE ssd_api_left_window (person_id VARCHAR(48) PRIMARY KEY, elements TEXT NOT NULL)")

    made = meanwhile(database, make_one, lambda: make_tables(database.connection_string, database.table))
    assert (made.dialect, made.unusable) == ("postgresql", ())
    assert database.count("ssd_api_runs") == 0
