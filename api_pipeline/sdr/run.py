"""The submission: what differs between the staging table and what TEC holds is sent, one request at a time.

`Submission.run` is the whole way in order: guard, uploads forwards, deletes backwards. Before each request its records
are written down as in doubt, after it as held; killed anywhere, the next run repeats what is in doubt. While a request
is under way (`line`), the outcome of the one before it is written down and the one after it is prepared.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from api_pipeline.errors import DatabaseError, PipelineError
from api_pipeline.sdr.baseline import Baseline, BatchOutcome, Kind
from api_pipeline.sdr.delivery import AllAlike, Delivery, Verdict
from api_pipeline.sdr.difference import delete_body
from api_pipeline.sdr.due import Due, in_batches
from api_pipeline.sdr.line import Line, RecordRequests
from api_pipeline.sdr.nouns import Collection, Record
from api_pipeline.sdr.outcome import NothingTaken, Options, Summary
from api_pipeline.sdr.plan import check_deletes
from api_pipeline.sdr.problem import status_of
from api_pipeline.sdr.receiver import TokenIsGone
from api_pipeline.sdr.session import Session
from api_pipeline.transport.rate_limit import Stopped

_LOG = logging.getLogger(__name__)


class Submission:
    """One run of `submit` in an open session."""

    def __init__(self, session: Session, options: Options, summary: Summary) -> None:
        self.session = session
        self._store = session.store
        self._scope = session.scope
        self._options = options
        self._summary = summary
        self._baseline = Baseline(session.store, session.scope, summary.run_id, options.word)
        # Why every record of a collection was refused alike, as long as nothing was accepted since; "" for never.
        self._suspicion = ""
        # How many records of the limit were taken.
        self._taken = 0
        self._starts_counted = session.fresh_starts
        self._requests: RecordRequests

    def run(self) -> None:
        """Send the difference; once more where its validation needs another token.

        Errors: those of the receiver and the database, TooManyDeletes, NothingTaken.
        """
        check_deletes(self._store, self._scope, self._options, self._summary)
        self._suspicion, self._taken = "", 0
        with Line[Verdict]() as line:
            self._requests = RecordRequests(line, self.session, self._baseline, self._summary)
            while True:
                try:
                    self.session.begin_pass()
                    self._pass()
                except TokenIsGone as error:
                    # What was held under the same token is skipped by its hash; under another all of it is in doubt.
                    self._requests.give_up(error)
                    self._baseline.write()
                    self.session.replace()
                except (PipelineError, Stopped) as error:
                    # What stays unwritten is in doubt, and is sent again.
                    self._requests.give_up(error)
                    with suppress(DatabaseError):
                        self._baseline.write()
                    raise
                else:
                    # A token that was renewed on the way may not hold what was sent before it.
                    if self._summary.stopped_at_limit or self.session.ends_whole():
                        return

    def _pass(self) -> None:
        """Go over all collections once: uploads forwards, deletes backwards."""
        self._summary.undelivered = 0
        self._count_anew()
        for counts in self._summary.collections.values():
            counts.refused = counts.withheld = counts.unchanged = counts.kept = 0
        limit = self._options.limit
        due = Due(self._store, self._scope, self._options, None if limit is None else limit - self._taken)
        chosen = [one for one in Collection if one in self._options.collections]
        for collection in chosen:
            self._upload(collection, due)
        self._summary.stopped_at_limit = due.stopped_at_limit
        if due.stopped_at_limit:
            return
        for collection in reversed(chosen):
            self._delete(collection)

    def _count_anew(self) -> None:
        """Count as accepted only what was accepted since another token put all of it in doubt: it is sent again."""
        if self._starts_counted != self.session.fresh_starts:
            self._starts_counted = self.session.fresh_starts
            for counts in self._summary.collections.values():
                counts.accepted = 0

    def _upload(self, collection: Collection, due: Due) -> None:
        counts = self._summary.collections[collection]
        accepted = counts.accepted
        held, in_doubt = self._store.count_held(self._scope).get(collection.value, (0, 0))
        delivery = self._delivery("put", collection, was_any_taken=held > in_doubt)
        pages = due.pages(collection, counts, partial(self._withhold, collection))
        try:
            self._deliver(delivery, collection, pages)
        except AllAlike as found:
            self._give_up(collection, found.reason)
        # What an earlier pass of this run sent is no record without a change.
        counts.unchanged = max(0, counts.unchanged - accepted)
        self._baseline.write()

    def _delete(self, collection: Collection) -> None:
        delivery = self._delivery("delete", collection, was_any_taken=False)
        try:
            self._deliver(delivery, collection, self._vanished(collection))
        except AllAlike as found:
            raise NothingTaken(
                f"TEC refuses every delete of {collection.value} alike ({status_of(found.reason)}); none of these "
                "records was forgotten, and the next run tries again. A proxy that takes the body out of a DELETE "
                "request looks like this."
            ) from None
        self._baseline.write()

    def _vanished(self, collection: Collection) -> Iterator[list[Record]]:
        """Yield the deletes of a collection in pages. Errors: TooManyDeletes where the table was emptied meanwhile."""
        for page in self._store.vanished(self._scope, collection):
            check_deletes(self._store, self._scope, self._options, self._summary, coming=len(page))
            yield [Record(local_id, delete_body(local_id)) for local_id in page]

    def _delivery(self, kind: Kind, collection: Collection, *, was_any_taken: bool) -> Delivery:
        return Delivery(
            kind, collection, self._requests, self._settle, self.session.shrink, was_any_taken=was_any_taken
        )

    def _deliver(self, delivery: Delivery, collection: Collection, pages: Iterator[list[Record]]) -> None:
        """Deliver records in batches: each is prepared while the request before it is under way."""
        for batch in in_batches(pages, self._size):
            self._baseline.put_in_doubt(collection, batch)
            waiting = batch
            while waiting:
                delivery.conclude()
                self._requests.renew_token()
                # TEC may take fewer records now than it said before.
                most = self._size()
                delivery.begin(waiting[:most])
                waiting = waiting[most:]
        delivery.conclude()

    def _size(self) -> int:
        return 1 if self._suspicion else self.session.limit

    def _withhold(self, collection: Collection, records: Sequence[Record], reasons: Mapping[str, str]) -> None:
        # In doubt as what TEC refuses: put back to the form that TEC holds, it is sent and its mark goes.
        self._baseline.put_in_doubt(collection, [one for one in records if one.is_held])
        self._baseline.keep(BatchOutcome(0, "put", collection, "withheld", records, reasons))

    def _settle(self, outcome: BatchOutcome) -> None:
        """Count what became of records, and keep it to be written."""
        counts, number = self._summary.collections[outcome.collection], len(outcome.records)
        match outcome.kind, outcome.fate:
            case "put", "accepted":
                self._suspicion = ""
                self._taken += number
                self._count_anew()
                counts.accepted += number
                self.session.note_accepted()
            case "put", _:
                reason = outcome.reasons[outcome.records[0].local_id]
                if self._suspicion and status_of(reason) == status_of(self._suspicion):
                    self._give_up(outcome.collection, reason)
                counts.refused += number
            case _, "accepted":
                counts.deleted += number
                self.session.note_accepted()
            case _:
                counts.kept += number
        self._baseline.keep(outcome)

    def _give_up(self, collection: Collection, reason: str) -> None:
        """Stop this collection and try one record of the next. Errors: NothingTaken where that is refused alike too."""
        if self._suspicion:
            raise NothingTaken(
                f"TEC refuses every record of several collections alike ({status_of(reason)}); the run stopped, and "
                "the records stay due. Look at one reason in api_response: the schema year, SDR_EID and the "
                "collections' paths come first."
            )
        _LOG.warning("every record of %s is refused alike; the rest of them was not sent", collection.value)
        self._suspicion = reason
