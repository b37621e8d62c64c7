"""The baseline: what TEC holds, as hashes, with the words and the audit trail that belong to each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from api_pipeline.common.clock import utc_now
from api_pipeline.db import in_chunks, most_rows
from api_pipeline.sdr.nouns import Collection, Record
from api_pipeline.sdr.problem import masked
from api_pipeline.sdr.statements import Scope, Statements

Kind: TypeAlias = Literal["put", "delete"]
Fate: TypeAlias = Literal["accepted", "refused", "undelivered", "withheld"]


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of records of a collection; `reasons` say why, by localId, where there is something to say.

    TEC accepted or refused them, gave no outcome (undelivered), or they were never sent (withheld). `request` is the
    number of their request in the run.
    """

    request: int
    kind: Kind
    collection: Collection
    fate: Fate
    records: Sequence[Record]
    reasons: Mapping[str, str] = field(default_factory=dict)


class Baseline(Statements):
    """What one run writes before and after each request. `sent_word` is written to accepted rows: sent, testing.

    Each transaction is a round trip and a write to the disk. So an outcome is kept until the records of the next
    request are put in doubt, and is written with these; one that is lost on the way leaves its records in doubt.
    """

    def __init__(self, tables: Statements, scope: Scope, run_id: str, sent_word: str) -> None:
        super().__init__(tables.connection, tables.tables)
        self._scope = scope
        self._run_id = run_id
        self._sent_word = sent_word
        self._unwritten: list[BatchOutcome] = []

    def put_in_doubt(self, collection: Collection, records: Sequence[Record]) -> None:
        """Write down, before a request, that what TEC holds of these records is in doubt."""
        now = utc_now()
        held = [one.local_id for one in records if one.is_held]
        new = [(one.local_id,) for one in records if not one.is_held]
        key = (*self._scope.key, collection.value)
        with self.connection.transaction():
            self._write_outcomes(now)
            self.execute_by_keys("mark_in_doubt", [now, *key], held)
            self.execute_for_rows("insert_in_doubt", [*key, now], (str,), new)
        self._unwritten = []

    def keep(self, outcome: BatchOutcome) -> None:
        """Keep an outcome to be written with the next records that are put in doubt, or by `write`."""
        self._unwritten.append(outcome)

    def write(self) -> None:
        """Write down, after the answers, what TEC holds; mark the rows, and add to the audit trail."""
        if self._unwritten:
            with self.connection.transaction():
                self._write_outcomes(utc_now())
            self._unwritten = []

    def _write_outcomes(self, now: datetime) -> None:
        for outcome in self._unwritten:
            if outcome.fate == "accepted":
                self._write_held(outcome, now)
            if outcome.kind == "put" and outcome.fate != "undelivered":
                self._mark_rows(outcome, now)
            if outcome.fate != "withheld":
                self._log(outcome, now)

    def _write_held(self, outcome: BatchOutcome, now: datetime) -> None:
        key = (*self._scope.key, outcome.collection.value)
        self.execute_by_keys("forget_held", key, [one.local_id for one in outcome.records])
        if outcome.kind == "put":
            rows = [(one.local_id, one.digest) for one in outcome.records]
            self.execute_for_rows("insert_held", [*key, now], (str, bytes), rows)

    def _mark_rows(self, outcome: BatchOutcome, now: datetime) -> None:
        word = self._sent_word if outcome.fate == "accepted" else "error"
        by_reason: dict[str, list[Record]] = {}
        for one in outcome.records:
            by_reason.setdefault(outcome.reasons.get(one.local_id, ""), []).append(one)
        for reason, alike in by_reason.items():
            for part in in_chunks(alike, most_rows(2, beside=5)):
                ids, keys = [one.row_id for one in part], [one.local_id for one in part]
                values = [word, now, reason or None, self._scope.return_id, ids, outcome.collection.value, keys]
                self.execute("mark_staged", values)

    def _log(self, outcome: BatchOutcome, now: datetime) -> None:
        by_answer: dict[str, list[tuple[str, str | None]]] = {}
        for one in outcome.records:
            digest = one.digest.hex() if one.digest else None
            by_answer.setdefault(_logged_answer(outcome, one), []).append((one.local_id, digest))
        request = [self._run_id, outcome.request, self._scope.return_id, outcome.collection.value, outcome.kind]
        for answer, rows in by_answer.items():
            self.execute_for_rows("log_records", [*request, outcome.fate, answer or None, now], (str, str), rows)


def _logged_answer(outcome: BatchOutcome, record: Record) -> str:
    """Return a reason for the audit trail: TEC's words without personal data, our own as they are."""
    reason = outcome.reasons.get(record.local_id, "")
    if not reason or outcome.fate == "undelivered":
        return reason
    return masked(reason, record.body if outcome.kind == "put" else b"")
