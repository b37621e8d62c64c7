"""How often and after what waits a request that met a passing fault is repeated (contract 4, by tenacity)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TypeVar

import requests
from tenacity import RetryCallState, Retrying, stop_after_attempt

from api_pipeline.transport.rate_limit import LONGEST_RETRY_AFTER_S, RateLimiter
from api_pipeline.transport.retry_after import retry_after_seconds

FIRST_WAIT_S = 1.0

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """MAX_ATTEMPTS tries of one request; one backoff wait is never longer than `max_wait_s` seconds."""

    max_attempts: int
    max_wait_s: float
    jitter: Callable[[float, float], float] = random.uniform


class TransientError(Exception):
    """One try met a fault that may pass; `retry_after_s` is what the answer asked for, in seconds."""

    def __init__(
        self, reason: str, http_code: int | None, retry_after_s: float | None, *, may_have_arrived: bool
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.http_code = http_code
        self.retry_after_s = retry_after_s
        self.may_have_arrived = may_have_arrived

    @classmethod
    def of_response(cls, response: requests.Response, reason: str) -> TransientError:
        """Gives the fault of an answer, with the wait its `Retry-After` asks for."""
        wait = retry_after_seconds(response.headers.get("Retry-After"), datetime.now(timezone.utc))
        return cls(reason, response.status_code, wait, may_have_arrived=False)


def backoff_s(attempt: int, max_wait_s: float, jitter: Callable[[float, float], float]) -> float:
    """Gives the wait before the next try after `attempt` (1, 2, ...): full jitter up to a doubling cap, in seconds."""
    cap = min(max_wait_s, FIRST_WAIT_S * 2.0 ** min(attempt - 1, 30))
    return jitter(0.0, cap)


def retrying(policy: RetryPolicy, gate: RateLimiter) -> Callable[[Callable[[], _Result]], _Result]:
    """Gives a caller that repeats a function on PassingFault and raises the last one when the tries are used up.

    A `Retry-After` holds every sender of `gate`; one beyond an hour is not waited for. Errors: PassingFault, Stopped.
    """

    def wait(state: RetryCallState) -> float:
        return backoff_s(state.attempt_number, policy.max_wait_s, policy.jitter)

    def may_try_again(state: RetryCallState) -> bool:
        fault = state.outcome.exception() if state.outcome else None
        if not isinstance(fault, TransientError):
            return False
        if fault.retry_after_s is not None:
            gate.hold(fault.retry_after_s)
        return fault.retry_after_s is None or fault.retry_after_s <= LONGEST_RETRY_AFTER_S

    retry = Retrying(
        stop=stop_after_attempt(policy.max_attempts),
        wait=wait,
        retry=may_try_again,
        sleep=gate.sleep,
        reraise=True,
    )
    return retry.__call__
