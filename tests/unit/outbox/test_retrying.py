"""Repeated work: what the database refuses is returned, what may pass is repeated, and what ends a run is raised."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api_pipeline.db import ConnectionLost, DatabaseBusy
from api_pipeline.db.retry import RetryBudget
from api_pipeline.db.run_lock import LockLost
from api_pipeline.errors import DatabaseError
from api_pipeline.outbox.retrying import Retrying
from api_pipeline.outbox.staging_table import StagingTable

BUDGET = RetryBudget(60, lambda: 0, lambda _: None)
NO_BUDGET = RetryBudget(0, lambda: 0, lambda _: None)


def failing(*errors: DatabaseError) -> Callable[[], str]:
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def test_work_is_repeated_with_the_lock_of_the_new_connection(store: StagingTable) -> None:
    taken: list[int] = []
    db = Retrying(store.connection, BUDGET, lambda: taken.append(store.connection.openings))

    assert db.run(failing(DatabaseBusy("busy"), ConnectionLost("lost"))) == "done"
    assert taken == [2]


def test_what_the_database_refuses_is_returned_and_not_repeated(store: StagingTable) -> None:
    refusal = DatabaseError("no such column")
    work = failing(refusal)
    db = Retrying(store.connection, BUDGET)

    assert db.attempt("the answers", work) is refusal
    assert db.attempt("the answers", work) is None


@pytest.mark.parametrize("error", [ConnectionLost("lost"), DatabaseBusy("busy"), LockLost("another run")])
def test_database_that_is_away_or_not_ours_any_more_is_no_refusal(store: StagingTable, error: DatabaseError) -> None:
    with pytest.raises(type(error)):
        Retrying(store.connection, NO_BUDGET).attempt("the answers", failing(error))
