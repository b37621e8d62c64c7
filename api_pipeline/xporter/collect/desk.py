"""Pass results from the schools' threads to the thread that writes."""

from __future__ import annotations

import queue
from concurrent.futures import Future, wait

from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.collect.items import Item, WriteResult

_TICK_S = 0.2


class Desk:
    """Hand items from the schools' threads to the writer and its verdicts back."""

    def __init__(self) -> None:
        self._items: queue.Queue[tuple[Item, Future[WriteResult]] | None] = queue.Queue()
        self.is_closed = False

    def hand_in(self, item: Item) -> WriteResult:
        """Wait until the writer has processed it, and return what it did. Errors: Stopped."""
        if self.is_closed:
            raise Stopped
        reply: Future[WriteResult] = Future()
        self._items.put((item, reply))
        while True:
            done, _ = wait([reply], timeout=_TICK_S)
            if not done and self.is_closed:
                raise Stopped
            if done:
                return reply.result()

    def next(self) -> tuple[Item, Future[WriteResult]] | None:
        """Return the next item, None after a moment without one or when a school has ended."""
        try:
            return self._items.get(timeout=_TICK_S)
        except queue.Empty:
            return None

    def wake(self) -> None:
        """End the wait of `next`."""
        self._items.put(None)
