"""Write back the receipts that an earlier run had to keep in a file, before anything else is sent (contract 3)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from api_pipeline.db import Retrying
from api_pipeline.errors import reason_of
from api_pipeline.logs.masking import Mask
from api_pipeline.model import Accepted, Baseline, Outcome, Receipt, Record, RecordKind, StagedRow, UpToDate
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.receipt_spool import ReceiptSpool, SpooledReceipt
from api_pipeline.outbox.staged_rows import DUE_STATUSES
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.write_back import Destination, WriteBack
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import payload_of, sha256_hex
from api_pipeline.run_summary import counted

_LOG = logging.getLogger(__name__)
_PURGING = Policy(deltas=False)
_AS_STAGED = Policy(deltas=False, purge_vanished=False)


class Recovery:
    """Write the receipts in a spool back."""

    def __init__(
        self, store: StagingTable, destination: Destination, spool: ReceiptSpool, db: Retrying, mask: Mask
    ) -> None:
        self._store = store
        self._to = destination
        self._spool = spool
        self._db = db
        self._mask = mask

    def run(self) -> int:
        """Write the receipts that an earlier run saved, and return their number. Errors: DatabaseError.

        Receipts of another receiver stay in the file for the next run towards that one.
        """
        saved = [] if self._to.testing else self._spool.read()
        if not saved:
            return 0
        mine = [receipt for receipt in saved if receipt.receiver == self._to.receiver]
        written, refused = self._write(self._of_known_runs(mine))
        if refused:
            _LOG.warning(
                "the database refuses %s that an earlier run had saved; the file %s keeps what it refuses, and each "
                "row is sent again while it is due",
                counted(len(refused), "{receipt|receipts}"),
                self._spool.path,
            )
        try:
            self._spool.keep([one for one in saved if one.receiver != self._to.receiver or one in refused])
        except OSError as error:
            _LOG.warning("%s could not be removed (%s); it does no harm", self._spool.path, reason_of(error))
        if mine:
            receipts = counted(written, "{receipt|receipts}")
            _LOG.info("wrote back %s that an earlier run had saved in %s", receipts, self._spool.path)
        return written

    def _write(self, receipts: Sequence[SpooledReceipt]) -> tuple[int, set[SpooledReceipt]]:
        """Write saved receipts under the run and the batch they belong to.

        Return the number of those written, and the receipts that the database refuses.
        """
        last = last_of_each(receipts)
        newest = frozenset(last)
        batches, logged = self._db.run(partial(self._accepted_of, last))
        # A row whose receipts the database refuses is sent every night, and has one of each.
        earlier = [one for one in receipts if one not in newest]
        refused = self._log([(one, _accepted(record_of(one, None), one)) for one in earlier])
        rows = {receipt.row_id for receipt in self._log(logged)}
        for (run_id, batch), outcomes in batches.items():
            unwritten, _ = self._write_back(run_id).write_what_can_be(self._db, batch, outcomes)
            rows.update(outcome.row.id for outcome in unwritten)
        refused.update(one for one in last if one.row_id in rows)
        written = [one for outcomes in batches.values() for one in outcomes if one.row.id not in rows]
        purges = [one for one, _ in logged if one.kind == RecordKind.PURGE and one.row_id not in rows]
        return len(written) + len(purges), refused

    def _log(self, logged: Sequence[tuple[SpooledReceipt, Accepted]]) -> set[SpooledReceipt]:
        """Add acceptances to the submission log, and return the receipts of those that the database refuses."""
        refused = set()
        for receipt, accepted in logged:
            log = partial(self._write_back(receipt.run_id).log, receipt.batch, [accepted])
            if self._db.attempt("a receipt for the submission log", log):
                refused.add(receipt)
        return refused

    def _write_back(self, run_id: str) -> WriteBack:
        return WriteBack(self._store, self._to._replace(run_id=run_id), self._mask)

    def _accepted_of(
        self, receipts: Sequence[SpooledReceipt]
    ) -> tuple[dict[tuple[str, int], list[Outcome]], list[tuple[SpooledReceipt, Accepted]]]:
        """Return, by run and batch, outcomes of saved receipts whose rows stand as they did; then what is only logged.

        A purge is only logged: what followed it may have arrived, so its child stays in doubt. So is a record whose row
        has changed or is gone. A record after which another of its child was sent says no longer what the receiver
        holds; it is only logged as well. `receipts` are the last of each row.
        """
        rows = {(row.id, row.person_id): row for row in self._store.read_rows(sorted({one.row_id for one in receipts}))}
        children = [one.la_child_id for one in receipts] if self._to.control_tables else []
        recorded = Baselines(self._store, self._to.receiver)
        baselines, runs = recorded.read(children), recorded.runs_in_doubt(children)
        purged = {(one.run_id, one.row_id) for one in receipts if one.kind == RecordKind.PURGE}
        batches: dict[tuple[str, int], list[Outcome]] = {}
        logged: list[tuple[SpooledReceipt, Accepted]] = []
        replaced: set[str] = set()
        for receipt in reversed(receipts):
            child = receipt.la_child_id
            record: Record | None = None
            # A table that was emptied and filled again may have another person under this id.
            row = rows.get((receipt.row_id, receipt.person_id))
            if receipt.kind == RecordKind.PURGE:
                logged.insert(0, (receipt, _accepted(record_of(receipt, row), receipt)))
                continue
            if row is not None and self._is_newest(receipt, row, runs):
                was_purged = (receipt.run_id, receipt.row_id) in purged
                record = self._sent(receipt, row, baselines.get(child, Baseline()), was_purged=was_purged)
            if record is not None and child not in replaced:
                batches.setdefault((receipt.run_id, receipt.batch), []).insert(0, _accepted(record, receipt))
            else:
                replaced.add(child)
                logged.insert(0, (receipt, _accepted(record_of(receipt, row), receipt)))
        return dict(reversed(batches.items())), logged

    def _sent(self, receipt: SpooledReceipt, row: StagedRow, baseline: Baseline, *, was_purged: bool) -> Record | None:
        """Return the record of a saved receipt, None where its row has changed since."""
        if sha256_hex(row.json_payload) != receipt.payload_hash:
            return None
        if (receipt.kind == RecordKind.DELETION) != row.is_deleted:
            return None
        return with_held(record_of(receipt, row), baseline, was_purged=was_purged)

    def _is_newest(self, receipt: SpooledReceipt, row: StagedRow, runs: dict[str, str]) -> bool:
        """Return whether nothing was sent of the child since: its record in doubt or its status says so."""
        if not self._to.control_tables:
            return row.is_deleted or row.submission_status in DUE_STATUSES
        return runs.get(receipt.la_child_id) == receipt.run_id

    def _of_known_runs(self, receipts: Sequence[SpooledReceipt]) -> list[SpooledReceipt]:
        """Return the receipts whose runs are in the database: anybody could have written the file.

        With the control tables no row changes unless a record in doubt shows it later; without them the journal does.
        """
        if self._to.control_tables:
            return list(receipts)
        known = {run_id for run_id in {receipt.run_id for receipt in receipts} if self._store.knows_run(run_id)}
        believed = [receipt for receipt in receipts if receipt.run_id in known]
        if len(believed) < len(receipts):
            _LOG.warning(
                "the program does not use %s of a run that is not in the journal, in %s; each row is sent again",
                counted(len(receipts) - len(believed), "{receipt|receipts}"),
                self._spool.path,
            )
        return believed


def last_of_each(receipts: Iterable[SpooledReceipt]) -> list[SpooledReceipt]:
    """Return the last saved receipt of each row, and the last of its purges, in the order of the file."""
    kept: dict[tuple[int, bool], SpooledReceipt] = {}
    for receipt in receipts:
        key = (receipt.row_id, receipt.kind == RecordKind.PURGE)
        kept.pop(key, None)
        kept[key] = receipt
    return list(kept.values())


def record_of(receipt: SpooledReceipt, row: StagedRow | None) -> Record:
    """Return what a saved receipt alone says of the record that was sent of a row, which may be gone (None)."""
    row = row or StagedRow(receipt.row_id, receipt.person_id, False, "", "", None, False)
    return Record(row, receipt.la_child_id, RecordKind(receipt.kind), b"", receipt.sent_hash, None)


def with_held(record: Record, baseline: Baseline, *, was_purged: bool) -> Record:
    """Return a record that was sent of its row upon this baseline, with what the receiver holds after it.

    `was_purged` says that a purge of the same row came first. A run with PURGE_VANISHED=false, or without all control
    tables, sent the payload as it is staged, and what vanished from it is held still.
    """
    if record.kind is RecordKind.DELETION:
        return record
    planned = _planned(record.row, baseline, _PURGING)
    if record.kind is RecordKind.FULL and isinstance(planned, Record) and not was_purged:
        staged = _planned(record.row, baseline, _AS_STAGED)
        if isinstance(staged, Record) and planned.sent_hash != record.sent_hash == staged.sent_hash:
            return record._replace(held_after=staged.held_after, stays_in_doubt=staged.stays_in_doubt)
    if isinstance(planned, UpToDate):
        # All that is held and not in the payload is retained: a payload sent as it is staged changes nothing.
        return record._replace(held_after=baseline.held)
    while planned is not None and planned.then is not None:
        planned = planned.then
    return record if planned is None else record._replace(held_after=planned.held_after)


def _planned(row: StagedRow, baseline: Baseline, policy: Policy) -> Record | UpToDate | None:
    """Return what is planned of this row upon this baseline, None where its payload cannot be read."""
    payload = payload_of(row.json_payload)
    return None if payload is None else plan(row, payload, baseline, policy)


def _accepted(record: Record, receipt: SpooledReceipt) -> Accepted:
    at = datetime.fromisoformat(receipt.received_at) if receipt.received_at else None
    return Accepted(record, Receipt(receipt.receipt, at), receipt.http_code)
