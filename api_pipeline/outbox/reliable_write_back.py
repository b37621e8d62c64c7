"""Write-back that outlives the database: tried again on a new connection, and in the last resort spooled to a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from api_pipeline.circuit_breaker import CircuitBreaker
from api_pipeline.db import ConnectionLost, DatabaseBusy, KeyTaken
from api_pipeline.db_retry import RetryBudget, with_retry
from api_pipeline.errors import DatabaseError
from api_pipeline.logs.masking import Mask
from api_pipeline.model import Accepted, Baseline, NothingToSend, Outcome, Record, RecordKind, StagedRow, State
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.changes import Destination
from api_pipeline.outbox.receipt_spool import (
    ReceiptSpool,
    SpooledReceipt,
    last_of_each,
    logged_purge,
    recovered,
    recovered_purge,
)
from api_pipeline.outbox.staged_rows import DUE_STATUSES, may_be_due
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import RowsOfPerson
from api_pipeline.outbox.write_back import WriteBack
from api_pipeline.payload import Policy, plan
from api_pipeline.payloads.reading import Payload, PayloadError, held_text, parse_payload
from api_pipeline.run_lock import LockLost
from api_pipeline.run_summary import RunSummary

_LOG = logging.getLogger(__name__)
# The run ends with so many batches in a row of which not one answer could be written; one alone is passed over.
_MOST_FAILED_IN_A_ROW = 2


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
        mask: Mask,
        retake_lock: Callable[[], None],
        summary: RunSummary,
    ) -> None:
        self._store = store
        self._to = destination
        self._recorded = Baselines(store, destination.receiver)
        self._spool = spool
        self._policy = policy
        self._retry_budget = retry_budget
        self._mask = mask
        self._write_back = WriteBack(store, destination, mask)
        self._retake_lock = retake_lock
        self._summary = summary
        self._has_failed = False
        self._breaker = CircuitBreaker(_MOST_FAILED_IN_A_ROW)

    def write(
        self,
        batch: int,
        outcomes: Sequence[Outcome],
        about_to_send: Sequence[Record] = (),
        read_ahead: Callable[[], None] | None = None,
    ) -> Sequence[Outcome]:
        """Write the outcomes of one POST and return those that count: written, or with the receipt kept in the file.

        Records that are sent next are marked in doubt in the same transaction, and `read_ahead` reads in it. Errors:
        DatabaseError, after the receipts have been spooled, and with nothing marked.
        """
        if self._has_failed:
            self._save(batch, outcomes)
            return [] if self._to.testing else outcomes
        try:
            if (about_to_send or read_ahead) and self._is_done_at_once(batch, outcomes, about_to_send, read_ahead):
                self._breaker.count(failed=False)
                return outcomes
            unwritten, error = self._write_what_can_be(self._write_back, batch, outcomes)
        except DatabaseError as lost:
            raise type(lost)(f"{lost}{self._kept(batch, outcomes)}") from None
        except Exception as unforeseen:
            # Whatever it is, no receipt may be lost by it, of this batch or of those in flight.
            _LOG.debug("writing back failed", exc_info=True)
            raise DatabaseError(
                f"The answers of a batch could not be written back: program error ({type(unforeseen).__name__}); "
                f"report it.{self._kept(batch, outcomes)}"
            ) from None
        is_open = self._breaker.count(failed=error is not None and len(unwritten) == len(outcomes))
        if error is None:
            self.mark_in_doubt(about_to_send)
            return outcomes
        if is_open:
            raise type(error)(f"{error}{self._kept(batch, unwritten)}")
        # The rest of the table is not to wait for these rows, tonight or later.
        sentence = f"{error}{self._saved(batch, unwritten)}"
        if sentence not in map(str, self._summary.errors):
            self._summary.errors.append(DatabaseError(sentence))
        self.mark_in_doubt(about_to_send)
        if self._to.testing:
            return [outcome for outcome in outcomes if outcome not in unwritten]
        return [_not_recorded(outcome) if outcome in unwritten else outcome for outcome in outcomes]

    def _is_done_at_once(
        self,
        batch: int,
        outcomes: Sequence[Outcome],
        records: Sequence[Record],
        read_ahead: Callable[[], None] | None,
    ) -> bool:
        """Write outcomes, mark records and read in one transaction; False where the database refuses it.

        Errors: those of `_write_what_can_be`.
        """

        def also() -> None:
            if records and self._marks:
                self._write_in_doubt(*self._intents(records))
            if read_ahead is not None:
                read_ahead()

        work = partial(self._write_back.write, batch, outcomes, also=also)
        try:
            with_retry(self._store.connection, work, self._retry_budget, self._retake_lock)
        except (ConnectionLost, DatabaseBusy, LockLost):
            raise
        except DatabaseError as error:
            _LOG.debug("the database refused answers, marks and the next page together: %s", error)
            return False
        return True

    def _write_what_can_be(
        self, write_back: WriteBack, batch: int, outcomes: Sequence[Outcome]
    ) -> tuple[list[Outcome], DatabaseError | None]:
        """Write outcomes together, or else each alone; return those that the database refuses, and why.

        Errors: DatabaseError where the database is away or busy or the lock is lost, program errors.
        """
        error = self._try(write_back, batch, outcomes)
        if error is None or len(outcomes) == 1:
            return ([], None) if error is None else (list(outcomes), error)
        unwritten = []
        for outcome in outcomes:
            if refusal := self._try(write_back, batch, [outcome]):
                unwritten.append(outcome)
                error = refusal
        return (unwritten, error) if unwritten else ([], None)

    def _try(self, write_back: WriteBack, batch: int, outcomes: Sequence[Outcome]) -> DatabaseError | None:
        """Write outcomes as they are, or else as near to that as every database can hold; return why it failed."""
        refusal: DatabaseError | None = None
        for is_near in (False, True):
            work = partial(write_back.write, batch, outcomes, as_near_as_can_be=is_near)
            try:
                with_retry(self._store.connection, work, self._retry_budget, self._retake_lock)
            except (ConnectionLost, DatabaseBusy, LockLost):
                raise
            except DatabaseError as error:
                _LOG.debug("the database refused the answers of %d rows: %s", len(outcomes), error)
                refusal = error
            else:
                return None
        return refusal

    def _kept(self, batch: int, outcomes: Sequence[Outcome]) -> str:
        """Keep receipts in the file, as those of all later batches will be; return the sentence that says so."""
        self._has_failed = True
        return self._saved(batch, outcomes)

    def _saved(self, batch: int, outcomes: Sequence[Outcome]) -> str:
        saved = self._save(batch, outcomes)
        return f" Receipts not written are kept in {self._spool.path}; the next run writes them." if saved else ""

    @property
    def _marks(self) -> bool:
        return self._to.control_tables and not self._to.testing

    def mark_in_doubt(self, records: Sequence[Record], read_ahead: Callable[[], None] | None = None) -> None:
        """Write down which records are about to be sent, before their POST begins. Errors: DatabaseError.

        `read_ahead` reads in the same transaction, where there is one.
        """
        if not records or self._to.testing:
            return
        # Without the control tables nothing is written, but the run lock must still be there.
        work = partial(self._mark_in_doubt, records, read_ahead) if self._marks else self._store.connection.check_guard
        with_retry(self._store.connection, work, self._retry_budget, self._retake_lock)

    def _mark_in_doubt(self, records: Sequence[Record], read_ahead: Callable[[], None] | None) -> None:
        intents, known, sent = self._intents(records)
        try:
            with self._store.connection.transaction():
                self._write_in_doubt(intents, known, sent)
                if read_ahead is not None:
                    read_ahead()
        except KeyTaken:
            # Written by an earlier try of this; or for another shard's row, and then no payload is sure of its base.
            runs = self._recorded.runs_in_doubt(list(intents))
            others = {child: "" for child, run_id in runs.items() if run_id != self._to.run_id}
            with self._store.connection.transaction():
                self._write_in_doubt({**intents, **others}, list(intents), sent)
        except (ConnectionLost, DatabaseBusy, LockLost):
            raise
        except DatabaseError as error:
            if read_ahead is None:
                raise
            _LOG.debug("the database refused marks and the next page together: %s", error)
            self._mark_in_doubt(records, None)

    @staticmethod
    def _intents(records: Sequence[Record]) -> tuple[dict[str, str], list[str], list[int]]:
        """Return the hashes of what is intended by child, the children in doubt already, and the rows that are sent."""
        intents = {record.la_child_id: record.intent_hash for record in records}
        known = [record.la_child_id for record in records if record.was_in_doubt]
        # A resync takes rows that are sent. Once its purge is on the way they are due, whatever becomes of this run.
        return intents, known, [record.row.id for record in records if not may_be_due(record.row)]

    def _write_in_doubt(self, intents: Mapping[str, str], replaced: Sequence[str], sent: Sequence[int]) -> None:
        self._store.mark_due_again(sent)
        self._recorded.mark_in_doubt(self._to.run_id, list(intents.items()), replaced)

    def close_superseded(self, people: Iterable[tuple[str, RowsOfPerson]]) -> int:
        """Close older rows whose newest row an earlier run had accepted; return their number. Errors: DatabaseError."""
        groups = list(people)
        work = partial(self._write_back.close_superseded, groups)
        return with_retry(self._store.connection, work, self._retry_budget, self._retake_lock) if groups else 0

    def recover(self) -> None:
        """Write the receipts that an earlier run had to spool, before anything else is sent. Errors: DatabaseError.

        Receipts of another receiver stay in the file for the next run towards that one.
        """
        saved = [] if self._to.testing else self._spool.read()
        if not saved:
            return
        mine = [receipt for receipt in saved if receipt.receiver == self._to.receiver]
        written, refused = self._write_saved(last_of_each(self._of_known_runs(mine)))
        if refused:
            _LOG.warning(
                "the database refuses %d receipts that an earlier run had saved; they stay in %s, and their rows are "
                "sent again while they are due",
                len(refused),
                self._spool.path,
            )
        try:
            self._spool.keep(
                [one for one in saved if one.receiver != self._to.receiver or one.row_id in refused],
            )
        except OSError as error:
            _LOG.warning("%s could not be removed (%s); it does no harm", self._spool.path, type(error).__name__)
        self._summary.receipts_recovered = written
        if mine:
            _LOG.info("wrote back %d receipts that an earlier run had saved in %s", written, self._spool.path)

    def _write_saved(self, receipts: Sequence[SpooledReceipt]) -> tuple[int, set[int]]:
        """Write saved receipts under the run and the batch they belong to.

        Return the number of those written, and the ids of the rows whose receipts the database refuses.
        """
        work = partial(self._accepted_of, receipts)
        batches, purges = with_retry(self._store.connection, work, self._retry_budget, self._retake_lock)
        refused: set[int] = set()
        for (run_id, batch), outcomes in batches.items():
            write_back = WriteBack(self._store, replace(self._to, run_id=run_id), self._mask)
            unwritten, _ = self._write_what_can_be(write_back, batch, outcomes)
            refused.update(outcome.record.row.id for outcome in unwritten if isinstance(outcome, Accepted))
        for receipt, purge in purges:
            write_back = WriteBack(self._store, replace(self._to, run_id=receipt.run_id), self._mask)
            log = partial(write_back.log, receipt.batch, [purge])
            try:
                with_retry(self._store.connection, log, self._retry_budget, self._retake_lock)
            except (ConnectionLost, DatabaseBusy, LockLost):
                raise
            except DatabaseError as error:
                _LOG.debug("the database refused the receipt of a purge: %s", error)
                refused.add(receipt.row_id)
        return sum(map(len, batches.values())) + len(purges) - len(refused), refused

    def _accepted_of(
        self, receipts: Sequence[SpooledReceipt]
    ) -> tuple[dict[tuple[str, int], list[Outcome]], list[tuple[SpooledReceipt, Accepted]]]:
        """Return, by run and batch, the outcomes of saved receipts whose rows stand as they did; then other purges.

        A purge after which more was sent, or after which the row has changed, is only logged.
        """
        rows = {row.id: row for row in self._store.read_rows(sorted({receipt.row_id for receipt in receipts}))}
        runs = self._runs_in_doubt(receipts)
        baselines = self._baselines(receipts)
        batches: dict[tuple[str, int], list[Outcome]] = {}
        purges: list[tuple[SpooledReceipt, Accepted]] = []
        for receipt in receipts:
            row = rows.get(receipt.row_id)
            # A table that was emptied and filled again may have another person under this id.
            if row is None or row.person_id != receipt.person_id:
                continue
            baseline = baselines.get(receipt.la_child_id, Baseline())
            if is_purge := receipt.kind == RecordKind.PURGE:
                accepted = recovered_purge(receipt, row, _planned(row, baseline, self._policy))
            else:
                accepted = recovered(receipt, row, _held_after(row, baseline, self._policy))
            if accepted is not None and _is_newest(receipt, row, runs):
                batches.setdefault((receipt.run_id, receipt.batch), []).append(accepted)
            elif is_purge:
                purges.append((receipt, logged_purge(receipt, row)))
        return batches, purges

    def _of_known_runs(self, receipts: Sequence[SpooledReceipt]) -> list[SpooledReceipt]:
        """Return the receipts of runs that the database knows: anybody could have written the file.

        With the control tables the records in doubt say so later; without them the journal does.
        """
        if self._to.control_tables:
            return list(receipts)
        known = {run_id for run_id in {receipt.run_id for receipt in receipts} if self._store.knows_run(run_id)}
        believed = [receipt for receipt in receipts if receipt.run_id in known]
        if len(believed) < len(receipts):
            _LOG.warning(
                "%d receipts in %s belong to no run in the journal, so they are not used; their rows are sent again",
                len(receipts) - len(believed),
                self._spool.path,
            )
        return believed

    def _runs_in_doubt(self, receipts: Sequence[SpooledReceipt]) -> dict[str, str] | None:
        if not self._to.control_tables:
            return None
        return self._recorded.runs_in_doubt([receipt.la_child_id for receipt in receipts])

    def _baselines(self, receipts: Sequence[SpooledReceipt]) -> dict[str, Baseline]:
        if not self._to.control_tables:
            return {}
        return self._recorded.read([receipt.la_child_id for receipt in receipts])

    def forget(self, records: Sequence[Record]) -> None:
        """Remove what was stored of records before their POST, where they were never sent; what stays does no harm."""
        children = [record.la_child_id for record in records if not record.was_in_doubt]
        if not self._to.control_tables or self._to.testing or not children or self._has_failed:
            return
        try:
            with self._store.connection.transaction():
                self._recorded.clear_in_doubt(children)
        except DatabaseError as error:
            _LOG.debug("records in doubt that were not sent stay behind: %s", error)

    def _save(self, batch: int, outcomes: Sequence[Outcome]) -> int:
        if self._to.testing:
            return 0
        saved = self._spool.add(self._to.run_id, self._to.receiver, batch, outcomes)
        self._summary.receipts_spooled += saved
        return saved


def _not_recorded(outcome: Outcome) -> Outcome:
    """Return an outcome that is in the file alone: what follows a purge meets the child in doubt then.

    Its rejection must not clear that: the recorded baseline still has what the purge took.
    """
    if not isinstance(outcome, Accepted) or outcome.record.then is None:
        return outcome
    record = outcome.record
    in_doubt = record.baseline.in_doubt_with(State(record.held_after, sent_of=record.intent_hash))
    then = replace(outcome.record.then, baseline=in_doubt, intent_hash=record.intent_hash)
    return replace(outcome, record=replace(record, then=then))


def _is_newest(receipt: SpooledReceipt, row: StagedRow, runs: dict[str, str] | None) -> bool:
    """Return whether nothing was sent of the child since: its record in doubt or its status says so."""
    if runs is None:
        return row.is_deleted or row.submission_status in DUE_STATUSES
    return runs.get(receipt.la_child_id) == receipt.run_id


def _planned(row: StagedRow, baseline: Baseline, policy: Policy) -> Record | None:
    """Return the record that is planned of this row, upon this baseline; None where there is none."""
    try:
        record = plan(row, parse_payload(row.json_payload), baseline, policy)
    except PayloadError:
        return None
    return record if isinstance(record, Record) else None


def _held_after(row: StagedRow, baseline: Baseline, policy: Policy) -> str | None:
    """Return what the receiver holds after the record that was planned of this row, upon this baseline."""
    try:
        payload: Payload = parse_payload(row.json_payload)
    except PayloadError:
        return None
    record = plan(row, payload, baseline, policy)
    # A record that followed a purge was planned upon what was left then: the payload alone is held after it.
    if isinstance(record, NothingToSend) or not record.is_last:
        return held_text(payload)
    return record.held_after
