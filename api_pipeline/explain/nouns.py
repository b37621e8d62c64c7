"""What `explain` shows of one child: rows, baseline, records sent and records planned."""

from __future__ import annotations

from dataclasses import dataclass

from api_pipeline.explain.structure import Part, StructureChange
from api_pipeline.payloads.finding import Finding


@dataclass(frozen=True, slots=True)
class RowStory:
    """One row of the person. `answer` is masked; `reason` says why the row is due or is not."""

    id: int
    row_state: str
    submission_status: str
    submission_timestamp: str | None
    answer: str
    payload_bytes: int
    is_due: bool
    reason: str


@dataclass(frozen=True, slots=True)
class KnownBaseline:
    """What the receiver holds of the child.

    `state` is known, in doubt (a record whose answer was lost may have arrived, or a run without all control tables
    sent one) or unknown; after a deletion it is known, without `parts`, that nothing is held. `source` says where the
    program knows it from.
    """

    state: str
    source: str
    receipt: str | None
    accepted_at: str | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class SentRecord:
    """One record of the submission log, its answer masked."""

    run_id: str
    batch: int
    kind: str
    http_code: int | None
    outcome: str
    answer: str
    logged_at: str


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """One record that the next run would send: its row, its kind, its size in bytes."""

    row_id: int
    kind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Tonight:
    """What the next run would do with the person's rows: `records` in their order, and one sentence."""

    records: tuple[PlannedRecord, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is known of one person. `difference` leads from the baseline to the newest row's payload, or to
    nothing where that row is deleted.

    `la_child_id` is None where the newest payload cannot be read; then `unreadable` says why.
    """

    person_id: str
    table: str
    receiver: str
    la_child_id: str | None
    unreadable: str
    rows: tuple[RowStory, ...]
    staged: tuple[Part, ...]
    held: KnownBaseline
    difference: tuple[StructureChange, ...]
    checks: tuple[Finding, ...]
    tonight: Tonight
    records: tuple[SentRecord, ...]
    has_log: bool
