"""The run: rows -> records -> batches -> outcomes -> write-back.

One thread plans, MAX_IN_FLIGHT threads send, and the thread that called `Run.execute` writes back on one connection, in
whatever order the answers come.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from api_pipeline.delivery.access_probe import AccessProbe, Receiver
from api_pipeline.delivery.batch_delivery import Delivery
from api_pipeline.delivery.planner import Planner
from api_pipeline.delivery.work_queue import BatchEnded, Decided, Halted, PlanningEnded, WorkQueue
from api_pipeline.errors import DatabaseError, PipelineError, ServiceUnavailable
from api_pipeline.model import (
    Accepted,
    Baseline,
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
from api_pipeline.payload import NothingToSend, Policy, next_record, parse_payload
from api_pipeline.run_summary import RunSummary
from api_pipeline.transport.rate_limit import RateLimiter, Stopped

_LOG = logging.getLogger(__name__)
_POLL_S = 0.2


class RunProgress(Protocol):
    """Receives how far the run is."""

    def update(self, summary: RunSummary) -> None:
        """Show the counts as they stand now."""


class NoProgress:
    """A progress that shows nothing."""

    def update(self, summary: RunSummary) -> None:
        """Show nothing."""


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a run is made of; `follow_up_policy` plans the record after an accepted purge."""

    planner: Planner
    window: WorkQueue
    gate: RateLimiter
    receiver: Receiver
    write_back: ReliableWriteBack
    follow_up_policy: Policy
    senders: int
    give_up_after: int
    stop: threading.Event
    progress: RunProgress
    pause: Callable[[], None]


