"""Work on a database that is away or busy, which is repeated within a limited time, and work that it refuses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from api_pipeline.db.connection import Connection
from api_pipeline.errors import DatabaseError
from api_pipeline.sql.driver_errors import ConnectionLost, DatabaseBusy, TableMissing
from api_pipeline.sql.statements import load

_LOG = logging.getLogger(__name__)
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
# Of what the database refuses. Every other error has a class of its own (`sql.driver_errors`).
_REFUSALS = (DatabaseError, TableMissing)

_Result = TypeVar("_Result")


class LockLost(DatabaseError):
    """The run lock was lost with its connection, and another run has it now."""


class RetryBudget(NamedTuple):
    """How many seconds to wait for a database that is away; `clock` is monotonic."""

    seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]


class Retrying:
    """Repeat work on one connection within a time; the work must be safe to repeat.

    `after_reopen` prepares a new connection (it takes the run lock again).
    """

    def __init__(
        self, connection: Connection, budget: RetryBudget, after_reopen: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = connection
        self._budget = budget
        self._after_reopen = after_reopen

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Return what `work` gives; repeat it while the database is away or busy, on a new connection where needed.

        Errors: DatabaseError of the last try.
        """
        budget = self._budget
        until = budget.clock() + budget.seconds
        wait = _FIRST_WAIT_S
        must_reopen = False
        while True:
            try:
                if must_reopen:
                    self._connection.reopen()
                    self._after_reopen()
                    must_reopen = False
                return work()
            except (ConnectionLost, DatabaseBusy) as error:
                if budget.clock() + wait > until:
                    raise
                must_reopen = must_reopen or isinstance(error, ConnectionLost)
            budget.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_S)

    def attempt(self, what: str, work: Callable[[], object]) -> DatabaseError | None:
        """Do `work`. Return the error where the database refuses it, else None; `what` names the work in the log.

        Errors: DatabaseError where the database is away or busy, or the lock is lost.
        """
        try:
            self.run(work)
        except (ConnectionLost, DatabaseBusy, LockLost):
            raise
        except DatabaseError as error:
            _LOG.debug("the database refused %s: %s", what, error)
            return error
        return None


def unless_refused(ask: Callable[[], _Result]) -> _Result | None:
    """Return what `ask` returns, or None where the database refuses the query that it runs.

    It may ask for something that is not there: a table of a later version, a column that is optional. The database
    refuses a query whose table or column is missing or may not be read, and one that compares types which it cannot
    compare. Errors: DatabaseErrors of every other class, such as ConnectionLost, or StatementFailed where a time limit
    of the server ends the query: they say nothing about the tables.
    """
    return _asked(ask)[0]


def refusal_of(connection: Connection, table: str, columns: str = "1 AS one") -> DatabaseError | None:
    """Return the error with which the database refuses to read (columns of) a table, None where they may be read.

    It is TableMissing where there is no such table. Errors: those of `unless_refused`.
    """
    sql = load()["table_exists"].sql.format(columns=columns, any_table=table)
    return _asked(lambda: connection.query(sql))[1]


def _asked(ask: Callable[[], _Result]) -> tuple[_Result | None, DatabaseError | None]:
    """Return what `ask` returns, or else why the database refuses the query that it runs."""
    try:
        return ask(), None
    except DatabaseError as error:
        if type(error) not in _REFUSALS:
            raise
        _LOG.debug("the database refused a query that it may refuse: %s", error)
        return None, error
