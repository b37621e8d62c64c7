"""Deliver one batch: its records are accepted, rejected one by one, or not delivered (contract 4).

If the receiver rejects the batch and names no record, the bad records are searched for (see `common.bisect`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from api_pipeline.api_response import Reason, given
from api_pipeline.common.bisect import Meaning, resolve
from api_pipeline.csc_api.answers import (
    Answer,
    Forbidden,
    Malformed,
    PermanentError,
    Receipts,
    TooLarge,
    Transient,
    Unauthorised,
    Unreadable,
)
from api_pipeline.delivery.access_probe import AccessProbe, Receiver
from api_pipeline.delivery.division import MAX_ATTEMPTS as DIVIDED_ATTEMPTS
from api_pipeline.delivery.division import Division, Suspect
from api_pipeline.model import Accepted, DeliveryFailed, Outcome, Record, Rejected

# After so many records rejected alone for one reason, with none accepted, a sample of the rest is sent. If that is
# rejected for the same reason, the other records get it without being sent.
_ENOUGH_REFUSED = 3
_SAMPLES = 5
# After so many records refused alone with 403, and no other answer since, a probe shows whether the run has access.
_MOST_UNPROVEN = 2
_ALONE = "sent alone, while the receiver answered otherwise"
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


class Delivery:
    """The delivery of one batch of records. `report` gets the outcomes of each POST as soon as they are known.

    `pause` waits a moment before a batch that got a 403 is tried once more.
    """

    def __init__(
        self,
        records: Sequence[Record],
        receiver: Receiver,
        probe: AccessProbe,
        report: Callable[[Sequence[Outcome]], None],
        pause: Callable[[], None],
    ) -> None:
        self._records = records
        self._receiver = receiver
        self._probe = probe
        self._report = report
        self._pause = pause
        self._has_lost_any = False
        self._uncertain: set[str] = set()
        self._division = Division(probe, records)
        # The reasons of records refused alone.
        self._refusals: list[Reason] = []
        # Records refused alone with 403, with no answer since that shows access: a quota may be used up instead.
        self._forbidden: list[tuple[Sequence[Record], Forbidden]] = []

    def run(self) -> bool:
        """Deliver the records; return whether they were lost to errors of the service with none accepted.

        Each record's outcome is reported once. A record without an outcome was not tried, because the run was stopped
        or an error was raised. Errors: AuthenticationRefused, ServiceUnavailable, Stopped.
        """
        pool = list(self._records)
        if self._division.was_lost_before:
            # In reverse: otherwise the neighbours that failed before would come first again, and use up the tries.
            pool.reverse()
        resolve(self, pool, self._first_post(pool))
        self._prove_access()
        self._conclude()
        return self._has_lost_any and not self._division.has_accepted_any

    def _first_post(self, records: Sequence[Record]) -> Answer:
        """Post the whole batch. After a 403 in a run that has access, try once more: a firewall may have caused it."""
        answer = self.post(records)
        if isinstance(answer, Forbidden) and self._probe.check(answer):
            self._pause()
            answer = self.post(records)
        return answer

    def meaning(self, answer: Answer) -> Meaning:
        """Return what is to be done after an answer: nothing more, or which way to divide the records."""
        match answer:
            case Transient() if self._division.follows_records(answer):
                return Meaning.TOO_LARGE
            case Receipts():
                return Meaning.ACCEPTED
            case TooLarge():
                return Meaning.TOO_LARGE
            case Malformed(named=named) if named:
                return Meaning.NAMED
            case Malformed() | Forbidden():
                return Meaning.CULPRIT
            case Unreadable() | Transient() | PermanentError() | Unauthorised():
                return Meaning.SETTLED

    def condemn(self, rest: list[Record]) -> list[Record]:
        """Reject the rest of a batch too, if every record so far was rejected for one and the same reason.

        Before that, a sample spread over the rest is sent one by one, because the bad records may merely be
        neighbours. Return the records that are still undecided.
        """
        if len(self._forbidden) >= _MOST_UNPROVEN:
            self._prove_access()
        if len(rest) <= _SAMPLES or len(self._refusals) < _ENOUGH_REFUSED or not self._is_one_reason():
            return rest
        sample = rest[:: math.ceil(len(rest) / _SAMPLES)]
        rest = [record for record in rest if record not in sample]
        for position, record in enumerate(sample):
            answer = self.post([record])
            self.settle([record], answer)
            if self._has_lost_any or not self._is_one_reason():
                return sample[position + 1 :] + rest
        self._prove_access()
        self._report([self._refused(record, self._refusals[-1]) for record in rest])
        return []

    def settle(self, records: Sequence[Record], answer: Answer) -> None:
        """Report the outcome of these records, which the answer decides."""
        match answer:
            case Receipts(code=code, receipts=receipts):
                self._probe.note_accepted()
                self._report_causes(self._division.accept())
                pairs = zip(records, receipts, strict=True)
                self._report([Accepted(record, receipt, code) for record, receipt in pairs])
            case Unreadable(code=code, reason=text):
                reason = given(text, code)
                self._report([Rejected(one, reason, may_have_arrived=True, is_unknown=True) for one in records])
            case Transient() if len(records) == 1 and self._division.suspect(records[0], answer):
                pass
            case Transient(code=lost_code, reason=text, may_have_arrived=arrived):
                self._has_lost_any = True
                reason, uncertain = given(text, lost_code), self._uncertain
                self._report([DeliveryFailed(one, reason, arrived or one.la_child_id in uncertain) for one in records])
            case Malformed(code=code, reason=text, named=named):
                self._refused_alone(records, given(named.get(0, text), code))
            case Forbidden(code=code, reason=text):
                self._forbidden.append((records, answer))
                self._refusals.append(given(text, code))
            case TooLarge(code=code, reason=text):
                self._refused_alone(records, given(text, code))
            case PermanentError(code=code, reason=text) | Unauthorised(code=code, reason=text):
                self._report([self._refused(record, given(text, code)) for record in records])

    def _conclude(self) -> None:
        """Report the records that failed alone and that no later acceptance has decided."""
        causes, others = self._division.conclude()
        self._report_causes(causes)
        if others:
            self._has_lost_any = True
            self._report([DeliveryFailed(one.record, one.reason, may_have_arrived=True) for one in others])

    def _report_causes(self, causes: Sequence[Suspect]) -> None:
        if causes:
            self._report([Rejected(one.record, one.reason.but(_ALONE), may_have_arrived=True) for one in causes])

    def _refused(self, record: Record, reason: Reason) -> Rejected:
        """Return the rejection of a record. An earlier request without an answer may still have been accepted."""
        return Rejected(record, reason, may_have_arrived=record.la_child_id in self._uncertain)

    def _refused_alone(self, records: Sequence[Record], reason: Reason) -> None:
        self._refusals.append(reason)
        self._report([self._refused(record, reason) for record in records])

    def _is_one_reason(self) -> bool:
        """Return whether no record was accepted, and those refused alone have one reason, whatever values it quotes."""
        kinds = {_VALUES.sub("#", reason.text) for reason in self._refusals}
        return len(kinds) == 1 and not self._division.has_accepted_any

    def _prove_access(self) -> None:
        """Report records refused alone with 403, unless access has ended since. Errors: AuthenticationRefused."""
        if self._forbidden:
            self._probe.check(self._forbidden[-1][1])
            self._report_forbidden()

    def _report_forbidden(self) -> None:
        taken, self._forbidden = self._forbidden, []
        for records, answer in taken:
            self._report([self._refused(record, given(answer.reason, answer.code)) for record in records])

    def take_out(self, records: Sequence[Record], answer: Answer) -> list[Record]:
        """Report the records that an answer names as rejected and return the others."""
        named = answer.named if isinstance(answer, Malformed) else {}
        self._report([self._refused(records[place], given(text, answer.code)) for place, text in named.items()])
        return [record for position, record in enumerate(records) if position not in named]

    def post(self, records: Sequence[Record]) -> Answer:
        """Send records. If the answer is unclear, record that their outcome is open."""
        division = self._division
        if division.end is not None:
            return division.end
        most = DIVIDED_ATTEMPTS if division.is_under_way else None
        answer = self._receiver.post([record.body for record in records], most)
        # Not a 413: a gateway gives it before it looks at token and key.
        if isinstance(answer, Malformed):
            self._probe.note_access()
        if isinstance(answer, (Receipts, Malformed)):
            self._report_forbidden()
        if isinstance(answer, (Malformed, Forbidden, TooLarge, PermanentError, Transient)) and answer.may_have_arrived:
            self._uncertain.update(record.la_child_id for record in records)
        return answer
