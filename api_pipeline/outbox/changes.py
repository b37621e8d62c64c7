"""Collect what the outcomes of one POST change in the staging table, statement by statement. Pure.

`write_back` applies it. What they change in the control tables is in `baselines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from api_pipeline.api_response import last_receipt, rehearsed, superseded, up_to_date
from api_pipeline.common.clock import utc_now
from api_pipeline.model import (
    Accepted,
    DeliveryFailed,
    Invalid,
    Outcome,
    Record,
    RecordKind,
    Rejected,
    StagedRow,
    UpToDate,
)
from api_pipeline.outbox.staged_rows import DUE_STATUSES, GONE, RowNow, RowsNow, may_be_due


class Mark(NamedTuple):
    """A statement that marks rows: the status they have afterwards, and the types of its columns of parameters."""

    status: str
    types: tuple[type, ...]


MARKS: Mapping[str, Mark] = {
    "mark_sent": Mark("sent", (int, str, datetime)),
    "mark_delta_sent": Mark("sent", (int, str, datetime, str)),
    "mark_deletion_sent": Mark("sent", (int, str, datetime)),
    "mark_already_held": Mark("sent", (int, str)),
    "mark_failed": Mark("error", (int, str)),
    "mark_testing": Mark("testing", (int, str, datetime)),
    "mark_superseded": Mark("sent", (int, str)),
}


@dataclass(slots=True)
class Changes:
    """The rows of parameters for each statement of one write-back; those of a rehearsal where `is_testing`.

    `rows` are by statement, each beginning with its id; `written` has, by id, the status and the answer that the row
    must say afterwards.
    """

    is_testing: bool = False
    rows: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    written: dict[int, tuple[str, str]] = field(default_factory=dict)
    due_again: list[int] = field(default_factory=list)
    changed_meanwhile: list[tuple[object, ...]] = field(default_factory=list)

    def collect(self, outcomes: Iterable[Outcome], rows_now: RowsNow) -> None:
        """Add what outcomes change, given the rows as they stand now."""
        for outcome in outcomes:
            row = outcome.row
            if self.is_testing:
                self._rehearsed(outcome, row)
            else:
                self._done(outcome, row, rows_now.get((row.id, row.person_id), GONE))
            if row.supersedes and self.written.get(row.id, ("", ""))[0] == "sent":
                self.close(row.person_id, row.id, row.supersedes, rows_now)

    def close(self, person: str, newest: int, ids: Sequence[int], rows_now: RowsNow) -> None:
        """Mark as superseded those of a person's older rows that are still open and still belong to this person."""
        for row_id in ids:
            if rows_now.get((row_id, person), GONE).submission_status in DUE_STATUSES:
                self._mark("mark_superseded", row_id, superseded(newest))

    def _mark(self, statement: str, row_id: int, answer: str, *parameters: object) -> None:
        self.rows.setdefault(statement, []).append((row_id, answer, *parameters))
        self.written[row_id] = (MARKS[statement].status, answer)

    def _rehearsed(self, outcome: Outcome, row: StagedRow) -> None:
        if not may_be_due(row):
            # A rehearsal of a resync takes rows that are sent, and must leave them so.
            return
        before = last_receipt(row.api_response)
        match outcome:
            case Accepted(record=record, receipt=simulated):
                if record.then is None:
                    text = rehearsed(f"TESTING: simulated receipt {simulated.id}", before)
                    self._mark("mark_testing", row.id, text, utc_now())
            case UpToDate():
                text = rehearsed("TESTING: nothing would be sent, the receiver holds this payload", before)
                self._mark("mark_testing", row.id, text, utc_now())
            case Invalid(reason=reason):
                self._mark("mark_failed", row.id, rehearsed(reason.text, before))
            case Rejected(reason=reason) | DeliveryFailed(reason=reason):
                self._mark("mark_failed", row.id, rehearsed(f"TESTING: {reason.text}", before))

    def _done(self, outcome: Outcome, row: StagedRow, now: RowNow) -> None:
        if isinstance(outcome, Accepted):
            self._accepted(outcome, row, now)
        elif now.is_still(row):
            if isinstance(outcome, UpToDate):
                self._mark("mark_already_held", row.id, up_to_date(outcome.receipt))
            else:
                self._mark("mark_failed", row.id, outcome.reason.text)
        elif isinstance(outcome, (Rejected, DeliveryFailed)) and outcome.may_have_arrived:
            self._send_restored_again(outcome.record, now)

    def _accepted(self, outcome: Accepted, row: StagedRow, now: RowNow) -> None:
        record, receipt = outcome.record, outcome.receipt
        is_deletion = record.kind is RecordKind.DELETION
        if now is GONE:
            return
        if record.then is not None:
            if now.submission_status not in DUE_STATUSES:
                self.due_again.append(row.id)
        elif not now.is_still(row):
            sent = (None, None) if is_deletion else (row.json_payload, row.current_hash)
            self.changed_meanwhile.append((*sent, row.id))
            self._send_restored_again(record, now)
        elif record.kind is RecordKind.DELTA and record.body:
            self._mark("mark_delta_sent", row.id, receipt.id, receipt.received_at, record.body.decode())
        else:
            self._mark("mark_deletion_sent" if is_deletion else "mark_sent", row.id, receipt.id, receipt.received_at)

    def _send_restored_again(self, record: Record, now: RowNow) -> None:
        """Make a row due that says `sent` again since its child came back while the deletion was on its way."""
        if record.kind is RecordKind.DELETION and not now.is_deleted and now.submission_status == "sent":
            self.due_again.append(record.row.id)
