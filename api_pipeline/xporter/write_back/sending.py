"""Send rows in batches of one school, kind and date; a batch that is refused is halved until the cause is alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from api_pipeline.common.bisect import Meaning, resolve
from api_pipeline.common.clock import utc_now
from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.wire.access import Failed, Outcome
from api_pipeline.xporter.wire.posting import Posted, Taken
from api_pipeline.xporter.write_back.batches import batches, request_body
from api_pipeline.xporter.write_back.options import SchoolParts
from api_pipeline.xporter.write_back.reading import Reader
from api_pipeline.xporter.write_back.rows import OutboxRow, Status, people_of
from api_pipeline.xporter.write_back.settling import looks_taken

_STATES = {
    Taken.SUBMITTED: Status.SUBMITTED,
    Taken.REFUSED: Status.REFUSED,
    Taken.NOT_SENT: Status.PENDING,
    Taken.UNKNOWN: Status.UNKNOWN,
}


class Sending:
    """Send one school's rows. It is the sender of `bisect`: the API refuses a batch whole and may name one cause."""

    def __init__(self, parts: SchoolParts, reader: Reader) -> None:
        self._parts = parts
        self._reader = reader
        self._taken: list[OutboxRow] = []
        self._posted: Sequence[OutboxRow] = ()
        self._settled: set[int] = set()
        self._answers = 0

    def send(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Send rows and return those that the API took or may have taken. Errors: Failed, Stopped, DatabaseError."""
        waiting = batches(rows, self._parts.options.batch_size)
        try:
            while waiting:
                if waiting[0][0].way in self._reader.shut:
                    self._parts.summary.waiting += len(waiting.pop(0))
                else:
                    self._send_or_shut(waiting)
        except (Failed, Stopped):
            self._parts.summary.count_open(self._taken)
            self._parts.summary.waiting += sum(len(batch) for batch in waiting)
            raise
        return self._taken

    def _send_or_shut(self, waiting: list[list[OutboxRow]]) -> None:
        """Send the first of the batches and take it away. Errors: Failed, where others would fail as well; Stopped."""
        first, outcomes = waiting[0][0], self._parts.summary.outcomes
        before = outcomes.get(first.estab)
        try:
            seen = self._seen_before(waiting[0])
        except Failed as failure:
            self._reader.shut_way(first, failure)
            return
        try:
            self._send_batch(waiting.pop(0), seen)
        except Failed as failure:
            self._reader.shut_way(first, failure)
            outcomes[first.estab] = before or failure.outcome

    def _send_batch(self, batch: list[OutboxRow], seen: Mapping[int, frozenset[str]]) -> None:
        marked = self._parts.outbox.mark_sending(batch, seen)
        sent = [replace(row, seen_before=seen.get(row.id, frozenset()), sent_at=utc_now()) for row in marked]
        answers = self._answers
        try:
            if sent:
                resolve(self, sent, self.post(sent))
        except Stopped:
            # No request begins after a stop: what has no outcome was in none, or in one that was refused whole.
            left = [row for row in sent if row.id not in self._settled]
            if self._answers == answers:
                self._parts.outbox.take_back(batch)
                self._parts.summary.waiting += len(left)
            else:
                self.settle(left, Posted(Taken.NOT_SENT, "Not sent: the write-back was stopped."))
            raise
        except Failed as failure:
            # Secret, consent, address: nothing of what is still open was written.
            left = [row for row in sent if row.id not in self._settled]
            self.settle(left, Posted(Taken.NOT_SENT, f"Not sent: {failure.text}."))
            raise

    def _seen_before(self, batch: list[OutboxRow]) -> dict[int, frozenset[str]]:
        """Return the records that look like rows of a batch before it is sent; they are not ours."""
        if not batch[0].makes_record:
            return {}
        seen = self._reader.see(batch[0])
        return {row.id: looks_taken(row, seen) for row in batch}

    def post(self, records: Sequence[OutboxRow]) -> Posted:
        """Send rows in one request. Errors: Failed, Stopped."""
        first = records[0]
        self._posted = records
        answer = self._parts.client.post(
            self._parts.post_path(first.kind, first.estab),
            request_body(records, self._parts.options.callback_url),
            is_repeatable=not first.makes_record,
        )
        self._answers += 1
        return answer

    def meaning(self, answer: Posted) -> Meaning:
        """Return what an answer leaves open."""
        match answer.taken:
            case Taken.SUBMITTED:
                return Meaning.ACCEPTED
            case Taken.REFUSED if any(_names(answer, row) for row in self._posted):
                return Meaning.NAMED
            case Taken.REFUSED:
                return Meaning.CULPRIT
        return Meaning.SETTLED

    def settle(self, records: Sequence[OutboxRow], answer: Posted) -> None:
        """Write an answer as the outcome of rows."""
        status = _STATES[answer.taken]
        self._parts.outbox.take_answer(records, status, answer)
        self._settled.update(row.id for row in records)
        if status in (Status.SUBMITTED, Status.UNKNOWN):
            self._taken += [
                replace(row, status=status, actual_ids=frozenset(answer.actual_ids.get(str(row.id), ())))
                for row in records
            ]
        elif status is Status.REFUSED:
            self._parts.summary.became["refused"] += len(records)
        elif records:
            self._parts.summary.waiting += len(records)
            self._parts.summary.outcomes.setdefault(records[0].estab, Outcome.UNAVAILABLE)

    def take_out(self, records: Sequence[OutboxRow], answer: Posted) -> list[OutboxRow]:
        """Refuse the rows about the pupil whom an answer names; return the others."""
        self.settle([row for row in records if _names(answer, row)], answer)
        return [row for row in records if not _names(answer, row)]

    def condemn(self, rest: list[OutboxRow]) -> list[OutboxRow]:
        """Return the rest of a batch after a cause was found: all of it is still to be sent."""
        return rest


def _names(answer: Posted, row: OutboxRow) -> bool:
    if answer.student_id is None:
        return False
    named = answer.student_id.lstrip("-")
    return any(str(pupil["StudentId"]).lstrip("-") == named for pupil in people_of(row))
