"""Where the schools' threads and the writer meet, and the lock that keeps a second collection out."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

from api_pipeline.errors import AlreadyRunning, DatabaseError
from api_pipeline.run_lock import RunLock, take
from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.collect.items import Item, Verdict
from api_pipeline.xporter.landing import LandingStore

_TICK_S = 0.2


class HeldLock:
    """The run lock, which is taken again after the connection it hung on was lost."""

    def __init__(self, store: LandingStore, shard: tuple[int, int] | None) -> None:
        self._store = store
        self._shard = shard
        self._lock: RunLock | None = None

    def take(self) -> None:
        """Take the lock. Errors: AlreadyRunning, DatabaseError."""
        self.release()
        self._lock = take(self._store.connection, self._store.names.table("xporter_sync"), self._shard)

    def retake(self) -> None:
        """Take the lock on a new connection. Errors: DatabaseError."""
        try:
            self.take()
        except AlreadyRunning as error:
            raise DatabaseError(f"When the database came back, another run had begun. {error}") from None

    def release(self) -> None:
        """Free the lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


@contextmanager
def locked(store: LandingStore, shard: tuple[int, int] | None) -> Iterator[HeldLock]:
    """Hold the lock of the collection until the end of the block. Errors: AlreadyRunning, DatabaseError."""
    lock = HeldLock(store, shard)
    lock.take()
    try:
        yield lock
    finally:
        lock.release()


class Desk:
    """Hands items from the schools' threads to the writer and its verdicts back."""

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
