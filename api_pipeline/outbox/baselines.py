"""What is recorded beside the staging table: what a receiver holds of children, records in doubt, submission log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import TypeAlias

from api_pipeline.common.clock import utc_now
from api_pipeline.db import Parameters, UnstorableText
from api_pipeline.logs.masking import Mask
from api_pipeline.model import (
    NOTHING_HELD,
    Accepted,
    Baseline,
    DeliveryFailed,
    InDoubt,
    Invalid,
    Outcome,
    Record,
    Rejected,
    UpToDate,
)
from api_pipeline.outbox.statements import Statements
from api_pipeline.payloads.reading import sha256_hex
from api_pipeline.sql.identifiers import Dialect

OVERTAKEN = "sent without all control tables"
"""Stands in place of the receipt of a baseline that a run without all control tables has overtaken (`overtaken`)."""
# The types of the values in a line of the submission log, in the order of `ControlTables.log`.
LOG_LINE: tuple[type, ...] = (int, str, str, str, str)
Stored: TypeAlias = "Callable[[Collection[tuple[object, ...]]], list[tuple[object, ...]]]"
# Of a child whose baseline cannot be read or is no longer true: the receiver may hold anything.
_ANYTHING = Baseline(in_doubt=InDoubt(None, sent_of=""))


class Baselines:
    """The recorded baselines of one receiver, by child (`la_child_id`)."""

    def __init__(self, store: Statements, receiver: str) -> None:
        self._store = store
        self._receiver = receiver
        self._copies: bool | None = None

    def read(self, children: Collection[str]) -> dict[str, Baseline]:
        """Return the recorded baselines of these children, by child; a child without a record is left out.

        A child of whom nothing can be recorded gets a baseline that says so. If the driver cannot decode a text, the
        receiver may hold anything.
        """
        found: dict[str, Baseline] = {}
        in_doubt: dict[str, InDoubt] = {}
        asked = sorted(set(children))
        rows, left_out = self._store.readable_by_values("read_held", asked, [self._receiver], times=2)
        for child, is_in_doubt, text, mark in rows:
            # SQLite's driver for ODBC gives it as a text where a kept statement found nothing before.
            if int(is_in_doubt):
                in_doubt[str(child)] = InDoubt(text, sent_of=str(mark or "").strip())
            else:
                found[str(child)] = _ANYTHING if text is None or mark == OVERTAKEN else Baseline(text, receipt=mark)
        for child, state in in_doubt.items():
            baseline = found.get(child, Baseline())
            if baseline.in_doubt is None:
                found[child] = baseline._replace(in_doubt=state)
        for child, error in left_out:
            found[child] = Baseline(is_unstorable=True) if isinstance(error, UnstorableText) else _ANYTHING
        return found

    def runs_in_doubt(self, children: Sequence[str]) -> dict[str, str]:
        """Return, by child, the run that last marked a record of the child as in doubt."""
        rows = self._store.by_values("read_runs_of_notes", children, [self._receiver])
        return {str(row[0]): str(row[1]).strip() for row in rows}

    def mark_in_doubt(self, run_id: str, records: Sequence[tuple[str, str]], replaced: Sequence[str]) -> None:
        """Write (`la_child_id`, hash of the payload) of records about to be sent, before their POST begins.

        `replaced` are the children who are in doubt already. Errors: KeyTaken where there are others.
        """
        if replaced:
            self.clear_in_doubt(replaced)
        self._store.write_rows("insert_unconfirmed", (str, str), records, (self._receiver, run_id, utc_now()))

    def clear_in_doubt(self, children: Sequence[str]) -> None:
        """Remove these children's records in doubt: the answer is known, or nothing was sent."""
        self._store.change_by_values("forget_unconfirmed", children, [self._receiver])

    def remove(self, children: Sequence[str]) -> None:
        """Remove what the receiver is recorded to hold of these children."""
        self._store.change_by_values("remove_held", children, [self._receiver])

    def insert(self, rows: Sequence[Parameters]) -> None:
        """Record what the receiver holds: child, text, its hash, receipt, and when it was accepted, if known."""
        self._store.write_rows("insert_held", (str, str, str, str, datetime), rows, (self._receiver,))

    def receipts(self, children: Sequence[str]) -> dict[str, str | None]:
        """Return the receipts of the recorded baselines of these children, by child."""
        return {str(row[0]): row[1] for row in self._store.by_values("read_held_receipts", children, [self._receiver])}

    def replace_receipts(self, children: Sequence[str], receipt: str | None) -> None:
        """Put a receipt in place of those of these children's baselines."""
        self._store.change_by_values("replace_held_receipts", children, [receipt, self._receiver])

    def copy(self, rows: Sequence[Parameters]) -> set[str]:
        """Copy baselines from rows of the staging table that still have them; return the children for whom it worked.

        The database copies the payload itself. `rows` are the id of a row, the child, the SHA-256 of what was sent, the
        receipt, and when it was accepted. A payload that somebody edited meanwhile has another SHA-256, whatever the
        row's own hash says. Other databases than PostgreSQL copy nothing.
        """
        if self._copies is None:
            is_postgresql = self._store.connection.dialect is Dialect.POSTGRESQL
            self._copies = is_postgresql and self._store.number("has_sha256_postgresql") > 0
        if not self._copies:
            return set()
        types = (int, str, str, str, datetime)
        count = self._store.write_rows("copy_held_postgresql", types, rows, (self._receiver,))
        children = [str(row[1]) for row in rows]
        if count == len(children):
            return set(children)
        copied = set(self.receipts(children))
        # A driver may read texts otherwise than they are stored, line ends for example.
        self._copies = bool(copied)
        return copied


