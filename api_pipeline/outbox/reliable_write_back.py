"""Write back in spite of database failures: try again on a new connection, or keep the receipts in a file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from api_pipeline.common.circuit_breaker import CircuitBreaker
from api_pipeline.db import Retrying
from api_pipeline.errors import DatabaseError
from api_pipeline.model import Accepted, Outcome, Record
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.superseded import RowsOfPerson
from api_pipeline.outbox.write_back import WriteBack
from api_pipeline.run_summary import RunSummary

_LOG = logging.getLogger(__name__)
# The run ends with so many batches in a row of which not one answer could be written; one alone is passed over.
_MOST_FAILED_IN_A_ROW = 2


class ReliableWriteBack:
    """Write the outcomes of one run, the one of `summary`, so that no receipt is lost."""

    def __init__(self, write_back: WriteBack, spool: ReceiptSpool, db: Retrying, summary: RunSummary) -> None:
        self._write_back = write_back
        self._spool = spool
        self._db = db
        self._summary = summary
        self._has_failed = False
        self._breaker = CircuitBreaker(_MOST_FAILED_IN_A_ROW)

    def write(
        self,
        batch: int,
        outcomes: Sequence[Outcome],
        about_to_send: Sequence[Record] = (),
        read_ahead: Callable[[], None] = lambda: None,
    ) -> Sequence[Outcome]:
        """Write the outcomes of one POST and return those that count: written, or with the receipt kept in the file.

        Where records are sent next, they are marked in doubt in the same transaction, and `read_ahead` reads in it;
        then there may be no outcomes. Errors: DatabaseError, after the receipts have been spooled, and with nothing
        marked.
        """
        if self._has_failed:
            self._saved(batch, outcomes)
            return [] if self._summary.is_testing else outcomes
        try:
            together = partial(self._write_back.write, batch, outcomes, about_to_send, also=read_ahead)
            if about_to_send and self._db.attempt("answers, marks and the next page together", together) is None:
                return self._pass_over(batch, outcomes, [], None)
            unwritten, error = self._write_back.write_what_can_be(self._db, batch, outcomes)
        except DatabaseError as lost:
            raise type(lost)(f"{lost}{self._kept(batch, outcomes)}") from None
        except Exception as unforeseen:
            # Whatever it is, no receipt may be lost by it, of this batch or of those in flight.
            _LOG.debug("writing back failed", exc_info=True)
            raise DatabaseError(
                f"The answers of a batch could not be written back: program error ({type(unforeseen).__name__}); "
                f"report it.{self._kept(batch, outcomes)}"
            ) from None
        counted = self._pass_over(batch, outcomes, unwritten, error)
        if about_to_send:
            self._db.run(partial(self._write_back.write, 0, [], about_to_send))
        return counted

    def _pass_over(
        self, batch: int, outcomes: Sequence[Outcome], unwritten: Sequence[Outcome], error: DatabaseError | None
    ) -> Sequence[Outcome]:
        """Keep the receipts that the database refuses in the file, and go on: the other rows must not wait for these.

        Return the outcomes that count. Errors: DatabaseError, if it refused another whole batch before.
        """
        self._summary.superseded = self._write_back.superseded
        # What marks records alone, and has no outcomes, says nothing of the staging table.
        is_open = bool(outcomes) and self._breaker.count(failed=len(unwritten) == len(outcomes))
        if error is None:
            return outcomes
        if is_open:
            raise type(error)(f"{error}{self._kept(batch, unwritten)}")
        try:
            sentence = f"{error}{self._saved(batch, unwritten)}"
        except DatabaseError as nowhere:
            raise type(error)(f"{error} {nowhere}") from None
        if sentence not in map(str, self._summary.errors):
            self._summary.errors.append(DatabaseError(sentence))
        if self._summary.is_testing:
            return [outcome for outcome in outcomes if outcome not in unwritten]
        return [_not_recorded(outcome) if outcome in unwritten else outcome for outcome in outcomes]

    def close_superseded(self, people: Iterable[tuple[str, RowsOfPerson]]) -> None:
        """Close older rows whose newest row an earlier run had accepted, and count them. Errors: DatabaseError."""
        self._db.run(partial(self._write_back.close_superseded, list(people)))
        self._summary.superseded = self._write_back.superseded

    def forget(self, records: Sequence[Record]) -> None:
        """Remove the marks "in doubt" of records that were never sent. A mark that stays does no harm."""
        if self._has_failed or not records:
            return
        try:
            self._write_back.unmark(records)
        except DatabaseError as error:
            _LOG.debug("records in doubt that were not sent stay behind: %s", error)

    def _kept(self, batch: int, outcomes: Sequence[Outcome]) -> str:
        """Keep receipts in the file, as those of all later batches will be; return the sentence that says so."""
        self._has_failed = bool(outcomes)
        try:
            return self._saved(batch, outcomes)
        except DatabaseError as error:
            # Why the database did not take them is said as well.
            return f" {error}"

    def _saved(self, batch: int, outcomes: Sequence[Outcome]) -> str:
        """Keep receipts in the file; return the sentence that says so, "" where there are none. Errors: DatabaseError.

        Answers of testing mode are no receipts.
        """
        run = self._summary
        saved = 0 if run.is_testing else self._spool.add(run.run_id, run.receiver, batch, outcomes)
        run.receipts_spooled += saved
        return f" Receipts not written are kept in {self._spool.path}; the next run writes them." if saved else ""


def _not_recorded(outcome: Outcome) -> Outcome:
    """Return an outcome whose receipt is in the file alone, so that the record after its purge starts in doubt.

    If that record is rejected, the child must stay in doubt: the recorded baseline still has what the purge removed.
    """
    if not isinstance(outcome, Accepted) or outcome.record.then is None:
        return outcome
    then = outcome.record.then._replace(was_in_doubt=True, intent_hash=outcome.record.intent_hash)
    return replace(outcome, record=outcome.record._replace(then=then))
