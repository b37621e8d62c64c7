"""A dry run: plan as a run does, from the true baselines, and count what would be sent. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from math import ceil

from api_pipeline.db import Retrying
from api_pipeline.delivery.pages import Pages, PlanOptions
from api_pipeline.delivery.planner import Planner, Step
from api_pipeline.model import Invalid, Outcome, Record, RecordKind
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_summary import Counts


@dataclass(slots=True)
class KindCount:
    """How many records of one kind would be sent, and their size in bytes as JSON."""

    records: int = 0
    bytes: int = 0

    def add(self, record: Record) -> None:
        """Count one more record."""
        self.records += 1
        self.bytes += len(record.body)


@dataclass(slots=True)
class DryRun:
    """What a run would do now.

    `due` is the number of due rows: each would be sent, or is `up_to_date`, or `invalid` and would be in error.
    `kinds` counts the records by kind; a record that must follow a purge (`follow_ups`) is counted as well. `requests`
    is the least number of POSTs. `largest` is the size in bytes of the largest record, `largest_person` whose it is.
    `counts` are those of a run that plans the same.
    """

    due: int = 0
    up_to_date: int = 0
    invalid: int = 0
    requests: int = 0
    follow_ups: int = 0
    nulls_removed: int = 0
    warnings: int = 0
    was_limited: bool = False
    largest: int = 0
    largest_person: str = ""
    kinds: dict[RecordKind, KindCount] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    @property
    def records(self) -> int:
        """Return how many records would be sent."""
        return sum(count.records for count in self.kinds.values())

    @property
    def bytes(self) -> int:
        """Return the size of all records in bytes."""
        return sum(count.bytes for count in self.kinds.values())

    @property
    def exit_code(self) -> int:
        """Return 1 where a record would be in error, or no run takes a row for its status, else 0 (contract 5)."""
        return 1 if self.invalid or self.counts.unknown_status else 0


@dataclass(frozen=True, slots=True)
class DryRunObservers:
    """What is called while a dry run plans: `on_record` for each record, `on_outcome` for each row not sent."""

    on_record: Callable[[Record], None] = lambda _record: None
    on_outcome: Callable[[Outcome], None] = lambda _outcome: None
    on_finding: Callable[[str, Finding], None] = lambda _person_id, _finding: None


def dry_run(
    store: StagingTable,
    options: PlanOptions,
    batch_size: int,
    checker: Checker,
    db: Retrying,
    observers: DryRunObservers,
) -> DryRun:
    """Return what a run would do now. Errors: DatabaseError."""
    # A run in testing mode writes nothing while it plans, and plans from the same baselines as a live one.
    tally = _Tally(observers)
    counts = tally.found.counts
    planner = Planner(Pages(store, options._replace(testing=True), checker, db), counts, observers.on_finding)
    for step in chain.from_iterable(planner.rounds()):
        tally.add(step)
        if not isinstance(step, Invalid):
            planner.pages.note_ended([step.la_child_id])
    found = tally.found
    found.due = counts.due
    # What follows a purge goes in a later POST (contract 4).
    found.requests = max(ceil(found.records / batch_size), 2 if found.follow_ups else 0)
    found.nulls_removed = counts.nulls_removed
    found.warnings = counts.warnings
    found.was_limited = counts.was_limited
    return found


class _Tally:
    """Count steps instead of sending them."""

    def __init__(self, observers: DryRunObservers) -> None:
        self._observers = observers
        self.found = DryRun()

    def add(self, step: Step) -> None:
        """Count a step, and the record that would follow it."""
        match step:
            case Record():
                self._add(step)
                if step.then is not None:
                    self.found.follow_ups += 1
                    self._add(step.then)
            case Invalid():
                self.found.invalid += 1
                self._observers.on_outcome(step)
            case _:
                self.found.up_to_date += 1
                self._observers.on_outcome(step)

    def _add(self, record: Record) -> None:
        self.found.kinds.setdefault(record.kind, KindCount()).add(record)
        if len(record.body) > self.found.largest:
            self.found.largest = len(record.body)
            self.found.largest_person = record.row.person_id
        self._observers.on_record(record)
