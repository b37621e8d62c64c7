"""Which requests came, when, and how they were answered."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from api_pipeline.sandbox.simulator.answer import Answer, Ending
from api_pipeline.sandbox.simulator.faults import Fault

# Enough for any rehearsal, and little enough that a simulator may run for days.
_REMEMBERED = 10_000
# A request that was on its way when the Retry-After was sent does not break it.
_ON_ITS_WAY_S = 0.05


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that has come and is not answered yet.

    `number` counts the requests to its target from 1; `at_once` is how many to that target are under way, itself
    among them. `fault` applies to it; `wait_s` is set where the rate limit turns it away.
    """

    number: int
    target: str
    method: str
    path: str
    arrived: float
    at_once: int
    fault: Fault | None = None
    wait_s: float | None = None
    query: str = ""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that has been answered, or dropped (`ending`). Times are seconds of a monotonic clock."""

    number: int
    target: str
    method: str
    path: str
    status: int
    ending: Ending
    records: int
    arrived: float
    answered: float
    at_once: int
    retry_after_s: float | None


class RequestLog:
    """The last requests and the counts of all. Safe to use from several threads at once.

    `counted` are the endpoints that take records: the counts of answers and of requests at once are about these.
    """

    def __init__(self, clock: Callable[[], float], counted: frozenset[str]) -> None:
        self._clock = clock
        self._counted = counted
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._forget()

    def _forget(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=_REMEMBERED)
        self._came: Counter[str] = Counter()
        self._answers: Counter[int] = Counter()
        self._most_at_once = 0
        self._quiet: list[tuple[float, float]] = []
        self._too_early = 0

    def reset(self) -> None:
        """Forget everything but what is under way."""
        with self._lock:
            self._forget()

    def arrive(self, target: str) -> tuple[int, float, int]:
        """Count a request in; return its number, the time, and how many to its target are under way."""
        with self._lock:
            now = self._clock()
            self._came[target] += 1
            self._under_way[target] += 1
            if target in self._counted:
                self._most_at_once = max(self._most_at_once, sum(self._under_way[one] for one in self._counted))
                self._quiet = [(start, end) for start, end in self._quiet if end > now]
                self._too_early += any(start + _ON_ITS_WAY_S < now for start, _ in self._quiet)
            return self._came[target], now, self._under_way[target]

    def leave(self, visit: Visit, answer: Answer) -> None:
        """Count a request out; called before its answer is sent, so that who has the answer finds it in the log."""
        with self._lock:
            now = self._clock()
            self._under_way[visit.target] -= 1
            if visit.target in self._counted:
                self._answers[answer.status] += 1
                if answer.retry_after_s is not None:
                    self._quiet.append((now, now + answer.retry_after_s))
            self._entries.append(
                LoggedRequest(
                    number=visit.number,
                    target=visit.target,
                    method=visit.method,
                    path=visit.path,
                    status=answer.status,
                    ending=answer.ending,
                    records=answer.records,
                    arrived=visit.arrived,
                    answered=now,
                    at_once=visit.at_once,
                    retry_after_s=answer.retry_after_s,
                )
            )

    def entries(self) -> list[LoggedRequest]:
        """Return the last requests in the order of their answers."""
        with self._lock:
            return list(self._entries)

    def came(self, target: str) -> int:
        """Return how many requests to a target have come."""
        with self._lock:
            return self._came[target]

    @property
    def answers(self) -> dict[int, int]:
        """Return how often each status was answered to a request with records; 0 counts those that got no answer."""
        with self._lock:
            return dict(self._answers)

    @property
    def most_at_once(self) -> int:
        """Return the most requests with records that were under way at one time."""
        with self._lock:
            return self._most_at_once

    @property
    def too_early(self) -> int:
        """Return how many requests with records came within a Retry-After."""
        with self._lock:
            return self._too_early
