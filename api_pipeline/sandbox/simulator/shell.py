"""What every simulated service has: faults, latency, a request log and control, around an answer of its own.

A service is a subclass that names its endpoints (`endpoints`, `counted`), finds a path's endpoint and answers it; see
`core.Simulator` for the Children's Social Care API. The server and the in-process adapter carry any of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, ClassVar, Generic, TypeVar

from api_pipeline.sandbox.simulator import control
from api_pipeline.sandbox.simulator.answer import Answer, Ending, error_answer
from api_pipeline.sandbox.simulator.faults import (
    Fault,
    FaultBook,
    FaultKind,
    FaultTarget,
    RateLimit,
    When,
    answer_of,
    too_many_requests,
)
from api_pipeline.sandbox.simulator.options import CommonConditions
from api_pipeline.sandbox.simulator.request_log import LoggedRequest, RequestLog, Visit

Holding = TypeVar("Holding", bound=CommonConditions)


class Shell(Generic[Holding]):
    """Take a request in, let a fault happen to it or answer it, and log it. Safe to use from several threads at once.

    `clock` gives monotonic seconds, `now` the time with a zone; `sleep` takes seconds, and is by default a sleep that
    `interrupt` ends. Tests and other processes steer it by `add_fault` and `change`.
    """

    # The endpoints that faults may be programmed for, and those of them whose requests the rate limit and the counts
    # of `stats` are about.
    endpoints: ClassVar[frozenset[str]]
    counted: ClassVar[frozenset[str]]
    # What the service adds to control.ROUTES.
    routes: ClassVar[Mapping[tuple[str, str, bool], Callable[[Any, str, bytes], Answer]]] = {}

    def __init__(
        self,
        conditions: Holding,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._faults = FaultBook()
        self._interrupted = threading.Event()
        self._sleep = sleep or self._interrupted.wait
        self._clock = clock
        self._now = now
        self._at_first = conditions
        self._conditions = conditions
        self._limit = RateLimit(clock)
        self._log = RequestLog(clock, self.counted)
        self._door = threading.Lock()

    def endpoint_of(self, path: str) -> str:
        """Return which endpoint a path without its query is for, NOWHERE for none."""
        raise NotImplementedError

    def respond(self, visit: Visit, conditions: Holding, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the service's own answer; `headers` has lower-case names, `visit.fault` may say what is odd in it."""
        raise NotImplementedError

    def count_records(self, endpoint: str, body: bytes) -> int:
        """Return how many records a request carries, for the log of one that a fault ended."""
        return 0

    def forget(self) -> None:
        """Forget what the service holds and which tokens it issued."""
        raise NotImplementedError

    def expire_tokens(self) -> None:
        """Make every access token that was issued worthless."""
        raise NotImplementedError

    def counts(self) -> dict[str, Any]:
        """Return the counts since the last reset, as JSON can carry them."""
        raise NotImplementedError

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the answer to one request, once its latency has passed.

        `path` may carry a query, `headers` is read in any case of letters. An `Answer.ending` other than ANSWER is
        for the transport to carry out.
        """
        bare, _, query = path.partition("?")
        lowered = {name.lower(): value for name, value in headers.items()}
        if bare.startswith(control.PREFIX):
            return control.answer(self, method, path, lowered, body)
        endpoint = self.endpoint_of(bare)
        if endpoint == FaultTarget.NOWHERE:
            return error_answer(404, "Resource not found")
        conditions = self._conditions
        visit = self._arrive(endpoint, method, bare, query, conditions)
        answer = self._with_fault(visit, conditions, lowered, body)
        answer = replace(answer, records=answer.records or self.count_records(endpoint, body))
        # What this machine takes to read a batch is part of the latency, not on top of it.
        latency = max(0.0, conditions.latency_s - (self._clock() - visit.arrived)) if conditions.latency_s else 0.0
        delay = latency + (visit.fault.delay_s if visit.fault else 0.0)
        if delay > 0:
            self._sleep(delay)
        self.finished(visit)
        self._log.leave(visit, answer)
        return answer

    def finished(self, visit: Visit) -> None:
        """Take note that a request's latency has passed and that its answer is about to leave."""

    def ending_unread(self, method: str, path: str) -> Ending | None:
        """Return how a request ends to which a fault applies before its body is read; None for one that is read."""
        bare, _, query = path.partition("?")
        endpoint = FaultTarget.CONTROL if bare.startswith(control.PREFIX) else self.endpoint_of(bare)
        with self._door:
            fault = self._faults.take_unread(endpoint, self._log.came(endpoint) + 1)
            if fault is None:
                return None
            number, arrived, at_once = self._log.arrive(endpoint)
        if fault.delay_s > 0:
            self._sleep(fault.delay_s)
        answer = answer_of(fault, self._now())
        self._log.leave(Visit(number, endpoint, method, bare, arrived, at_once, fault, query=query), answer)
        return answer.ending

    def _arrive(self, endpoint: str, method: str, path: str, query: str, conditions: Holding) -> Visit:
        # Faults go by the number of the request, so numbers and faults are given out together.
        with self._door:
            number, arrived, at_once = self._log.arrive(endpoint)
            wait_s = self._limit.wait_s(conditions.rate_limit) if endpoint in self.counted else None
            fault = self._faults.take(endpoint, number) if wait_s is None else None
        return Visit(number, endpoint, method, path, arrived, at_once, fault, wait_s, query)

    def _with_fault(self, visit: Visit, conditions: Holding, headers: Mapping[str, str], body: bytes) -> Answer:
        if visit.wait_s is not None:
            return too_many_requests(visit.wait_s, self._now(), as_date=conditions.retry_after_as_date)
        fault = visit.fault
        if fault is None or fault.kind in (FaultKind.SLOW, FaultKind.RECEIPTS):
            return self.respond(visit, conditions, headers, body)
        if fault.when is When.AFTER_ACCEPTING:
            self.respond(visit, conditions, headers, body)
        return answer_of(fault, self._now())

    @property
    def conditions(self) -> Holding:
        """Return what holds until it is changed."""
        return self._conditions

    def change(self, **changes: Any) -> None:
        """Change conditions by the names of their members. Errors: TypeError or ValueError for what is none."""
        self._conditions = replace(self._conditions, **changes)

    def add_fault(self, *faults: Fault) -> None:
        """Program faults behind those that wait already. Errors: ValueError for an endpoint that is not there."""
        unknown = [fault.target for fault in faults if fault.target not in self.endpoints]
        if unknown:
            raise ValueError(f"{unknown[0]} is not an endpoint; known are {', '.join(sorted(self.endpoints))}")
        self._faults.add(*faults)

    def clear_faults(self) -> None:
        """Take every fault out; conditions stay."""
        self._faults.clear()

    def interrupt(self) -> None:
        """End every latency that is being waited for, and let none be waited for until `resume`."""
        self._interrupted.set()

    def resume(self) -> None:
        """Let latencies pass again."""
        self._interrupted.clear()

    def reset(self) -> None:
        """Forget everything: what is held, the log, tokens, faults; conditions are as at the beginning."""
        self._faults.clear()
        self.forget()
        self._log.reset()
        self._conditions = self._at_first

    @property
    def log(self) -> list[LoggedRequest]:
        """Return the last requests to the endpoints, in the order of their answers."""
        return self._log.entries()
