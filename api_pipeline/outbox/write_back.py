"""Writes the outcomes of one POST back, in one transaction: staging table, baselines, submission log (contract 3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api_pipeline.api_response import UUID, last_receipt, rehearsed, superseded, up_to_date
from api_pipeline.clock import utc_now
from api_pipeline.db import KeyTaken
from api_pipeline.errors import DatabaseError
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
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import DUE_STATUSES, UNREADABLE, as_version, may_be_due, word
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.storable import are_storable, nearest, storable
from api_pipeline.outbox.superseded import RowsOfPerson
from api_pipeline.payloads.reading import sha256_hex

_VERSION = (
    *("id", "person_id", "row_state", "submission_status", "current_hash"),
    "CASE WHEN current_hash IS NULL THEN json_payload END",
)
_WRITTEN = ("id", "submission_status", "api_response")
_RECEIPT_LENGTH = 36
_RECEIPT = re.compile(UUID, re.IGNORECASE)
# The statements that take a hundred rows at once, and what their columns are.
_TOGETHER: Mapping[str, tuple[type, ...]] = {
    "mark_sent": (int, str, datetime),
    "mark_delta_sent": (int, str, datetime, str),
    "mark_already_held": (int, str),
    "mark_failed": (int, str),
    "mark_testing": (int, str, datetime),
    "mark_superseded": (int, str),
}
# What a row's status is after a statement, where that can be looked at: the others leave the row due.
_STATUS_AFTER = {
    **dict.fromkeys(
        ("mark_sent", "mark_delta_sent", "mark_already_held", "mark_deletion_sent", "mark_superseded"), "sent"
    ),
    "mark_failed": "error",
    "mark_testing": "testing",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where outcomes are written: the run's id, its staging table's name, the receiver, and what kind of run it is.

    `control_tables` is whether baselines and log are kept; `testing` writes simulated answers only (contract 3).
    """

    run_id: str
    table: str
    receiver: str
    control_tables: bool
    testing: bool


@dataclass(slots=True)
class _Changes:
    """The rows of parameters for each statement of one write-back.

    `rows` go one by one, `together` (each beginning with its `id`) a hundred in one statement: what most rows need.
    `written` has, by row id, the status and the answer that the row must say afterwards. `log` has the lines by what
    they have in common: kind, HTTP code and outcome. The baselines of the children in `replaced` are taken out first;
    those in `adopted` were not sent, their baseline is adopted from their rows.
    """

    rows: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    together: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    held: dict[str, tuple[object, ...]] = field(default_factory=dict)
    written: dict[int, tuple[str, str]] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)
    confirmed: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    may_hold: list[tuple[object, ...]] = field(default_factory=list)
    log: dict[tuple[object, ...], list[tuple[object, ...]]] = field(default_factory=dict)

    def add(self, statement: str, *parameters: object) -> None:
        self.rows.setdefault(statement, []).append(parameters)

    def add_together(self, statement: str, row_id: int, answer_: str, *parameters: object) -> None:
        self.together.setdefault(statement, []).append((row_id, answer_, *parameters))
        self.written[row_id] = (_STATUS_AFTER[statement], answer_)


@dataclass(frozen=True, slots=True)
class _RowNow:
    person_id: str
    row_state: str
    submission_status: str
    version: object

    def is_still(self, row: StagedRow) -> bool:
        """Return whether the row is as it was read; leaving or rejoining the cohort is a change as well."""
        if self is _GONE:
            return False
        read: object = row.current_hash if row.current_hash is not None else row.json_payload
        if row.unreadable:
            read = row.current_hash if row.current_hash is not None else UNREADABLE
        return self.version == read and (self.row_state == "deleted") == row.is_deleted


# A row that is not in the table any more, or whose id is another person's by now: nothing is written to it.
_GONE = _RowNow(person_id="", row_state="", submission_status="", version=None)


