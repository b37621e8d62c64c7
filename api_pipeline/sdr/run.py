"""The submission: what differs between the staging table and what TEC holds is sent, one request at a time.

`Submission.run` is the whole way in order: guard, uploads forwards, deletes backwards. Before each request its records
are written down as in doubt, after it as held; killed anywhere, the next run repeats what is in doubt. While a request
is under way, the outcome of the one before it is written down and the one after it is prepared.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal, TypeAlias, TypeVar

from api_pipeline.errors import DatabaseError, PipelineError
from api_pipeline.sdr.answers import Acknowledged, Malformed, has_known_code
from api_pipeline.sdr.baseline import Gone, LogEntry, Outcome, RunLog, Taken, Unanswered
from api_pipeline.sdr.delivery import AllAlike, Delivery, Keyed, Verdict
from api_pipeline.sdr.difference import delete_body
from api_pipeline.sdr.due import Due, Withheld
from api_pipeline.sdr.line import Line
from api_pipeline.sdr.nouns import Collection, StagedRecord, VanishedRecord
from api_pipeline.sdr.outcome import NothingTaken, Options, Summary
from api_pipeline.sdr.plan import check_deletes
from api_pipeline.sdr.problem import named_keys
from api_pipeline.sdr.reasons import masked, status_of
from api_pipeline.sdr.receiver import TokenIsGone
from api_pipeline.sdr.session import Session
from api_pipeline.transport.rate_limit import Stopped

_LOG = logging.getLogger(__name__)
_Kind: TypeAlias = Literal["put", "delete"]
_One = TypeVar("_One", bound=Keyed)


class Submission:
    """One run of `submit` in an open session. `progress` gets each record that is done."""

    def __init__(
        self, session: Session, options: Options, summary: Summary, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        self.session = session
        self._store = session.store
        self._scope = session.scope
        self._options = options
        self._summary = summary
        self._progress = progress
        self._due = Due(self._store, self._scope, options, progress)
        self._suspicion = ""
        self._taken = 0
        self._starts_counted = session.fresh_starts
        self._line: Line[Verdict]
        # Takes in the answer to the request that is under way; what is not written down yet of those before it.
        self._conclude_it: Callable[[], None] | None = None
        self._unwritten: list[Outcome] = []
        # The records of the request whose answer is not known yet.
        self._unanswered: tuple[_Kind, Collection, Sequence[Keyed]] | None = None

    def run(self) -> None:
        """Send the difference; once more where its validation needs another token.

        Errors: those of the receiver and the database, TooManyDeletes, NothingTaken.
        """
        check_deletes(self._store, self._scope, self._options, self._summary.run_id)
        self._suspicion, self._taken = "", 0
        with Line[Verdict]() as self._line:
            while True:
                try:
                    self.session.begin_pass()
                    self._pass()
                except TokenIsGone as error:
                    # What was held under the same token is skipped by its hash; under another all of it is in doubt.
                    self._give_up_answer(error)
                    self._write_outcomes()
                    self.session.replace()
                except (PipelineError, Stopped) as error:
                    # What stays unwritten is in doubt, and is sent again.
                    self._give_up_answer(error)
                    with suppress(DatabaseError):
                        self._write_outcomes()
                    raise
                else:
                    # A token that was renewed on the way may not hold what was sent before it.
                    if self._summary.stopped_at_limit or self.session.ends_whole():
                        return

    def _pass(self) -> None:
        self._conclude_it = None
        self._summary.undelivered = 0
        self._due.begin(self._taken)
        self._count_anew()
        for counts in self._summary.collections.values():
            counts.refused = counts.withheld = counts.unchanged = counts.kept = 0
        for collection in Collection:
            if collection in self._options.collections:
                self._upload(collection)
        self._summary.stopped_at_limit = self._due.stopped_at_limit
        if self._summary.stopped_at_limit:
            return
        for collection in reversed(Collection):
            if collection in self._options.collections:
                self._delete(collection)

    def _count_anew(self) -> None:
        """Count as accepted only what was accepted since another token put all of it in doubt: it is sent again."""
        if self._starts_counted != self.session.fresh_starts:
            self._starts_counted = self.session.fresh_starts
            for counts in self._summary.collections.values():
                counts.accepted = 0

    def _upload(self, collection: Collection) -> None:
        delivery = Delivery(
            partial(self._ask, "put", collection),
            partial(self._accepted, collection),
            partial(self._refused, collection),
            self.session.shrink,
            was_any_taken=self._was_any_taken(collection),
        )
        counts = self._summary.collections[collection]
        accepted = counts.accepted
        try:
            for batch in self._due.batches(collection, counts, self._size, partial(self._withhold, collection)):
                self._put_in_doubt(collection, batch)
                self._send("put", collection, delivery, batch)
            self._conclude()
        except AllAlike as found:
            self._give_up(collection, found.reason)
        # What an earlier pass of this run sent is no record without a change.
        counts.unchanged = max(0, counts.unchanged - accepted)
        self._write_outcomes()

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

    def _size(self) -> int:
        return 1 if self._suspicion else self.session.limit

    def _withhold(self, collection: Collection, rows: Sequence[Withheld]) -> None:
        # In doubt as what TEC refuses: put back to the form that TEC holds, it is sent and its mark goes.
        self._store.put_in_doubt(self._scope, collection, [local_id for _, local_id, _ in rows], [])
        self._store.refuse(self._scope, collection, rows, self._log("put", ()))

    def _put_in_doubt(self, collection: Collection, batch: Sequence[StagedRecord]) -> None:
        held = [one.local_id for one in batch if one.is_held]
        new = [one.local_id for one in batch if not one.is_held]
        self._store.put_in_doubt(self._scope, collection, held, new, self._unwritten)
        self._unwritten = []

    def _write_outcomes(self) -> None:
        if self._unwritten:
            self._store.write(self._scope, self._unwritten)
            self._unwritten = []

    def _send(self, kind: _Kind, collection: Collection, delivery: Delivery[_One], batch: Sequence[_One]) -> None:
        """Send a batch after the outcome of the one before, in parts where TEC takes fewer records than it said."""
        while batch:
            self._conclude()
            self._renew()
            most = self._size()
            part, batch = batch[:most], batch[most:]
            self._start(kind, collection, part)
            self._conclude_it = partial(self._conclude_batch, delivery, part)

    def _renew(self) -> None:
        """Get another token in time: it may tell another limit, and nothing of before may be held under it."""
        if self.session.is_about_to_renew:
            self._write_outcomes()
            self.session.token()

    def _conclude(self) -> None:
        """Wait for the request under way, if there is one, and record the outcome of its records."""
        conclude, self._conclude_it = self._conclude_it, None
        if conclude is not None:
            conclude()

    def _conclude_batch(self, delivery: Delivery[_One], batch: Sequence[_One]) -> None:
        delivery.conclude(batch, self._answer(batch))
        self._progress(len(batch))

    def _ask(self, kind: _Kind, collection: Collection, batch: Sequence[Keyed]) -> Verdict:
        self._start(kind, collection, batch)
        return self._answer(batch)

    def _start(self, kind: _Kind, collection: Collection, batch: Sequence[Keyed]) -> None:
        self._renew()
        token = self.session.token()
        self._summary.requests += 1
        send = self.session.receiver.put if kind == "put" else self.session.receiver.delete
        self._unanswered = (kind, collection, batch)
        self._line.send(partial(send, collection, token, [one.key for one in batch], [one.body for one in batch]))

    def _answer(self, batch: Sequence[Keyed]) -> Verdict:
        answer = self._line.answer()
        if isinstance(answer, Malformed) and not has_known_code(answer.problem):
            # It may be about the return and none of its records. Of a batch that is halved nothing is marked yet.
            keys = [one.key for one in batch]
            if len(keys) == 1 or named_keys(answer.problem, keys):
                self.session.check_takes_data()
        self._unanswered = None
        self.session.was_taken()
        return answer

    def _give_up_answer(self, error: Exception) -> None:
        """Keep for the audit trail the records of a request that TEC may have taken, or did not, but never refused."""
        if self._unanswered is None:
            return
        (kind, collection, batch), self._unanswered = self._unanswered, None
        self._summary.undelivered += len(batch)
        digests = [one.digest if isinstance(one, StagedRecord) else None for one in batch]
        entries = [
            LogEntry(one.key, digest, "undelivered", str(error)) for one, digest in zip(batch, digests, strict=True)
        ]
        self._unwritten.append(Unanswered(collection, self._log(kind, entries)))

    def _accepted(self, collection: Collection, batch: Sequence[StagedRecord], answer: Acknowledged) -> None:
        taken = [one for one in batch if one.local_id not in answer.refused]
        refused = [(one, answer.refused[one.local_id]) for one in batch if one.local_id in answer.refused]
        if taken:
            self._suspicion = ""
            self._taken += len(taken)
            self._count_anew()
            self._summary.collections[collection].accepted += len(taken)
            # Written with what the next request puts in doubt.
            digests = {one.local_id: one.digest for one in taken}
            rows = [(one.row_id, one.local_id) for one in taken]
            self._unwritten.append(Taken(collection, digests, rows, self._log("put", ())))
        if refused:
            self._refused(collection, refused)

    def _refused(self, collection: Collection, refused: Sequence[tuple[StagedRecord, str]]) -> None:
        alike = status_of(refused[0][1])
        if self._suspicion and alike == status_of(self._suspicion):
            self._give_up(collection, refused[0][1])
        self._summary.collections[collection].refused += len(refused)
        log = self._log(
            "put",
            [LogEntry(one.local_id, one.digest, "refused", masked(why, one.body)) for one, why in refused],
        )
        rows = [(one.row_id, one.local_id, why) for one, why in refused]
        self._store.refuse(self._scope, collection, rows, log)

    def _delete(self, collection: Collection) -> None:
        delivery = Delivery(
            partial(self._ask, "delete", collection),
            partial(self._deleted, collection),
            partial(self._kept, collection),
            self.session.shrink,
            was_any_taken=False,
        )
        try:
            for page in self._store.vanished(self._scope, collection):
                waiting = [VanishedRecord(local_id, delete_body(local_id)) for local_id in page]
                while waiting:
                    batch, waiting = waiting[: self.session.limit], waiting[self.session.limit :]
                    self._store.put_in_doubt(
                        self._scope, collection, [one.local_id for one in batch], [], self._unwritten
                    )
                    self._unwritten = []
                    self._send("delete", collection, delivery, batch)
            self._conclude()
        except AllAlike as found:
            raise NothingTaken(
                f"TEC refuses every delete of {collection.value} alike ({status_of(found.reason)}); none of these "
                "records was forgotten, and the next run tries again. A proxy that takes the body out of a DELETE "
                "request looks like this."
            ) from None
        self._write_outcomes()

    def _deleted(self, collection: Collection, batch: Sequence[VanishedRecord], answer: Acknowledged) -> None:
        # An error for a single record says that it is not there: either way TEC holds nothing of it now.
        entries = [
            LogEntry(one.local_id, None, "accepted", masked(answer.refused.get(one.local_id, ""))) for one in batch
        ]
        self._summary.collections[collection].deleted += len(batch)
        self._unwritten.append(Gone(collection, [one.local_id for one in batch], self._log("delete", entries)))

    def _kept(self, collection: Collection, refused: Sequence[tuple[VanishedRecord, str]]) -> None:
        self._summary.collections[collection].kept += len(refused)
        entries = [LogEntry(one.local_id, None, "refused", masked(reason)) for one, reason in refused]
        self._store.log(self._scope, collection, self._log("delete", entries))

    def _was_any_taken(self, collection: Collection) -> bool:
        held, in_doubt = self._store.count_held(self._scope).get(collection.value, (0, 0))
        return held > in_doubt

    def _log(self, kind: str, entries: Sequence[LogEntry]) -> RunLog:
        return RunLog(self._summary.run_id, self._summary.requests, kind, self._options.word, entries)
