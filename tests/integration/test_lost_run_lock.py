"""A run that loses its lock to another one, which only a server can do to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from api_pipeline.csc_api.answers import Answer
from api_pipeline.db.retry import RetryBudget
from api_pipeline.db.run_lock import locked
from tests.support.databases import TestDatabase
from tests.support.nights import Night, accept, statuses
from tests.support.staging import child, fill, staged
from tests.support.stores import store_of


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_nothing_is_written_beside_a_run_that_took_the_lock(deployed: TestDatabase, tmp_path: Path) -> None:
    """Marking the second batch meets the loss, and the answer to the first comes after that."""
    # A row whose payload names another child is reported while it is planned, which is behind the first batch.
    fill(deployed, deployed.table, [staged("A"), staged("B"), staged("C", child("another")), staged("D")])
    lost = threading.Event()
    with store_of(deployed) as store, store_of(deployed) as other, ExitStack() as stack:
        keeper = stack.enter_context(locked(store.connection, store.tables.staging, None))

        def another_begins(*_: object) -> None:
            (pid,) = store.connection.query("SELECT pg_backend_pid()")[0]
            other.connection.query("SELECT pg_terminate_backend(?, 5000)", [pid])
            stack.enter_context(locked(other.connection, store.tables.staging, None))

        def retake() -> None:
            try:
                keeper.retake()
            finally:
                lost.set()

        night = Night(
            store,
            tmp_path,
            budget=RetryBudget(5, time.monotonic, time.sleep),
            retake=retake,
            on_finding=another_begins,
        )

        def accept_after_loss(records: Sequence[bytes]) -> Answer:
            assert lost.wait(20)
            return accept(records)

        night.receiver.rule = accept_after_loss
        summary = night.run()

    assert statuses(deployed) == ["Pending"] * 4
    assert (summary.accepted, summary.exit_code, len(night.receiver.posts)) == (2, 3, 1)
    (kept,) = tmp_path.glob("unwritten-receipts-*")
    (error,) = summary.errors
    assert "another run was at work" in str(error)
    assert str(kept) in str(error)
