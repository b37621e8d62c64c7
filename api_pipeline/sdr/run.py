"""The submission: what differs between the staging table and what TEC holds is sent, one request at a time.

`Submission.run` is the whole way in order: guard, uploads forwards, deletes backwards. Before each request its records
are written down as in doubt, after it as held; killed anywhere, the next run repeats what is in doubt.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from api_pipeline.errors import AlreadyRunning, PipelineError
from api_pipeline.logs.masking import mask_values
from api_pipeline.sdr.answers import Acknowledged, Malformed
from api_pipeline.sdr.checks import id_error
from api_pipeline.sdr.delivery import AllAlike, Delivery, Keyed, Verdict
from api_pipeline.sdr.difference import NotSendable, body_of, delete_body
from api_pipeline.sdr.nouns import Collection, StagedRecord, VanishedRecord
from api_pipeline.sdr.receiver import TokenIsGone
from api_pipeline.sdr.session import Session
from api_pipeline.sdr.store import LogEntry, PageRow, RunLog, Scope, Store, Taken

_LOG = logging.getLogger(__name__)
# A status with the codes that TEC has published.
_CODE = r"(?:AM|AU|CV|DS|GM|MP|PR|R|SC)\d{1,3}"
_OWN_CODES = re.compile(rf"HTTP \d{{3}}(?: {_CODE}(?:, {_CODE})*)?(?:: |$)")


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a submission. `limit` is the most records to upload, None for all.

    `max_deleted_share` is the share of what TEC holds that may be deleted in one run. `withheld` are the records that
    the checks keep back, by collection and localId. `word` is written to accepted rows: sent, testing.
    """

    collections: Sequence[Collection] = tuple(Collection)
    limit: int | None = None
    allow_deletes: bool = False
    max_deleted_share: float = 0.1
    withheld: frozenset[tuple[Collection, str]] = frozenset()
    word: str = "sent"


@dataclass(slots=True)
class Counts:
    """What became of the records of one collection."""

    accepted: int = 0
    deleted: int = 0
    refused: int = 0
    withheld: int = 0
    kept: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class Summary:
    """What a submission did. `kept` counts the deletes that TEC refused, `error` is what ended the run early."""

    run_id: str
    collections: dict[Collection, Counts] = field(default_factory=lambda: {one: Counts() for one in Collection})
    requests: int = 0
    in_doubt: int = 0
    stopped_at_limit: bool = False
    error: PipelineError | None = None

    def total(self, name: str) -> int:
        """Return the sum of a count over all collections."""
        return sum(getattr(counts, name) for counts in self.collections.values())

    @property
    def exit_code(self) -> int:
        """The exit code: that of the error, else 1 where a record was refused, else 0."""
        if self.error is not None:
            return self.error.exit_code
        return 1 if self.total("refused") + self.total("withheld") + self.total("kept") else 0


class NothingTaken(PipelineError):
    """TEC refuses every record alike, so that the records are not the cause."""

    exit_code = 1


class TooManyDeletes(PipelineError):
    """More records have vanished from the staging table than one run may delete."""

    exit_code = 1