class ControlTables:
    """What a run records of its records where the control tables are: in doubt, then baseline and log.

    Each method works in the caller's transaction. `mask` takes values out of an answer before it is logged; `stored`
    makes rows of values such as this database can hold.
    """

    def __init__(self, store: Statements, receiver: str, run_id: str, table: str, mask: Mask) -> None:
        self._store = store
        self._baselines = Baselines(store, receiver)
        self._receiver = receiver
        self._run_id = run_id
        self._table = table
        self._mask = mask

    def mark(self, records: Sequence[Record], *, is_again: bool = False) -> None:
        """Mark the children of records as in doubt before their POST begins, so that a kill leaves them so.

        Errors: KeyTaken where others are marked than the records say: by an earlier try of this, or for another shard's
        row, whose payload is sure of no base then. That is looked up where `is_again`.
        """
        known = [record.la_child_id for record in records if is_again or record.was_in_doubt]
        runs = self._baselines.runs_in_doubt(known) if is_again else {}
        others = {child for child, run_id in runs.items() if run_id != self._run_id}
        intents = [(one.la_child_id, "" if one.la_child_id in others else one.intent_hash) for one in records]
        self._baselines.mark_in_doubt(self._run_id, intents, known)

    def unmark(self, records: Iterable[Record]) -> None:
        """Remove the marks of records that did not arrive. A child who was in doubt before them stays so."""
        self._baselines.clear_in_doubt(_marked_by(records))

    def record(self, batch: int, outcomes: Sequence[Outcome], stored: Stored) -> None:
        """Record what the receiver holds after these outcomes, log them, and remove the marks of children not in doubt.

        The effect of an earlier record may stay unknown all the same: then the child is marked again, without a base.
        """
        accepted: list[Accepted] = []
        known: list[str] = []
        unsent: list[Record] = []
        may_hold: list[tuple[object, ...]] = []
        for outcome in outcomes:
            match outcome:
                case Accepted(record=record):
                    accepted.append(outcome)
                    known.append(record.la_child_id)
                case UpToDate(la_child_id=child):
                    known.append(child)
                case Rejected(record=record) | DeliveryFailed(record=record):
                    if outcome.may_have_arrived:
                        held = record.held_after if record.held_after is not None else NOTHING_HELD
                        may_hold.append((held, self._receiver, record.la_child_id))
                    else:
                        unsent.append(record)
        if accepted:
            self._replace_baselines(accepted, stored)
        self.log(batch, outcomes, stored)
        if known := [*known, *_marked_by(unsent)]:
            self._baselines.clear_in_doubt(known)
        if uncertain := [(one.record.la_child_id, "") for one in accepted if one.record.stays_in_doubt]:
            self._baselines.mark_in_doubt(self._run_id, uncertain, [])
        if may_hold:
            self._store.connection.execute_many(self._store.sql("record_may_hold"), stored(may_hold))

    def log(self, batch: int, outcomes: Iterable[Outcome], stored: Stored) -> None:
        """Add a line to the submission log for the outcome of each record that was sent."""
        lines: dict[tuple[object, ...], list[tuple[object, ...]]] = {}
        for outcome in outcomes:
            code: int | None
            match outcome:
                case Accepted(record=record, http_code=code):
                    result, answer = "accepted", outcome.receipt.id
                case Rejected(record=record, reason=reason) | DeliveryFailed(record=record, reason=reason):
                    result, code = "undelivered", reason.code
                    if isinstance(outcome, Rejected):
                        result = "unknown" if outcome.is_unknown else "refused"
                    answer = self._mask(reason.text, record.row.json_payload)
                case _:
                    continue
            line = (record.row.id, record.row.person_id, record.la_child_id, record.sent_hash, answer)
            lines.setdefault((record.kind.value, code, result), []).append(line)
        shared = (self._run_id, batch, self._table, utc_now())
        for alike, found in lines.items():
            self._store.write_rows("insert_log", LOG_LINE, stored(found), (*shared, *alike))

    def is_logged(self, batch: int, outcomes: Iterable[Outcome]) -> bool:
        """Return whether an earlier try, whose commit got no answer, is in the log, and so in the database."""
        sent = [one.record for one in outcomes if not isinstance(one, (Invalid, UpToDate))]
        ours = {(record.row.id, record.sent_hash) for record in sent}
        logged = self._store.query("read_logged", [self._run_id, batch])
        return any((int(row[0]), str(row[1]).strip()) in ours for row in logged)

    def _replace_baselines(self, accepted: Sequence[Accepted], stored: Stored) -> None:
        """Record what is held: copied from a row that still has it, else each with the hash of the text as stored."""
        self._baselines.remove([one.record.la_child_id for one in accepted])
        held: list[tuple[str, str, str, str, datetime]] = []
        copies: list[tuple[object, ...]] = []
        for one in accepted:
            record, receipt, text = one.record, one.receipt, one.record.held_after
            if text is None:
                continue
            rest = (record.known_held_hash or sha256_hex(text), receipt.id, receipt.received_at or utc_now())
            held.append((record.la_child_id, text, *rest))
            if text == record.row.json_payload:
                copies.append((record.row.id, record.la_child_id, *rest))
        copied = self._baselines.copy(stored(copies)) if copies else set()
        meant = [row for row in held if row[0] not in copied]
        rows = []
        for (child, as_stored, given, *others), row in zip(stored(meant), meant, strict=True):
            rows.append((child, as_stored, given if as_stored == row[1] else sha256_hex(str(as_stored)), *others))
        self._baselines.insert(rows)


def _marked_by(records: Iterable[Record]) -> list[str]:
    """Return the children who are in doubt because of these records alone."""
    return [record.la_child_id for record in records if not record.was_in_doubt]
