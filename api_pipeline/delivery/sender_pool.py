"""The senders: MAX_IN_FLIGHT threads that deliver batches. They know HTTP alone; only the run uses the database."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from api_pipeline.common.circuit_breaker import CircuitBreaker
from api_pipeline.delivery.access_probe import AccessProbe, Receiver
from api_pipeline.delivery.batch_delivery import Delivery
from api_pipeline.delivery.stop_token import StopToken
from api_pipeline.errors import ServiceUnavailable
from api_pipeline.model import Batch, Outcome
from api_pipeline.run_summary import counted

_TICK_S = 0.2


class Decided(NamedTuple):
    """Outcomes of one POST, to be written back."""

    batch: int
    outcomes: Sequence[Outcome]


class Sending(NamedTuple):
    """How batches are sent: `senders` at once. `pause` comes before the second try after a 403.

    After `give_up_after` lost batches in a row the run ends. `stop` ends it for any other reason.
    """

    receiver: Receiver
    stop: StopToken
    senders: int
    give_up_after: int
    pause: Callable[[], None]


class SenderPool:
    """Threads that deliver batches in the order in which they are submitted, and report the outcomes.

    Each sender can have one more batch waiting, so that no sender is idle while the run reads and writes back.
    """

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._probe = AccessProbe(sending.receiver)
        self._breaker = CircuitBreaker(sending.give_up_after)
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        # None says that a batch has ended, or was not begun because the run stops.
        self._events: queue.SimpleQueue[Decided | None] = queue.SimpleQueue()
        self._decided: deque[Decided] = deque()
        self._not_begun: list[Batch] = []
        self._under_way = 0
        self._threads = [
            threading.Thread(target=self._send, name=f"sender-{number}", daemon=True)
            for number in range(1, sending.senders + 1)
        ]

    def start(self) -> None:
        """Start the senders."""
        for thread in self._threads:
            thread.start()

    @property
    def is_full(self) -> bool:
        """Return whether every sender has a batch, and another one waiting."""
        self._take_events()
        return self._under_way >= 2 * len(self._threads)

    @property
    def is_idle(self) -> bool:
        """Return whether every batch has ended and all outcomes were taken."""
        self._take_events()
        return not (self._under_way or self._decided)

    def submit(self, batch: Batch) -> None:
        """Hand a batch to the next sender that is free."""
        self._under_way += 1
        self._batches.put(batch)

    def next_decided(self) -> Decided | None:
        """Return the outcomes of the next POST that has an answer, None where there is none up to now."""
        self._take_events()
        return self._decided.popleft() if self._decided else None

    def wait(self, most_s: float) -> None:
        """Wait until outcomes can be taken or a batch ends, at most so many seconds."""
        if not self._decided:
            self._take_events(most_s)

    def close(self) -> list[Batch]:
        """Start no further request, wait for those under way, and return the batches that were not begun."""
        self._sending.stop.set()
        for _ in self._threads:
            self._batches.put(None)
        for thread in self._threads:
            # On Windows no signal interrupts a wait without end, and a second Ctrl-C ends the program at once.
            while thread.is_alive():
                thread.join(_TICK_S)
        return self._not_begun

    def _take_events(self, wait_s: float | None = None) -> None:
        """Take what the senders have reported; if there is nothing, wait at most this long for something."""
        with suppress(queue.Empty):
            event = self._events.get_nowait() if wait_s is None else self._events.get(timeout=wait_s)
            while True:
                if event is None:
                    self._under_way -= 1
                else:
                    self._decided.append(event)
                event = self._events.get_nowait()

    def _send(self) -> None:
        stop = self._sending.stop
        while (batch := self._batches.get()) is not None:
            if stop.is_set:
                self._not_begun.append(batch)
            else:
                stop.set_if_it_fails("sending", partial(self._deliver, batch))
            self._events.put(None)

    def _deliver(self, batch: Batch) -> None:
        """Deliver a batch. Errors: those of `Delivery`, ServiceUnavailable after too many lost batches in a row."""

        def report(outcomes: Sequence[Outcome]) -> None:
            self._events.put(Decided(batch.number, outcomes))

        sending = self._sending
        was_lost = Delivery(batch.records, sending.receiver, self._probe, report, sending.pause).run()
        if self._breaker.count(failed=was_lost) and not sending.stop.is_set:
            batches = counted(self._breaker.most, "{batch|batches}")
            raise ServiceUnavailable(
                f"The receiver failed for {batches} in a row, so the run stopped and left the rest as it was; "
                "run again when it answers (d2i-csc-api test-endpoint shows the way to it)."
            )