class Submission:
    """One run of `submit` in an open session. `progress` is told of each record that is done."""

    def __init__(
        self, session: Session, options: Options, summary: Summary, progress: Callable[[int], None] = lambda _: None
    ) -> None:
        self._session = session
        self._store = session.store
        self._scope = session.scope
        self._options = options
        self._summary = summary
        self._progress = progress
        self._left = options.limit
        self._suspicion = ""
        self._taken: list[Taken] = []

    def run(self) -> None:
        """Send the difference. Errors: those of the receiver and the database, TooManyDeletes, NothingTaken."""
        check_deletes(self._session, self._options)
        while True:
            try:
                self._pass()
            except TokenIsGone:
                # What was held under the same token is skipped by its hash; under another all of it is in doubt.
                self._session.replace()
            else:
                return

    def _pass(self) -> None:
        for counts in self._summary.collections.values():
            counts.refused = counts.withheld = counts.unchanged = counts.kept = 0
        for collection in Collection:
            if collection in self._options.collections:
                self._upload(collection)
        if self._summary.stopped_at_limit:
            return
        for collection in reversed(Collection):
            if collection in self._options.collections:
                self._delete(collection)

    def _upload(self, collection: Collection) -> None:
        delivery = Delivery(
            partial(self._put, collection),
            partial(self._accepted, collection),
            partial(self._refused, collection),
            self._session.shrink,
            was_any_taken=self._was_any_taken(collection),
        )
        try:
            for batch in self._batches(collection):
                self._doubt(collection, batch)
                delivery.run(batch)
                self._progress(len(batch))
            self._write_taken()
        except AllAlike as found:
            self._write_taken()
            self._give_up(collection, found.reason)

    def _give_up(self, collection: Collection, reason: str) -> None:
        """Go on to a lone record of the next collection; refused alike, the records are not the cause."""
        if self._suspicion:
            raise NothingTaken(
                f"TEC refuses every record of several collections alike ({_status(reason)}); the run stopped, and the "
                "records stay due. Look at one reason in api_response: the schema year, SDR_EID and the collections' "
                "paths come first."
            )
        _LOG.warning("every record of %s is refused alike; the rest of them was not sent", collection.value)
        self._suspicion = reason

    def _batches(self, collection: Collection) -> Iterator[list[StagedRecord]]:
        """Yield the differing records of a collection in batches no larger than the limit is then."""
        waiting: list[StagedRecord] = []
        for page in self._store.pages(self._scope, collection):
            waiting += self._differing(collection, page)
            while len(waiting) >= self._size():
                batch, waiting = waiting[: self._size()], waiting[self._size() :]
                yield batch
            if self._left is not None and self._left <= 0:
                break
        while waiting:
            batch, waiting = waiting[: self._size()], waiting[self._size() :]
            yield batch

    def _size(self) -> int:
        return 1 if self._suspicion else self._session.limit

    def _differing(self, collection: Collection, page: Sequence[PageRow]) -> list[StagedRecord]:
        found: list[StagedRecord] = []
        withheld: list[tuple[int, str]] = []
        counts = self._summary.collections[collection]
        for row in page:
            reason = id_error(row.local_id)
            if not reason and (collection, row.local_id) in self._options.withheld:
                reason = "held back by the checks; see: d2i-csc-api sdr check"
            try:
                body, digest = body_of(row.local_id, row.payload)
            except NotSendable as error:
                body, digest, reason = b"", b"", reason or str(error)
            if reason:
                withheld.append((row.row_id, f"NOT SENT: {reason}"))
            elif row.held_hash == digest:
                counts.unchanged += 1
                self._progress(1)
            elif self._may_take():
                found.append(StagedRecord(row.row_id, row.local_id, body, digest, row.is_held))
        if withheld:
            counts.withheld += len(withheld)
            self._store.refuse(self._scope, collection, withheld, self._log("put", ()))
        return found

    def _may_take(self) -> bool:
        if self._left is None:
            return True
        if self._left <= 0:
            self._summary.stopped_at_limit = True
            return False
        self._left -= 1
        return True

    def _doubt(self, collection: Collection, batch: Sequence[StagedRecord]) -> None:
        held = [one.local_id for one in batch if one.is_held]
        new = [one.local_id for one in batch if not one.is_held]
        self._store.doubt(self._scope, collection, held, new, self._taken)
        self._taken = []

    def _write_taken(self) -> None:
        if self._taken:
            self._store.confirm(self._scope, self._taken)
            self._taken = []

    def _put(self, collection: Collection, batch: Sequence[StagedRecord]) -> Verdict:
        return self._request(self._session.receiver.put, collection, batch)

    def _request(
        self,
        send: Callable[[Collection, str, Sequence[str], Sequence[bytes]], Verdict],
        collection: Collection,
        batch: Sequence[Keyed],
    ) -> Verdict:
        # A request may bring another submission token, under which nothing of before is known to be held.
        self._write_taken()
        self._summary.requests += 1
        answer = send(collection, self._session.token(), [one.key for one in batch], [one.body for one in batch])
        if isinstance(answer, Malformed) and not answer.problem.codes and self._session.is_validating():
            raise AlreadyRunning(
                "TEC began to validate the return in the middle of this run, which blocks every change; what was not "
                "taken stays due, so run again when the validation has ended."
            )
        self._session.was_taken()
        return answer

    def _accepted(self, collection: Collection, batch: Sequence[StagedRecord], answer: Acknowledged) -> None:
        taken = [one for one in batch if one.local_id not in answer.refused]
        refused = [(one, answer.refused[one.local_id]) for one in batch if one.local_id in answer.refused]
        if taken:
            self._suspicion = ""
            self._summary.collections[collection].accepted += len(taken)
            log = self._log("put", [LogEntry(one.local_id, one.digest, "accepted", "") for one in taken])
            # Written with what the next request puts in doubt, and before any other word with TEC.
            digests = {one.local_id: one.digest for one in taken}
            self._taken.append(Taken(collection, digests, [one.row_id for one in taken], log))
        if refused:
            self._refused(collection, refused)

    def _refused(self, collection: Collection, refused: Sequence[tuple[StagedRecord, str]]) -> None:
        alike = _status(refused[0][1])
        if self._suspicion and alike == _status(self._suspicion):
            self._give_up(collection, refused[0][1])
        self._summary.collections[collection].refused += len(refused)
        log = self._log(
            "put",
            [LogEntry(one.local_id, one.digest, "refused", masked(why, one.body)) for one, why in refused],
        )
        self._store.refuse(self._scope, collection, [(one.row_id, why) for one, why in refused], log)

    def _delete(self, collection: Collection) -> None:
        delivery = Delivery(
            partial(self._delete_request, collection),
            partial(self._deleted, collection),
            partial(self._kept, collection),
            self._session.shrink,
            was_any_taken=False,
        )
        try:
            for page in self._store.vanished(self._scope, collection):
                waiting = [VanishedRecord(local_id, delete_body(local_id)) for local_id in page]
                while waiting:
                    batch, waiting = waiting[: self._session.limit], waiting[self._session.limit :]
                    self._store.doubt(self._scope, collection, [one.local_id for one in batch], [])
                    delivery.run(batch)
        except AllAlike as found:
            raise NothingTaken(
                f"TEC refuses every delete alike ({_status(found.reason)}); nothing was forgotten, and the next run "
                "tries again. A proxy that takes the body out of a DELETE request looks like this."
            ) from None

    def _delete_request(self, collection: Collection, batch: Sequence[VanishedRecord]) -> Verdict:
        return self._request(self._session.receiver.delete, collection, batch)

    def _deleted(self, collection: Collection, batch: Sequence[VanishedRecord], answer: Acknowledged) -> None:
        # An error for a single record says that it is not there: either way TEC holds nothing of it now.
        entries = [
            LogEntry(one.local_id, None, "accepted", masked(answer.refused.get(one.local_id, ""))) for one in batch
        ]
        self._summary.collections[collection].deleted += len(batch)
        self._store.forget(self._scope, collection, [one.local_id for one in batch], self._log("delete", entries))

    def _kept(self, collection: Collection, refused: Sequence[tuple[VanishedRecord, str]]) -> None:
        self._summary.collections[collection].kept += len(refused)
        entries = [LogEntry(one.local_id, None, "refused", masked(reason)) for one, reason in refused]
        self._store.log(self._scope, collection, self._log("delete", entries))

    def _was_any_taken(self, collection: Collection) -> bool:
        held, in_doubt = self._store.count_held(self._scope).get(collection.value, (0, 0))
        return held > in_doubt

    def _log(self, kind: str, entries: Sequence[LogEntry]) -> RunLog:
        return RunLog(self._summary.run_id, self._summary.requests, kind, self._options.word, entries)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a submission would do in one collection."""

    put: int
    delete: int
    unchanged: int
    withheld: int


def plan(store: Store, scope: Scope, options: Options) -> dict[Collection, Plan]:
    """Return what a submission would do now, without a request."""
    vanished = store.count_vanished(scope)
    plans: dict[Collection, Plan] = {}
    for collection in options.collections:
        put = unchanged = withheld = 0
        for page in store.pages(scope, collection):
            for row in page:
                try:
                    _, digest = body_of(row.local_id, row.payload)
                except NotSendable:
                    withheld += 1
                    continue
                if id_error(row.local_id) or (collection, row.local_id) in options.withheld:
                    withheld += 1
                elif row.held_hash == digest:
                    unchanged += 1
                else:
                    put += 1
        plans[collection] = Plan(put, vanished.get(collection.value, 0), unchanged, withheld)
    return plans


def check_deletes(session: Session, options: Options) -> None:
    """Raise TooManyDeletes where more would be deleted than the share allows; nothing has been sent then."""
    if options.allow_deletes:
        return
    names = [one.value for one in options.collections]
    held = sum(count for name, (count, _) in session.store.count_held(session.scope).items() if name in names)
    gone = sum(count for name, count in session.store.count_vanished(session.scope).items() if name in names)
    if gone > options.max_deleted_share * held:
        raise TooManyDeletes(
            f"{gone:,} of the {held:,} records that TEC holds for the return are not in the staging table any more, "
            f"more than the share of {options.max_deleted_share:g} that SDR_MAX_DELETED_SHARE allows. Nothing was "
            "sent. Look whether the extract filled the table whole, or allow it with --allow-deletes."
        )


def masked(reason: str, body: bytes = b"") -> str:
    """Return a reason for the audit trail: status and TEC's own codes stay, and no value of the record, its `body`."""
    own = _OWN_CODES.match(reason)
    known = own[0] if own else ""
    return known + mask_values(reason[len(known) :], body.decode("utf-8", "replace") or None)


def _status(reason: str) -> str:
    """Return the beginning of a reason, which quotes nothing of the answer's text."""
    return reason.split(":", 1)[0]
