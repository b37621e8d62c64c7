"""How often a request is repeated after a transient error, and how long to wait before each try (contract 4)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from tenacity import RetryCallState, Retrying, stop_after_attempt

from api_pipeline.errors import ServiceUnavailable
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.single_request import Transient

FIRST_WAIT_S = 1.0

_Result = TypeVar("_Result")


class RetryPolicy(NamedTuple):
    """At most MAX_ATTEMPTS tries for one request, with at most `max_wait_s` seconds between two of them."""

    max_attempts: int
    max_wait_s: float
    jitter: Callable[[float, float], float] = random.uniform

    def at_most(self, attempts: int | None) -> RetryPolicy:
        """Return the policy with no more tries than `attempts` (None: as many as now)."""
        return self if attempts is None else self._replace(max_attempts=min(attempts, self.max_attempts))


class TransientError(Exception):
    """One try met a transient error."""

    def __init__(self, transient: Transient) -> None:
        super().__init__(transient.reason)
        self.transient = transient


def backoff_s(attempt: int, max_wait_s: float, jitter: Callable[[float, float], float]) -> float:
    """Return the seconds to wait after try number `attempt` (1, 2, ...): a random time up to a limit that doubles."""
    cap = min(max_wait_s, FIRST_WAIT_S * 2.0 ** min(attempt - 1, 30))
    return jitter(0.0, cap)


def obey_wait(limiter: RateLimiter, transient: Transient, peer: str) -> None:
    """Make every sender wait as long as an answer of `peer` asks. Errors: ServiceUnavailable beyond an hour in all."""
    wait_s = transient.retry_after_s
    if wait_s is not None and not limiter.hold(wait_s):
        raise ServiceUnavailable(
            f"{peer[:1].upper()}{peer[1:]} asks to wait {wait_words(wait_s)} (HTTP {transient.code}), longer than a "
            "run waits, which is an hour in all; run again after that."
        )


def wait_words(seconds: float) -> str:
    """Return a wait in the unit that suits it."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds:.0f} seconds"


def retrying(policy: RetryPolicy, limiter: RateLimiter) -> Callable[[Callable[[], _Result]], _Result]:
    """Return a caller that repeats a function on TransientError and raises the last one when the tries are used up.

    Errors: TransientError, Stopped.
    """

    def wait(state: RetryCallState) -> float:
        return backoff_s(state.attempt_number, policy.max_wait_s, policy.jitter)

    def may_try_again(state: RetryCallState) -> bool:
        return isinstance(state.outcome.exception() if state.outcome else None, TransientError)

    retry = Retrying(
        stop=stop_after_attempt(policy.max_attempts),
        wait=wait,
        retry=may_try_again,
        sleep=limiter.sleep,
        reraise=True,
    )
    return retry.__call__
