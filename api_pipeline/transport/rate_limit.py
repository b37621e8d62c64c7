"""Decide when the next request may start. All senders share one `RateLimiter`.

It keeps the gap between two POSTs, and the pause that a gateway asks for. After such a pause only one request is under
way at a time; each success allows one more. So a slow gateway meets a slow queue, and not a burst of requests at the
end of each pause.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A gateway that asks for a longer wait than this says "not tonight".
LONGEST_RETRY_AFTER_S = 3600.0
# A clock with many digits makes of an hour a little more than an hour.
_ROUNDING_S = 0.001
# A scheduler that stops a run kills it after a while; what is in flight is waited for until then.
STOP_GRACE_S = 20.0
_TICK_S = 0.5


class Stopped(Exception):
    """The run is being stopped, so the request was not made."""


class RateLimiter:
    """Let requests start, in the order in which they came, a retried one before a new one.

    `width` is the most requests under way at once, `gap_s` the least time between two starts in seconds. `clock` gives
    monotonic seconds. `is_asked_to_stop` is looked at before each start, so that a signal is obeyed at once; answers
    under way are waited for `stop_grace_s` seconds more.
    """

    def __init__(
        self,
        width: int,
        gap_s: float,
        clock: Callable[[], float],
        is_asked_to_stop: Callable[[], bool] = lambda: False,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self._is_asked_to_stop = is_asked_to_stop
        self._stop_grace_s = stop_grace_s
        self._most = width
        self._width = width
        self._gap = gap_s
        self._clock = clock
        self._not_before = float("-inf")
        self._last_start = float("-inf")
        self._under_way = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._held_s = 0.0
        self._stop_seen: float | None = None

    @contextmanager
    def passage(self, *, retried: bool = False) -> Iterator[float]:
        """Wait until a request may start, and count it as under way until the end. Errors: Stopped.

        It gives the moment of the start, by the limiter's clock.
        """
        started = self._enter(retried)
        try:
            yield started
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def hold(self, seconds: float) -> bool:
        """Let no request of any sender start for this long, and after that only one at a time.

        Return False, and hold nothing, where all the pauses of the run together would be longer than an hour.
        """
        with self._changed:
            now = self._clock()
            longer_s = max(0.0, now + seconds - max(now, self._not_before))
            if self._held_s + longer_s > LONGEST_RETRY_AFTER_S + _ROUNDING_S:
                return False
            self._held_s += longer_s
            self._not_before = max(self._not_before, now + seconds)
            self._width = 1
            self._changed.notify_all()
            return True

    def widen(self, started: float) -> None:
        """Allow one more request to be under way, up to the most, because one that began at `started` succeeded.

        A request that began before the end of a pause counts for nothing, whenever its answer comes: it began before
        the service asked to wait, and says nothing of how many requests the service takes after that.
        """
        with self._changed:
            if started >= self._not_before:
                self._width = min(self._most, self._width + 1)
                self._changed.notify_all()

    def stop(self) -> None:
        """Let no further request start, ever. Senders that wait for their turn end with `Stopped`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def is_past_grace(self) -> bool:
        """Return whether a stop was asked for so long ago that no answer is waited for any more."""
        if not self._is_asked_to_stop():
            return False
        if self._stop_seen is None:
            self._stop_seen = self._clock()
        return self._clock() - self._stop_seen > self._stop_grace_s

    @property
    def is_stopped(self) -> bool:
        """Return whether `stop` was called."""
        return self._stopped

    def sleep(self, seconds: float) -> None:
        """Wait for a backoff, but no longer than until the run is stopped or asked to. Errors: Stopped."""
        until = self._clock() + seconds
        self._sleep_until(lambda: until)

    def sleep_through_pause(self) -> None:
        """Wait until the pause that a service asked for is over, if there is one. Errors: Stopped."""
        self._sleep_until(lambda: self._not_before)

    def _sleep_until(self, moment: Callable[[], float]) -> None:
        with self._changed:
            while not (self._stopped or self._is_asked_to_stop()):
                if (left := moment() - self._clock()) <= 0:
                    return
                self._changed.wait(min(left, _TICK_S))
            raise Stopped

    def _enter(self, retried: bool) -> float:
        ticket = object()
        with self._changed:
            if retried:
                self._waiting.appendleft(ticket)
            else:
                self._waiting.append(ticket)
            try:
                while not self._may_start(ticket):
                    self._changed.wait(self._wait_for(ticket))
                self._last_start = started = self._clock()
                self._under_way += 1
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        return started

    def _may_start(self, ticket: object) -> bool:
        if self._stopped or self._is_asked_to_stop():
            raise Stopped
        return (
            self._waiting[0] is ticket
            and self._under_way < self._width
            and self._clock() >= max(self._not_before, self._last_start + self._gap)
        )

    def _wait_for(self, ticket: object) -> float:
        if self._waiting[0] is not ticket or self._under_way >= self._width:
            return _TICK_S
        left = max(self._not_before, self._last_start + self._gap) - self._clock()
        return min(max(left, 0.001), _TICK_S)
