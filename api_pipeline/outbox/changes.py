"""Collect what the outcomes of one POST change in the tables, statement by statement. Pure: `write_back` applies it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from api_pipeline.api_response import last_receipt, rehearsed, superseded, up_to_date
from api_pipeline.common.clock import utc_now
from api_pipeline.logs.masking import Mask
from api_pipeline.model import (
    NOTHING_HELD,
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
from api_pipeline.outbox.overtaken import Overtaken
from api_pipeline.outbox.staged_rows import DUE_STATUSES, GONE, RowNow, RowsNow, may_be_due
from api_pipeline.payloads.reading import sha256_hex


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

# The types of the values in a line of the submission log, in the order of `add_to_log`.
LOG_LINE: tuple[type, ...] = (int, str, str, str, str)


class Held(NamedTuple):
    """What the receiver holds of a child from now on. `row_id` is that of the row whose payload it is as staged."""

    row_id: int | None
    child: str
    text: str
    digest: str
    receipt: str
    accepted_at: datetime


class Destination(NamedTuple):
    """Where outcomes are written: the run's id, its staging table's name, the receiver, and what kind of run it is.

    `control_tables` is whether baselines and log are kept; `testing` writes simulated answers only (contract 3).
    `overtaken` marks baselines that this run cannot keep, None where there is none.
    """

    run_id: str
    table: str
    receiver: str
    control_tables: bool
    testing: bool
    overtaken: Overtaken | None = None


@dataclass(slots=True)
class Changes:
    """The rows of parameters for each statement of one write-back; `mask` takes values out of what is logged.

    `rows` are by statement, each beginning with its id; `written` has, by id, the status and the answer that the row
    must say afterwards. The baselines of the children in `replaced` are taken out before those of `held` are written.
    Records in doubt of the children in `confirmed` are removed, but in `uncertain` one of unknown effect stays. `log`
    has the lines by what they have in common: kind, HTTP code and outcome.
    """

    to: Destination
    mask: Mask
    rows: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    written: dict[int, tuple[str, str]] = field(default_factory=dict)
    due_again: list[int] = field(default_factory=list)
    changed_meanwhile: list[tuple[object, ...]] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    may_hold: list[tuple[object, ...]] = field(default_factory=list)
    log: dict[tuple[object, ...], list[tuple[object, ...]]] = field(default_factory=dict)

    def collect(self, outcomes: Iterable[Outcome], rows_now: RowsNow) -> None:
        """Add what outcomes change, given the rows as they stand now."""
        for outcome in outcomes:
            row = outcome.row
            # A row may have been taken out of the table meanwhile; what was sent of it is recorded all the same.
            if self.to.testing:
                self._rehearsed(outcome, row)
            else:
                self._done(outcome, rows_now.get((row.id, row.person_id), GONE))
                self.add_to_log(outcome)
            if row.supersedes and self.written.get(row.id, ("", ""))[0] == "sent":
                self.close(row.person_id, row.id, row.supersedes, rows_now)

    def close(self, person: str, newest: int, ids: Sequence[int], rows_now: RowsNow) -> None:
        """Mark as superseded those of a person's older rows that are still open and still belong to this person."""
        for row_id in ids:
            if rows_now.get((row_id, person), GONE).submission_status in DUE_STATUSES:
                self._mark("mark_superseded", row_id, superseded(newest))

    def add_to_log(self, outcome: Outcome) -> None:
        """Add the line of the submission log for the outcome of what was sent."""
        code: int | None
        match outcome:
            case Accepted(record=record):
                result, code, answer = "accepted", outcome.http_code, outcome.receipt.id
            case Rejected(record=record, reason=reason) | DeliveryFailed(record=record, reason=reason):
                result, code = "undelivered", reason.code
                if isinstance(outcome, Rejected):
                    result = "unknown" if outcome.is_unknown else "refused"
                answer = self.mask(reason.text, record.row.json_payload)
            case _:
                return
        line = (record.row.id, record.row.person_id, record.la_child_id, record.sent_hash, answer)
        self.log.setdefault((record.kind.value, code, result), []).append(line)

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

    def _done(self, outcome: Outcome, now: RowNow) -> None:
        match outcome:
            case Accepted():
                self._accepted_row(outcome, now)
                self._accepted_child(outcome)
            case UpToDate():
                self._up_to_date(outcome, now)
            case Invalid(row=row, reason=reason):
                if now.is_still(row):
                    self._mark("mark_failed", row.id, reason.text)
            case Rejected(record=record, reason=reason) | DeliveryFailed(record=record, reason=reason):
                if now.is_still(record.row):
                    self._mark("mark_failed", record.row.id, reason.text)
                elif outcome.may_have_arrived:
                    self._send_restored_again(record, now)
                self._in_doubt(record, may_have_arrived=outcome.may_have_arrived)

    def _accepted_row(self, outcome: Accepted, now: RowNow) -> None:
        record, receipt = outcome.record, outcome.receipt
        row, is_deletion = record.row, record.kind is RecordKind.DELETION
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

    def _accepted_child(self, outcome: Accepted) -> None:
        record, receipt = outcome.record, outcome.receipt
        child, held = record.la_child_id, record.held_after
        self.replaced.append(child)
        if held is not None:
            digest = record.known_held_hash or sha256_hex(held)
            row_id = record.row.id if held == record.row.json_payload else None
            self.held.append(Held(row_id, child, held, digest, receipt.id, receipt.received_at or utc_now()))
        self.confirmed.append(child)
        if record.stays_in_doubt:
            self.uncertain.append(child)

    def _up_to_date(self, outcome: UpToDate, now: RowNow) -> None:
        if now.is_still(outcome.row):
            self._mark("mark_already_held", outcome.row.id, up_to_date(outcome.receipt))
        self.confirmed.append(outcome.la_child_id)

    def _in_doubt(self, record: Record, *, may_have_arrived: bool) -> None:
        if may_have_arrived:
            held = record.held_after if record.held_after is not None else NOTHING_HELD
            self.may_hold.append((held, self.to.receiver, record.la_child_id))
        elif not record.was_in_doubt:
            self.confirmed.append(record.la_child_id)
