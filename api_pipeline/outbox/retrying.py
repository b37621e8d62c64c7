"""Repeat work on the database while it is away or busy, and tell work apart that the database refuses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from api_pipeline.db import Connection, ConnectionLost, DatabaseBusy
from api_pipeline.db.retry import RetryBudget, with_retry
from api_pipeline.db.run_lock import LockLost
from api_pipeline.errors import DatabaseError
from api_pipeline.model import Outcome
from api_pipeline.outbox.write_back import WriteBack

_LOG = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Retrying:
    """Repeat work on one connection within a time. `retake_lock` takes the run lock again on a new connection."""

    def __init__(
        self, connection: Connection, budget: RetryBudget, retake_lock: Callable[[], None] = lambda: None
    ) -> None:
        self._connection = connection
        self._budget = budget
        self._retake_lock = retake_lock

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Return what `work` gives. Errors: DatabaseError of the last try."""
        return with_retry(self._connection, work, self._budget, self._retake_lock)

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

    def write_what_can_be(
        self, write_back: WriteBack, batch: int, outcomes: Sequence[Outcome]
    ) -> tuple[list[Outcome], DatabaseError | None]:
        """Write outcomes together or, if that is refused, each alone; return the refused ones and the reason.

        Errors: those of `attempt`, and program errors.
        """
        error = self._write(write_back, batch, outcomes) if outcomes else None
        if error is None or len(outcomes) == 1:
            return ([], None) if error is None else (list(outcomes), error)
        unwritten = []
        for outcome in outcomes:
            if refusal := self._write(write_back, batch, [outcome]):
                unwritten.append(outcome)
                error = refusal
        return (unwritten, error) if unwritten else ([], None)

    def _write(self, write_back: WriteBack, batch: int, outcomes: Sequence[Outcome]) -> DatabaseError | None:
        """Write outcomes as they are, or else as near to that as every database can hold; return why it failed."""
        write = partial(write_back.write, batch, outcomes)
        what = f"the answers of {len(outcomes)} rows"
        return self.attempt(what, write) and self.attempt(what, partial(write, as_near_as_can_be=True))
