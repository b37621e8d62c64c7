"""The window of work under way: bounded between reading and writing back, so that memory does not grow with the rows.

The planner puts batches in and waits where the window is full; senders take them; the run takes the events out and says
when each is written back. No child is in the window twice, so that a later version never overtakes an earlier one.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from api_pipeline.errors import PipelineError
from api_pipeline.model import Batch, Outcome, UpToDate


@dataclass(frozen=True, slots=True)
class Decided:
    """Outcomes that can be written back: those of one POST, or of rows that were not sent at all (batch 0)."""

    batch: int
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """A batch is through, or was left alone because the run is being stopped."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class PlanningEnded:
    """Every due row has been put into the window, or the planner met `error`."""

    error: PipelineError | None


@dataclass(frozen=True, slots=True)
class Halted:
    """A sender met an error that ends the run."""

    batch: Batch
    error: PipelineError


Event: TypeAlias = "Decided | BatchEnded | PlanningEnded | Halted"


class WorkQueue:
    """Shared by the planner, the senders and the run. `limit` is how many pieces of work may be under way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ready: deque[Batch] = deque()
        self._under_way = 0
        self._children: set[str] = set()
        self._changed = threading.Condition()
        self._is_closed = False
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, batch: Batch) -> bool:
        """Put a batch in as soon as there is room; False where the window has been closed instead."""
        if not self._make_room():
            return False
        self.put_follow_up(batch)
        return True

    def put_decided(self, outcomes: Sequence[Outcome]) -> bool:
        """Put in outcomes of rows that need no request; False where the window has been closed instead."""
        if not self._make_room():
            return False
        self.put_decided_now(outcomes)
        return True

    def put_decided_now(self, outcomes: Sequence[Outcome]) -> None:
        """Put in outcomes without waiting for room."""
        with self._changed:
            self._under_way += 1
            self._children.update(children_of(outcomes))
        self.events.put(Decided(0, outcomes))

    def put_follow_up(self, batch: Batch) -> None:
        """Put a batch in without waiting for room: what follows an accepted purge must not wait for itself."""
        with self._changed:
            self._under_way += 1
            self._children.update(record.la_child_id for record in batch.records)
            self._ready.append(batch)
            self._changed.notify_all()

    def take(self) -> Batch | None:
        """Return the next batch to send, waiting for one; None where the window has been closed."""
        with self._changed:
            while not self._ready and not self._is_closed:
                self._changed.wait()
            return None if self._is_closed else self._ready.popleft()

    def finish(self) -> None:
        """One piece of work is through and written back."""
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def release(self, children: Iterable[str]) -> None:
        """These children's outcomes are written back: another record of theirs may be planned."""
        with self._changed:
            self._children.difference_update(children)
            self._changed.notify_all()

    def children(self) -> set[str]:
        """Return the children of whom a record is under way now."""
        with self._changed:
            return set(self._children)

    def wait_until_out(self, child: str) -> bool:
        """Wait until no record of this child is under way; False where the window has been closed instead."""
        with self._changed:
            while child in self._children and not self._is_closed:
                self._changed.wait()
            return not self._is_closed

    def close(self) -> list[Batch]:
        """Let nothing more in or out and return the batches that were not begun."""
        with self._changed:
            self._is_closed = True
            left = list(self._ready)
            self._ready.clear()
            self._changed.notify_all()
            return left

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is under way."""
        with self._changed:
            return self._under_way == 0

    def _make_room(self) -> bool:
        with self._changed:
            while self._under_way >= self._limit and not self._is_closed:
                self._changed.wait()
            return not self._is_closed


def children_of(outcomes: Iterable[Outcome]) -> set[str]:
    """Return the children of whom something is to be recorded though nothing was sent."""
    return {outcome.la_child_id for outcome in outcomes if isinstance(outcome, UpToDate)}
