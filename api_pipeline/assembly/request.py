"""What one call of a run asks for, and what the settings say of it in the terms of the rooms below."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from api_pipeline.db.retry import RetryBudget
from api_pipeline.payloads.plan import Policy
from api_pipeline.run_summary import RunSummary
from api_pipeline.settings.model import Settings

_LEAST_BUSY_WAIT_S = 5
_MOST_BUSY_WAIT_S = 30


class RunRequest(NamedTuple):
    """What one call adds to the settings: the most rows, and whether to purge and send whole (`resync`).

    `run_id` names the run in every log line and in the tables.
    """

    run_id: str
    limit: int | None = None
    resync: bool = False
    person_id: str | None = None


class RunObservers(NamedTuple):
    """What is called during a run: `progress` with the counts, `on_token` with each token.

    `on_due` receives how many rows may be due; they are counted for it alone.
    """

    progress: Callable[[RunSummary], None] | None = None
    on_due: Callable[[int], None] | None = None
    on_token: Callable[[str], None] = lambda _token: None


def retry_budget_of(settings: Settings) -> RetryBudget:
    """Return how long a run waits for a database that is away."""
    return RetryBudget(settings.db_retry_s, time.monotonic, time.sleep)


def busy_wait_of(settings: Settings) -> float:
    """Return how long one statement waits, in seconds, for what another program has locked."""
    return min(max(settings.db_retry_s, _LEAST_BUSY_WAIT_S), _MOST_BUSY_WAIT_S)


def policy_of(settings: Settings, *, resync: bool) -> Policy:
    """Return how records are planned."""
    return Policy(deltas=settings.use_partial_payload, purge_vanished=settings.purge_vanished, resync=resync)
