"""A dry run: plan as a run does, from the true baselines, and count what would be sent. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from math import ceil

from api_pipeline.db import Retrying
from api_pipeline.delivery.pages import Pages, PlanOptions
from api_pipeline.delivery.planner import Planner
from api_pipeline.model import Invalid, Outcome, Record, RecordKind, UpToDate
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_summary import Counts


@dataclass(slots=True)
class KindCount:
    """How many records of one kind would be sent, and their size in bytes as JSON."""

    records: int = 0
    bytes: int = 0


@dataclass(slots=True)
class DryRun:
    """What a run would do now.

    `counts` are those of a run that plans the same: each due row would be sent, or is `unchanged`, or is `rejected` and
    would be in error. `kinds` counts the records by kind; a record that must follow a purge (`follow_ups`) is counted
    as well. `requests` is the least number of POSTs. `largest` is the size in bytes of the largest record,
    `largest_person` whose it is.
    """

    requests: int = 0
    follow_ups: int = 0
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
        return 1 if self.counts.rejected or self.counts.unknown_status else 0

    def add(self, record: Record) -> None:
        """Count a record that would be sent."""
        count = self.kinds.setdefault(record.kind, KindCount())
        count.records += 1
        count.bytes += len(record.body)
        if len(record.body) > self.largest:
            self.largest = len(record.body)
            self.largest_person = record.row.person_id


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
    found = DryRun()
    # A run in testing mode writes nothing while it plans, and plans from the same baselines as a live one.
    pages = Pages(store, options._replace(testing=True), checker, db)
    for step in chain.from_iterable(Planner(pages, found.counts, observers.on_finding).rounds()):
        match step:
            case Record(then=then):
                found.follow_ups += then is not None
                for record in (step,) if then is None else (step, then):
                    found.add(record)
                    observers.on_record(record)
            case Invalid():
                found.counts.rejected += 1
                observers.on_outcome(step)
                continue
            case UpToDate():
                found.counts.unchanged += 1
                observers.on_outcome(step)
        pages.note_ended([step.la_child_id])
    # What follows a purge goes in a later POST (contract 4).
    found.requests = max(ceil(found.records / batch_size), 2 if found.follow_ups else 0)
    return found
