"""Write-back that outlives the database: tried again on a new connection, and in the last resort spooled to a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from api_pipeline.errors import DatabaseError
from api_pipeline.model import Baseline, Outcome, Record, StagedRow
from api_pipeline.outbox.db_retry import RetryBudget, with_retry
from api_pipeline.outbox.receipt_spool import ReceiptSpool, SpooledReceipt, by_row, recovered
from api_pipeline.outbox.staging_table import DUE_STATUSES, StagingTable
from api_pipeline.outbox.write_back import Destination, WriteBack
from api_pipeline.payload import (
    NothingToSend,
    Payload,
    PayloadError,
    Policy,
    held_text,
    next_record,
    parse_payload,
)
from api_pipeline.run_summary import RunSummary

_LOG = logging.getLogger(__name__)


class ReliableWriteBack:
    """Write outcomes so that no receipt is lost.

    `policy` is what records are planned by; `retake_lock` takes the run lock on a new connection.
    """

    def __init__(
        self,
        store: StagingTable,
        destination: Destination,
        spool: ReceiptSpool,
        *,
        policy: Policy,
        retry_budget: RetryBudget,
        mask: Callable[[str], str],
        retake_lock: Callable[[], None],
        summary: RunSummary,
    ) -> None:
        self._store = store
        self._to = destination
        self._spool = spool
        self._policy = policy
        self._patience = retry_budget
        self._mask = mask
        self._write_back = WriteBack(store, destination, mask)
        self._retake_lock = retake_lock
        self._summary = summary
        self._has_failed = False

    def write(self, batch: int, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes of one POST. Errors: DatabaseError, after their receipts have been spooled."""
        if self._has_failed:
            self._save(batch, outcomes)
            return
        try:
            with_retry(
                self._store.connection,
                lambda: self._write_back.write(batch, outcomes),
                self._patience,
                self._retake_lock,
            )
        except DatabaseError as error:
            raise type(error)(f"{error}{self._kept(batch, outcomes)}") from None
        except Exception as error:
            # Whatever it is, no receipt may be lost by it, of this batch or of those in flight.
            _LOG.debug("writing back failed", exc_info=True)
            raise DatabaseError(
                f"The answers of a batch could not be written back: program error ({type(error).__name__}); "
                f"report it.{self._kept(batch, outcomes)}"
            ) from None

    def _kept(self, batch: int, outcomes: Sequence[Outcome]) -> str:
        """Keep receipts in the file, as those of all later batches will be; return the sentence that says so."""
        self._has_failed = True
        saved = self._save(batch, outcomes)
        return f" Receipts not written are kept in {self._spool.path}; the next run writes them." if saved else ""

    def recover(self) -> None:
        """Write the receipts that an earlier run had to spool, before anything else is sent. Errors: DatabaseError.

        Receipts of another receiver stay in the file for the next run towards that one.
        """
        saved = [] if self._to.testing else self._spool.read()
        if not saved:
            return
        mine = [receipt for receipt in saved if receipt.receiver == self._to.receiver]
        written = with_retry(
            self._store.connection, lambda: self._write_saved(by_row(mine)), self._patience, self._retake_lock
        )
        try:
            self._spool.keep([receipt for receipt in saved if receipt.receiver != self._to.receiver])
        except OSError as error:
            _LOG.warning("%s could not be removed (%s); it does no harm", self._spool.path, type(error).__name__)
        self._summary.receipts_recovered = written
        if mine:
            _LOG.info("wrote back %d receipts that an earlier run had saved in %s", written, self._spool.path)

    def _write_saved(self, receipts: dict[int, SpooledReceipt]) -> int:
        """Write saved receipts under the run and the batch they belong to and return their number."""
        rows = {row.id: row for row in self._store.read_rows(list(receipts))}
        runs = self._runs_in_doubt(list(receipts.values()))
        baselines = self._baselines(list(receipts.values()))
        batches: dict[tuple[str, int], list[Outcome]] = {}
        for row_id, receipt in receipts.items():
            row = rows.get(row_id)
            if row is None or not _is_newest(receipt, row, runs):
                continue
            baseline = baselines.get(receipt.la_child_id, Baseline())
            accepted = recovered(receipt, row, _held_after(row, baseline, self._policy))
            if accepted is not None:
                batches.setdefault((receipt.run_id, receipt.batch), []).append(accepted)
        for (run_id, batch), outcomes in batches.items():
            WriteBack(self._store, replace(self._to, run_id=run_id), self._mask).write(batch, outcomes)
        return sum(map(len, batches.values()))

    def _runs_in_doubt(self, receipts: Sequence[SpooledReceipt]) -> dict[str, str] | None:
        if not self._to.control_tables:
            return None
        return self._store.runs_in_doubt(self._to.receiver, [receipt.la_child_id for receipt in receipts])

    def _baselines(self, receipts: Sequence[SpooledReceipt]) -> dict[str, Baseline]:
        if not self._to.control_tables:
            return {}
        return self._store.baselines(self._to.receiver, [receipt.la_child_id for receipt in receipts])

    def forget(self, records: Sequence[Record]) -> None:
        """Remove what was stored of records before their POST, where they were never sent; what stays does no harm."""
        children = [record.la_child_id for record in records if not record.was_in_doubt]
        if not self._to.control_tables or self._to.testing or not children or self._has_failed:
            return
        try:
            self._store.clear_in_doubt(self._to.receiver, children)
        except DatabaseError as error:
            _LOG.debug("records in doubt that were not sent stay behind: %s", error)

    def _save(self, batch: int, outcomes: Sequence[Outcome]) -> int:
        if self._to.testing:
            return 0
        saved = self._spool.add(self._to.run_id, self._to.receiver, batch, outcomes)
        self._summary.receipts_spooled += saved
        return saved


def _is_newest(receipt: SpooledReceipt, row: StagedRow, runs: dict[str, str] | None) -> bool:
    """Return whether nothing was sent of the child since: its record in doubt or its status says so."""
    if runs is None:
        return row.is_deleted or row.submission_status in DUE_STATUSES
    return runs.get(receipt.la_child_id) == receipt.run_id


def _held_after(row: StagedRow, baseline: Baseline, policy: Policy) -> str | None:
    """Return what the receiver holds after the record that was planned of this row, upon this baseline."""
    try:
        payload: Payload = parse_payload(row.json_payload)
    except PayloadError:
        return None
    record = next_record(row, payload, baseline, policy)
    # A record that followed a purge was planned upon what was left then: the payload alone is held after it.
    if isinstance(record, NothingToSend) or not record.is_last:
        return held_text(payload)
    return record.held_after
