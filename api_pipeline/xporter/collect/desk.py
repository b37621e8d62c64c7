"""Where the schools' threads and the writer meet."""

from __future__ import annotations

import queue
from concurrent.futures import Future, wait

from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.collect.items import Item, Verdict

_TICK_S = 0.2


class Desk:
    """Hand items from the schools' threads to the writer and its verdicts back."""

    def __init__(self) -> None:
        self._items: queue.Queue[tuple[Item, Future[Verdict]] | None] = queue.Queue()
        self.is_closed = False

    def hand_in(self, item: Item) -> Verdict:
        """Wait until the writer has dealt with it. Errors: Stopped."""
        if self.is_closed:
            raise Stopped
        reply: Future[Verdict] = Future()
        self._items.put((item, reply))
        while True:
            done, _ = wait([reply], timeout=_TICK_S)
            if not done and self.is_closed:
                raise Stopped
            if done:
                return reply.result()

    def next(self) -> tuple[Item, Future[Verdict]] | None:
        """Return the next item, None after a moment without one or when a school has ended."""
        try:
            return self._items.get(timeout=_TICK_S)
        except queue.Empty:
            return None

    def wake(self) -> None:
        """Let the writer look up."""
        self._items.put(None)