class Run:
    """One run of the main job. Everything it learns goes into `summary`."""

    def __init__(self, parts: RunParts, summary: RunSummary) -> None:
        self._parts = parts
        self._summary = summary
        self._admission = AccessProbe(parts.receiver)
        self._lost_in_a_row = 0
        self._counting = threading.Lock()
        self._is_planned = False
        self._next_follow_up = -1

    def execute(self) -> None:
        """Run until nothing is due any more, a signal came, or an error ends it; never raises a PipelineError."""
        parts = self._parts
        threads = [threading.Thread(target=self._plan, name="planner", daemon=True)]
        threads += [
            threading.Thread(target=self._send, name=f"sender-{number}", daemon=True)
            for number in range(1, parts.senders + 1)
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._is_over():
                self._handle_next_event()
            # The senders may have seen the signal first, and have come to their end before it was looked at here.
            self._obey_signal()
        finally:
            self._stop_starting()
            for thread in threads:
                thread.join()
        self._handle_remaining_events()
        parts.write_back.forget(parts.planner.unsent)
        self._summary.due = parts.planner.counts.due
        self._summary.nulls_removed = parts.planner.counts.nulls_removed
        self._summary.warnings = parts.planner.counts.warnings
        self._summary.was_limited = parts.planner.counts.was_limited
        self._summary.blank += parts.planner.counts.blank
        if blank := parts.planner.counts.blank_people:
            self._summary.examples.setdefault("blank", []).extend(blank)

    def _is_over(self) -> bool:
        parts = self._parts
        return self._is_planned and parts.window.is_empty and parts.window.events.empty()

    def _handle_next_event(self) -> None:
        parts = self._parts
        self._obey_signal()
        try:
            event = parts.window.events.get(timeout=_POLL_S)
        except queue.Empty:
            return
        self._handle(event)

    def _obey_signal(self) -> None:
        if self._parts.stop.is_set() and not self._summary.was_stopped:
            self._summary.was_stopped = True
            _LOG.warning("stopping: no new request, what is in flight is finished and written back")
            self._stop_starting()

    def _handle(self, event: Decided | BatchEnded | PlanningEnded | Halted) -> None:
        window = self._parts.window
        match event:
            case Decided(batch=number, outcomes=outcomes):
                self._write_back(number, outcomes)
                if number == 0:
                    window.finish()
            case BatchEnded():
                window.finish()
            case Halted(error=error):
                window.finish()
                self._end_with(error)
            case PlanningEnded(error=error):
                self._is_planned = True
                if error is not None:
                    self._end_with(error)

    def _handle_remaining_events(self) -> None:
        events = self._parts.window.events
        while not events.empty():
            self._handle(events.get())

    def _write_back(self, number: int, outcomes: Sequence[Outcome]) -> None:
        parts = self._parts
        try:
            outcomes = parts.write_back.write(number, outcomes)
        except DatabaseError as error:
            self._end_with(error)
            # Their receipts are kept in a file: accepted they are, only their rows do not say so yet.
            for outcome in outcomes:
                if isinstance(outcome, Accepted) and not self._summary.is_testing:
                    count(self._summary, outcome)
            return
        _log_batch(number, outcomes)
        follow_ups = []
        children = []
        for outcome in outcomes:
            count(self._summary, outcome)
            following = _following(outcome, parts.follow_up_policy)
            if isinstance(following, Record):
                follow_ups.append(following)
            elif following is not None:
                parts.window.put_decided_now([following])
            else:
                children.append(_child_of(outcome))
        parts.window.release(children)
        if follow_ups and not self._is_stopping():
            parts.window.put_follow_up(Batch(self._next_follow_up, tuple(follow_ups)))
            self._next_follow_up -= 1
        self._summary.due = parts.planner.counts.due
        parts.progress.update(self._summary)

    def _check_losses(self, was_lost: bool) -> None:
        """Count the batches lost in a row, in the sender's own thread: the run hears of a batch only later."""
        with self._counting:
            self._lost_in_a_row = lost = self._lost_in_a_row + 1 if was_lost else 0
            if lost >= self._parts.give_up_after and not self._is_stopping():
                self._parts.gate.stop()
                raise ServiceUnavailable(
                    f"The receiver failed for {lost} batches in a row, so the run stopped and left the "
                    "rest pending; run again when it answers (d2i-csc-api test-endpoint shows the way to it)."
                )

    def _end_with(self, error: PipelineError) -> None:
        alike = [str(known) for known in self._summary.errors if type(known) is type(error)]
        # Reading and writing back lose the database each in its own way, and one of them names the file of receipts.
        if not alike or (isinstance(error, DatabaseError) and str(error) not in alike):
            self._summary.errors.append(error)
        self._stop_starting()

    def _is_stopping(self) -> bool:
        return self._parts.gate.is_stopped

    def _stop_starting(self) -> None:
        """Let no further request start; planner and senders come to their end."""
        self._parts.gate.stop()
        for batch in self._parts.window.close():
            # What follows an accepted purge keeps its note: until it is sent, no later payload is sure of its base.
            if batch.number > 0:
                self._parts.write_back.forget(batch.records)
            self._parts.window.finish()

    def _plan(self) -> None:
        error: PipelineError | None = None
        try:
            self._parts.planner.run()
        except PipelineError as fault:
            error = fault
        except Exception as fault:
            _LOG.debug("planning failed", exc_info=True)
            error = PipelineError(f"The run met an error of its own while reading ({type(fault).__name__}); report it.")
        self._parts.window.events.put(PlanningEnded(error))

    def _send(self) -> None:
        window = self._parts.window
        while (batch := window.take()) is not None:
            try:
                self._check_losses(self._deliver(batch))
                window.events.put(BatchEnded(batch))
            except Stopped:
                window.events.put(BatchEnded(batch))
            except PipelineError as error:
                self._halt(batch, error)
            except Exception as fault:
                _LOG.debug("sending failed", exc_info=True)
                sentence = f"The run met an error of its own while sending ({type(fault).__name__}); report it."
                self._halt(batch, PipelineError(sentence))

    def _halt(self, batch: Batch, error: PipelineError) -> None:
        # At once: no sender may begin another request before the run has heard of this.
        self._parts.gate.stop()
        self._parts.window.events.put(Halted(batch, error))

    def _deliver(self, batch: Batch) -> bool:
        def report(outcomes: Sequence[Outcome]) -> None:
            self._parts.window.events.put(Decided(batch.number, outcomes))

        return Delivery(self._parts.receiver, self._admission, report, self._parts.pause).run(batch)


def count(summary: RunSummary, outcome: Outcome) -> None:
    """Add one outcome to the counts of a run."""
    match outcome:
        case Accepted(record=record):
            if not record.is_last:
                summary.purges += 1
                return
            summary.accepted += 1
            summary.superseded += len(record.row.supersedes)
            summary.deleted += record.kind is RecordKind.DELETION
        case UpToDate(row=row):
            summary.unchanged += 1
            summary.superseded += len(row.supersedes)
        case Invalid():
            summary.rejected += 1
        case Rejected():
            summary.refused += 1
        case DeliveryFailed():
            summary.undelivered += 1


def _log_batch(number: int, outcomes: Sequence[Outcome]) -> None:
    counts = Counter(
        f"{type(outcome).__name__.lower()} (HTTP {outcome.http_code})"
        if isinstance(outcome, (Accepted, Rejected, DeliveryFailed))
        else type(outcome).__name__.lower()
        for outcome in outcomes
    )
    _LOG.info("batch %d written back: %s", number, ", ".join(f"{count} {what}" for what, count in counts.items()))


def _following(outcome: Outcome, policy: Policy) -> Record | UpToDate | None:
    """Return what follows an accepted purge, planned from what the receiver holds after it; None after all else."""
    if not isinstance(outcome, Accepted) or outcome.record.is_last:
        return None
    record = outcome.record
    payload = parse_payload(record.follow_up or record.row.json_payload)
    following = next_record(record.row, payload, Baseline(held=record.held_after), policy)
    if isinstance(following, NothingToSend):
        return UpToDate(record.row, record.la_child_id, following.held, outcome.receipt.id, is_recorded=True)
    return replace(following, intent_hash=record.intent_hash)


def _child_of(outcome: Outcome) -> str:
    match outcome:
        case Accepted(record=record) | Rejected(record=record) | DeliveryFailed(record=record):
            return record.la_child_id
        case UpToDate(la_child_id=child):
            return child
        case Invalid():
            return ""
