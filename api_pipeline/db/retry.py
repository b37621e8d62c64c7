"""Repeat work on a database that is away or busy, on a new connection where needed, within a limited time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from api_pipeline.db.connection import Connection
from api_pipeline.sql.driver_errors import ConnectionLost, DatabaseBusy

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0

_Result = TypeVar("_Result")


class RetryBudget(NamedTuple):
    """How many seconds to wait for a database that is away; `clock` is monotonic."""

    seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def with_retry(
    connection: Connection,
    work: Callable[[], _Result],
    retry_budget: RetryBudget,
    after_reopen: Callable[[], None] = lambda: None,
) -> _Result:
    """Return what `work` gives, repeating it while the database is away or busy. `work` must be safe to repeat.

    `after_reopen` prepares a new connection (it takes the run lock again). Errors: DatabaseError of the last try.
    """
    until = retry_budget.clock() + retry_budget.seconds
    wait = _FIRST_WAIT_S
    must_reopen = False
    while True:
        try:
            if must_reopen:
                connection.reopen()
                after_reopen()
                must_reopen = False
            return work()
        except (ConnectionLost, DatabaseBusy) as error:
            if retry_budget.clock() + wait > until:
                raise
            must_reopen = must_reopen or isinstance(error, ConnectionLost)
        retry_budget.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT_S)