class WriteBack:
    """Write outcomes to the tables of one store. `mask` takes values out of an answer before it is logged."""

    def __init__(self, store: StagingTable, destination: Destination, mask: Mask) -> None:
        self._store = store
        self._to = destination
        self._baselines = Baselines(store, destination.receiver)
        self._mask = mask
        self._is_in_doubt = False
        self._as_stored: Callable[[object, datetime], object] = storable

    def write(
        self,
        batch: int,
        outcomes: Sequence[Outcome],
        *,
        as_near_as_can_be: bool = False,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the outcomes of one POST in one transaction, whole or not at all; may be called again after an error.

        `also` writes what else belongs into the transaction. With `as_near_as_can_be` values that this database may not
        be able to hold are replaced by ones that every database holds. Errors: DatabaseError, after which nothing is
        written, unless the commit's answer was lost.
        """
        self._as_stored = nearest if as_near_as_can_be else storable
        if not outcomes or (self._is_in_doubt and self._is_written(batch, outcomes)):
            self._is_in_doubt = False
            return
        self._is_in_doubt = True
        try:
            self._write(batch, outcomes, also, is_repeated=False)
        except KeyTaken:
            # Written for another shard's row of the child, or by an earlier try of which the log has nothing.
            self._write(batch, outcomes, also, is_repeated=True)
        self._is_in_doubt = False

    def log(self, batch: int, outcomes: Sequence[Outcome]) -> None:
        """Log outcomes whose effect is recorded already, unless they are in the log. Errors: DatabaseError."""
        if not self._to.control_tables or self._is_written(batch, outcomes):
            return
        changes = _Changes()
        for outcome in outcomes:
            self._collect_log(changes, outcome)
        with self._store.connection.transaction():
            self._insert_log(batch, changes)

    def _is_written(self, batch: int, known: Sequence[Outcome]) -> bool:
        """Return whether an earlier try of this, whose answer was lost, is in the log, and so in the database."""
        if not self._to.control_tables or self._to.testing:
            return False
        changes = _Changes()
        for outcome in known:
            self._collect_log(changes, outcome)
        ours = {(line[0], line[3]) for lines in changes.log.values() for line in lines}
        logged = self._store.connection.query(self._store.sql("read_logged"), [self._to.run_id, batch])
        return any((int(row[0]), str(row[1]).strip()) in ours for row in logged)

    def _write(self, batch: int, known: Sequence[Outcome], also: Callable[[], None], *, is_repeated: bool) -> None:
        with self._store.connection.transaction():
            rows = [_row_of(outcome) for outcome in known]
            rows_now = self._read_versions([row_id for row in rows for row_id in (row.id, *row.supersedes)])
            changes = _Changes()
            for outcome, row in zip(known, rows, strict=True):
                # A row may have been taken out of the table meanwhile; what was sent of it is recorded all the same.
                now = rows_now.get(row.id, _GONE)
                self._collect(changes, outcome, now if now.person_id == row.person_id else _GONE)
                self._collect_superseded(changes, row, rows_now)
            if is_repeated:
                self._leave_recorded(changes)
            self._apply(batch, changes)
            also()
            self._check_written(changes)

    def close_superseded(self, people: Iterable[tuple[str, RowsOfPerson]]) -> int:
        """Close the older rows of people whose newest row was accepted by an earlier run, and return their number.

        Errors: DatabaseError.
        """
        if self._to.testing:
            return 0
        count = 0
        for person, rows in people:
            changes = _Changes()
            with self._store.connection.transaction():
                now = self._read_versions([rows.newest, *rows.open_ids])
                newest = now.get(rows.newest, _GONE)
                if (newest.person_id, newest.submission_status) == (person, "sent"):
                    _close(changes, person, rows.newest, rows.open_ids, now)
                self._apply_rows(changes)
                self._check_written(changes)
            count += len(changes.written)
        return count

    def _collect_superseded(self, changes: _Changes, row: StagedRow, rows_now: Mapping[int, _RowNow]) -> None:
        if row.supersedes and changes.written.get(row.id, ("", ""))[0] == "sent":
            _close(changes, row.person_id, row.id, row.supersedes, rows_now)

    def _leave_recorded(self, changes: _Changes) -> None:
        """Replace what is recorded by what was sent, but not by what was only adopted: that is never newer."""
        recorded = self._baselines.read(list(changes.adopted))
        for child in changes.adopted:
            if child in recorded and recorded[child].held is not None:
                del changes.held[child]
        changes.replaced.update(changes.held)

    def _read_versions(self, ids: Sequence[int]) -> dict[int, _RowNow]:
        pieces = self._store.connection.page(0)
        lock = {"lock_rows": pieces["lock_rows"], "locked": pieces["locked"]}
        found = {
            int(row[0]): _RowNow(
                person_id="" if row[1] is None or row[1] is UNREADABLE else str(row[1]),
                row_state=word(row[2]),
                submission_status=word(row[3]),
                version=_version_of(row[4], row[5]),
            )
            for row in self._store.rows_by_id("read_versions", ids, _VERSION, **lock)
        }
        # A policy on updates hides rows from a statement that locks them, and they look as if they had been removed.
        missing = [row_id for row_id in ids if row_id not in found]
        if hidden := len(list(self._store.rows_by_id("read_written", missing, ("id",)))):
            self._refuse_unkept(hidden, len(ids))
        return found

    def _refuse_unkept(self, lost: int, count: int) -> None:
        raise DatabaseError(
            f"The database did not keep the answers of {lost} of {count} rows of {self._store.tables.staging} and "
            "reported no error (row-level security, a trigger or a view); ask the database administrator to let this "
            "login update all rows."
        )

    def _collect(self, changes: _Changes, outcome: Outcome, now: _RowNow) -> None:
        if self._to.testing:
            self._collect_testing(changes, outcome)
            return
        match outcome:
            case Accepted():
                self._collect_accepted(changes, outcome, now)
            case UpToDate():
                self._collect_already_held(changes, outcome, now)
            case Invalid(row=row, reason=reason):
                if now.is_still(row):
                    changes.add_together("mark_failed", row.id, reason.text)
            case Rejected(record=record, reason=reason) | DeliveryFailed(record=record, reason=reason):
                if now.is_still(record.row):
                    changes.add_together("mark_failed", record.row.id, reason.text)
                self._collect_in_doubt(changes, record, may_have_arrived=outcome.may_have_arrived)
        self._collect_log(changes, outcome)

    def _collect_testing(self, changes: _Changes, outcome: Outcome) -> None:
        row = _row_of(outcome)
        if not may_be_due(row):
            # A rehearsal of a resync takes rows that are sent, and must leave them so.
            return
        before = last_receipt(row.api_response)
        match outcome:
            case Accepted(record=record, receipt=simulated):
                if record.is_last:
                    text = rehearsed(f"TESTING: simulated receipt {simulated.id}", before)
                    changes.add_together("mark_testing", row.id, text, utc_now())
            case UpToDate():
                text = rehearsed("TESTING: nothing would be sent, the receiver holds this payload", before)
                changes.add_together("mark_testing", row.id, text, utc_now())
            case Invalid(reason=reason):
                changes.add_together("mark_failed", row.id, rehearsed(reason.text, before))
            case Rejected(reason=reason) | DeliveryFailed(reason=reason):
                changes.add_together("mark_failed", row.id, rehearsed(f"TESTING: {reason.text}", before))

    def _collect_accepted(self, changes: _Changes, outcome: Accepted, now: _RowNow) -> None:
        record, receipt = outcome.record, outcome.receipt
        row = record.row
        if now is _GONE:
            pass
        elif not record.is_last:
            if now.submission_status not in DUE_STATUSES and now.row_state != "deleted":
                changes.add("mark_pending", row.id)
        elif not now.is_still(row):
            if record.kind is RecordKind.DELETION:
                changes.add("keep_changed", None, None, row.id)
            else:
                changes.add("keep_changed", row.json_payload, row.current_hash, row.id)
        elif record.kind is RecordKind.DELETION:
            changes.add("mark_deletion_sent", receipt.id, receipt.received_at, row.id)
            changes.written[row.id] = ("sent", receipt.id)
        elif record.kind is RecordKind.DELTA and record.body:
            delta = record.body.decode()
            changes.add_together("mark_delta_sent", row.id, receipt.id, receipt.received_at, delta)
        else:
            changes.add_together("mark_sent", row.id, receipt.id, receipt.received_at)
        held = record.held_after
        if record.was_held or held is None:
            changes.replaced.add(record.la_child_id)
        if held is not None:
            digest = record.known_held_hash or sha256_hex(held)
            self._collect_held(changes, record.la_child_id, held, digest, receipt.id, receipt.received_at)
        if record.stays_in_doubt:
            changes.uncertain.append(record.la_child_id)
        else:
            changes.confirmed.append(record.la_child_id)

    def _collect_already_held(self, changes: _Changes, outcome: UpToDate, now: _RowNow) -> None:
        row = outcome.row
        if now.is_still(row):
            changes.add_together("mark_already_held", row.id, up_to_date(outcome.receipt))
        if not outcome.is_recorded:
            digest = sha256_hex(outcome.held)
            self._collect_held(changes, outcome.la_child_id, outcome.held, digest, outcome.receipt, None)
            changes.adopted.add(outcome.la_child_id)
        changes.confirmed.append(outcome.la_child_id)

    def _collect_held(
        self,
        changes: _Changes,
        child: str,
        held: str,
        digest: str,
        receipt: str | None,
        accepted_at: datetime | None,
    ) -> None:
        changes.held[child] = (child, held, digest, receipt, accepted_at or utc_now())

    def _collect_in_doubt(self, changes: _Changes, record: Record, *, may_have_arrived: bool) -> None:
        if may_have_arrived:
            held = record.held_after if record.held_after is not None else NOTHING_HELD
            changes.may_hold.append((held, self._to.receiver, record.la_child_id))
        elif not record.was_in_doubt:
            changes.confirmed.append(record.la_child_id)

    def _collect_log(self, changes: _Changes, outcome: Outcome) -> None:
        code: int | None
        match outcome:
            case Accepted(record=record):
                word_, code, answer = "accepted", outcome.http_code, outcome.receipt.id
            case Rejected(record=record, reason=reason) | DeliveryFailed(record=record, reason=reason):
                word_, code = "undelivered", reason.code
                if isinstance(outcome, Rejected):
                    word_ = "unknown" if outcome.is_unknown else "refused"
                answer = self._mask(reason.text, record.row.json_payload)
            case _:
                return
        line = (record.row.id, record.row.person_id, record.la_child_id, record.sent_hash, answer)
        changes.log.setdefault((record.kind.value, code, word_), []).append(line)

    def _apply(self, batch: int, changes: _Changes) -> None:
        store = self._store
        self._apply_rows(changes)
        if not self._to.control_tables:
            return
        self._baselines.remove(sorted(changes.replaced))
        self._baselines.insert(self._stored_baselines(changes))
        self._insert_log(batch, changes)
        self._baselines.clear_in_doubt(changes.confirmed)
        uncertain = [(child, "") for child in changes.uncertain]
        self._baselines.mark_in_doubt(self._to.run_id, uncertain, changes.uncertain)
        if changes.may_hold:
            store.connection.execute_many(store.sql("note_may_hold"), self._stored(changes.may_hold))

    def _insert_log(self, batch: int, changes: _Changes) -> None:
        shared = (self._to.run_id, batch, self._to.table, utc_now())
        for alike, lines in changes.log.items():
            self._store.write_rows("insert_log", (int, str, str, str, str), self._stored(lines), (*shared, *alike))

    def _apply_rows(self, changes: _Changes) -> None:
        for statement, rows in changes.rows.items():
            self._store.connection.execute_many(self._store.sql(statement), self._stored(rows))
        for statement, rows in changes.together.items():
            self._store.update_rows(statement, _TOGETHER[statement], self._stored(rows))

    def _stored(self, rows: Collection[tuple[object, ...]]) -> list[tuple[object, ...]]:
        now, as_stored = utc_now(), self._as_stored
        if as_stored is storable and are_storable(rows):
            return list(rows)
        return [tuple([as_stored(value, now) for value in row]) for row in rows]

    def _stored_baselines(self, changes: _Changes) -> list[tuple[object, ...]]:
        """Return what is held, each with the hash of the text as it is stored."""
        rows = []
        for row, meant in zip(self._stored(changes.held.values()), changes.held.values(), strict=True):
            child, text, digest, *others = row
            rows.append((child, text, digest if text == meant[1] else sha256_hex(str(text)), *others))
        return rows

    def _check_written(self, changes: _Changes) -> None:
        """Check, as the last statement before the commit, that the rows say what was written to them.

        So the transaction is known to be alive as well: had it ended earlier, its changes would be gone.
        """
        ids = list(changes.written)
        found = {int(row[0]): row for row in self._store.rows_by_id("read_written", ids, _WRITTEN)}
        lost = sum(not _says(found.get(row_id), *expected) for row_id, expected in changes.written.items())
        if lost:
            self._refuse_unkept(lost, len(ids))


def _close(changes: _Changes, person: str, newest: int, ids: Sequence[int], rows_now: Mapping[int, _RowNow]) -> None:
    """Close those of a person's older rows that are still open and still this person's."""
    for row_id in ids:
        now = rows_now.get(row_id, _GONE)
        if now.person_id == person and now.submission_status in DUE_STATUSES:
            changes.add_together("mark_superseded", row_id, superseded(newest))


def _version_of(current_hash: object, payload: object) -> object:
    if UNREADABLE in (current_hash, payload):
        return UNREADABLE
    return as_version(current_hash) if current_hash is not None else payload


def _says(row: Sequence[object] | None, status: str, answer_: str) -> bool:
    """Return whether a row has this status and, where it is a receipt, this answer; other texts may be stored as near
    as can be."""
    if row is None or word(row[1]) != status:
        return False
    is_receipt = status == "sent" and _RECEIPT.fullmatch(answer_) is not None
    return not is_receipt or str(row[2]).strip().lower()[:_RECEIPT_LENGTH] == answer_.lower()


def _row_of(outcome: Outcome) -> StagedRow:
    match outcome:
        case Invalid(row=row) | UpToDate(row=row):
            return row
        case Accepted(record=record) | Rejected(record=record) | DeliveryFailed(record=record):
            return record.row
