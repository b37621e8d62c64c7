"""The run: rows -> steps -> batches -> outcomes -> write-back.

The thread that calls `Run.execute` owns the database: it reads, plans, writes down what is about to be sent, and writes
back what came of it. MAX_IN_FLIGHT senders know HTTP alone.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from api_pipeline.api_response import Reason
from api_pipeline.delivery.planner import Planner, Step
from api_pipeline.delivery.sender_pool import Decided, SenderPool, Sending
from api_pipeline.errors import DatabaseError
from api_pipeline.model import (
    Accepted,
    Batch,
    DeliveryFailed,
    Invalid,
    Outcome,
    Record,
    RecordKind,
    Rejected,
    UpToDate,
)
from api_pipeline.outbox.reliable_write_back import ReliableWriteBack
from api_pipeline.run_summary import RunSummary
from api_pipeline.transport.rate_limit import Stopped

_LOG = logging.getLogger(__name__)
_POLL_S = 0.2
_SETTLED_AT_ONCE = 100


class RunParts(NamedTuple):
    """What a run is made of. `progress` gets the counts whenever they have changed."""

    planner: Planner
    sending: Sending
    write_back: ReliableWriteBack
    batch_size: int
    progress: Callable[[RunSummary], None] | None = None


class Run:
    """One run of the main job. All its results go into `summary`."""

    def __init__(self, parts: RunParts, summary: RunSummary) -> None:
        self._parts = parts
        self._summary = summary
        self._senders = SenderPool(parts.sending)
        self._stop = parts.sending.stop
        # New records, those that follow an accepted purge, and the outcomes of rows that need no request.
        self._ready: deque[Record] = deque()
        self._follow_ups: deque[Record] = deque()
        self._settled: list[Outcome] = []
        self._batches = 0

    def execute(self) -> None:
        """Run until nothing is due any more, a signal came, or an error ends it; never raises a PipelineError."""
        parts = self._parts
        self._senders.start()
        try:
            self._stop.set_if_it_fails("reading", self._send_all)
        finally:
            not_begun = self._senders.close()
        # The senders may have seen the signal first, and have come to their end before it was looked at here.
        self._stop.obey_signal()
        self._write_decided()
        parts.write_back.forget([record for batch in not_begun for record in batch.records])

    def _send_all(self) -> None:
        """Send the steps of all due rows; those that had to wait for another record of their child come last."""
        for steps in self._parts.planner.rounds():
            for step in steps:
                self._take_up(step)
            self._send_rest()

    def _take_up(self, step: Step) -> None:
        if isinstance(step, Record):
            self._ready.append(step)
            if len(self._ready) + len(self._follow_ups) >= self._parts.batch_size:
                self._send_batch()
            return
        self._settled.append(step)
        if len(self._settled) >= _SETTLED_AT_ONCE:
            self._write_all()
            self._stop.check()

    def _send_rest(self) -> None:
        """Send what is left and wait for all answers. Records that follow a purge are sent once nothing else comes."""
        while self._ready:
            self._send_batch()
        while True:
            self._write_all()
            if self._follow_ups and (self._senders.is_idle or len(self._follow_ups) >= self._parts.batch_size):
                self._send_batch()
            elif self._senders.is_idle:
                return
            else:
                self._wait()

    def _send_batch(self) -> None:
        """Hand the next records to the senders as soon as one has room; records that follow a purge go first.

        The records are marked in doubt in the same transaction that writes the answer of an earlier batch back, so that
        a batch costs one commit. Other answers are written back with later batches, or before the run waits.
        """
        while self._senders.is_full:
            self._write_decided()
            self._wait()
        self._stop.check()
        records: list[Record] = []
        for waiting in (self._follow_ups, self._ready):
            while waiting and len(records) < self._parts.batch_size:
                records.append(waiting.popleft())
        self._batches += 1
        one = self._senders.next_decided() or Decided(0, ())
        if not self._write_back(one.batch, one.outcomes, records):
            raise Stopped
        self._senders.submit(Batch(self._batches, tuple(records)))

    def _write_decided(self) -> None:
        """Write back what has been decided up to now."""
        while (one := self._senders.next_decided()) is not None:
            self._write_back(one.batch, one.outcomes)

    def _write_all(self) -> None:
        """Write back what has been decided up to now, and what needs no request."""
        self._write_decided()
        if self._settled:
            outcomes, self._settled = self._settled, []
            self._write_back(0, outcomes)

    def _wait(self) -> None:
        """Wait until something is decided or a batch ends. Errors: Stopped."""
        self._senders.wait(_POLL_S)
        self._stop.check()

    def _write_back(self, number: int, outcomes: Sequence[Outcome], about_to_send: Sequence[Record] = ()) -> bool:
        parts = self._parts
        try:
            outcomes = parts.write_back.write(number, outcomes, about_to_send, parts.planner.pages.read_ahead)
        except DatabaseError as error:
            self._stop.set(error)
            # Their receipts are kept in a file: accepted they are, only their rows do not say so yet.
            for outcome in outcomes:
                if isinstance(outcome, Accepted) and not self._summary.is_testing:
                    count(self._summary, outcome)
            return False
        if outcomes:
            _log_batch(number, outcomes)
        ended: list[str] = []
        for outcome in outcomes:
            count(self._summary, outcome)
            if isinstance(outcome, Accepted) and outcome.record.then is not None:
                self._follow_ups.append(outcome.record.then)
            elif not isinstance(outcome, Invalid):
                ended.append(outcome.la_child_id)
        if ended:
            parts.planner.pages.note_ended(ended)
        if parts.progress is not None:
            parts.progress(self._summary)
        return True


def count(summary: RunSummary, outcome: Outcome) -> None:
    """Add one outcome to the counts of a run."""
    match outcome:
        case Accepted(record=record):
            if record.then is not None:
                summary.purges += 1
                return
            summary.accepted += 1
            summary.deleted += record.kind is RecordKind.DELETION
        case UpToDate():
            summary.unchanged += 1
        case Invalid():
            summary.rejected += 1
        case Rejected():
            summary.refused += 1
        case DeliveryFailed():
            summary.undelivered += 1


def _log_batch(number: int, outcomes: Sequence[Outcome]) -> None:
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        match outcome:
            case (
                Accepted(http_code=code) | Rejected(reason=Reason(code=code)) | DeliveryFailed(reason=Reason(code=code))
            ):
                counts[f"{type(outcome).__name__.lower()} (HTTP {code})"] += 1
            case Invalid() | UpToDate():
                counts[type(outcome).__name__.lower()] += 1
    _LOG.info("batch %d written back: %s", number, ", ".join(f"{count} {what}" for what, count in counts.items()))
