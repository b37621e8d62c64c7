"""Faults on demand: what goes wrong with which request."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from enum import Enum

from api_pipeline.sandbox.simulator.answer import Answer, Ending, error_answer
from api_pipeline.sandbox.simulator.options import ReceiptShape


class FaultTarget(str, Enum):
    """Which endpoint a request is for: the children's, the token's, control, or none. Other services have more."""

    CHILDREN = "children"
    TOKEN = "token"  # noqa: S105 - the name of an endpoint
    CONTROL = "control"
    NOWHERE = "nowhere"


class FaultKind(str, Enum):
    """What goes wrong: another answer, no answer, a late answer, or an acceptance with odd receipts.

    DROP closes the connection, HANG leaves it open without ever answering, DIE closes every connection and stops
    listening.
    """

    ANSWER = "answer"
    DROP = "drop"
    HANG = "hang"
    DIE = "die"
    SLOW = "slow"
    RECEIPTS = "receipts"


class When(str, Enum):
    """At which point it goes wrong; after accepting, the records have been taken all the same."""

    BEFORE_READING = "before_reading"
    BEFORE_ACCEPTING = "before_accepting"
    AFTER_ACCEPTING = "after_accepting"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and the requests that it applies to.

    It applies to the next `times` requests to `target` that no earlier fault takes (None: all), or, where `first` is
    given, the requests number `first` to `last` (None: all that follow), counted from 1 since the last reset.
    `status`, `headers`, `body` and `retry_after_s` are the answer's (ANSWER), or `status` and `shape` the acceptance's
    (RECEIPTS). `delay_s` passes before whatever happens is seen.
    """

    kind: FaultKind = FaultKind.ANSWER
    target: str = FaultTarget.CHILDREN
    when: When = When.BEFORE_ACCEPTING
    times: int | None = 1
    first: int | None = None
    last: int | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    retry_after_s: float | None = None
    retry_after_as_date: bool = False
    delay_s: float = 0.0
    shape: ReceiptShape = ReceiptShape.LIST

    def __post_init__(self) -> None:
        if (self.times is not None and self.times < 1) or self.delay_s < 0:
            raise ValueError("times must be 1 or more, and delay_s must not be negative")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status must be 200 to 599")
        if self.target in (FaultTarget.CONTROL, FaultTarget.NOWHERE):
            raise ValueError("target must be an endpoint")

    @property
    def is_unread(self) -> bool:
        """Return whether the request ends without an answer before its body is read."""
        return self.when is When.BEFORE_READING and self.kind in (FaultKind.DROP, FaultKind.HANG, FaultKind.DIE)

    def applies_to(self, target: str, number: int) -> bool:
        """Return whether it is meant for request `number` to `target`."""
        if self.target != target:
            return False
        return self.first is None or self.first <= number <= (math.inf if self.last is None else self.last)


class FaultBook:
    """The faults that are programmed, in their order. Safe to use from several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[tuple[Fault, int | None]] = []

    def add(self, *faults: Fault) -> None:
        """Program faults behind those that wait already."""
        with self._lock:
            self._pending += [(fault, fault.times) for fault in faults]

    def clear(self) -> None:
        """Take every fault out."""
        with self._lock:
            self._pending.clear()

    def take(self, target: str, number: int) -> Fault | None:
        """Return the fault that applies to request `number` to `target`, and counts it down."""
        with self._lock:
            place = self._place(target, number)
            return None if place is None else self._count_down(place)

    def take_unread(self, target: str, number: int) -> Fault | None:
        """Do as `take` where that fault comes before the body is read and gives no answer; else takes none."""
        with self._lock:
            place = self._place(target, number)
            if place is None or not self._pending[place][0].is_unread:
                return None
            return self._count_down(place)

    def _place(self, target: str, number: int) -> int | None:
        matches = (place for place, (fault, _) in enumerate(self._pending) if fault.applies_to(target, number))
        return next(matches, None)

    def _count_down(self, place: int) -> Fault:
        fault, left = self._pending[place]
        if fault.first is None and left is not None:
            if left > 1:
                self._pending[place] = (fault, left - 1)
            else:
                del self._pending[place]
        return fault


class RateLimit:
    """Let a number of requests a second through, and tell the others how long to wait."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._allowance: float | None = None
        self._seen_at = 0.0

    def wait_s(self, rate: float | None) -> float | None:
        """Return None where the request may pass under `rate` (requests a second), else the whole seconds to wait."""
        if rate is None:
            return None
        with self._lock:
            now = self._clock()
            most = max(1.0, rate)
            grown = most if self._allowance is None else self._allowance + (now - self._seen_at) * rate
            self._allowance, self._seen_at = min(most, grown), now
            if self._allowance >= 1:
                self._allowance -= 1
                return None
            return float(math.ceil((1 - self._allowance) / rate))


def answer_of(fault: Fault, now: datetime) -> Answer:
    """Return what the client sees of a fault that replaces the answer. `now` has a zone."""
    if fault.kind is not FaultKind.ANSWER:
        return Answer(0, ending=Ending(fault.kind.value))
    status = 500 if fault.status is None else fault.status
    headers = dict(fault.headers)
    if fault.retry_after_s is not None:
        headers["Retry-After"] = retry_after(fault.retry_after_s, now, as_date=fault.retry_after_as_date)
    if fault.body is None:
        answer = error_answer(status, "a fault on demand", headers)
    else:
        answer = Answer(status, {"Content-Type": "text/plain; charset=utf-8", **headers}, fault.body.encode())
    return replace(answer, retry_after_s=fault.retry_after_s)


def too_many_requests(wait_s: float, now: datetime, *, as_date: bool) -> Answer:
    """Return the 429 of a rate limit."""
    headers = {"Retry-After": retry_after(wait_s, now, as_date=as_date)}
    answer = error_answer(429, f"Rate limit is exceeded. Try again in {wait_s:g} s.", headers)
    return replace(answer, retry_after_s=wait_s)


def retry_after(seconds: float, now: datetime, *, as_date: bool) -> str:
    """Return the value of a Retry-After header: seconds, or the HTTP date of the first whole second after them."""
    if not as_date:
        return f"{seconds:g}"
    moment = (now + timedelta(seconds=seconds)).astimezone(timezone.utc)
    whole = moment.replace(microsecond=0) + timedelta(seconds=1 if moment.microsecond else 0)
    return format_datetime(whole, usegmt=True)
