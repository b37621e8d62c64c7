"""Halve a batch that keeps failing although the receiver works, to find the record or the size that causes it.

One record may make the receiver fail with HTTP 500, or take a gateway too long (408, 504), or a batch may be too large
for a gateway that resets the connection. Such a batch would fail every night. So it is halved down to single records,
with at most four requests a record, if the receiver still answers, or accepted other records meanwhile, or the batch
failed in an earlier night. A record that fails alone while others are accepted is the cause (contract 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from api_pipeline.api_response import Reason, given, read
from api_pipeline.csc_api.answers import Transient
from api_pipeline.delivery.access_probe import AccessProbe
from api_pipeline.model import Record, StagedRow

MAX_ATTEMPTS = 2
_PROBE_EVERY = 3
# These answers are about how often requests come, and not about what is in them.
_THROTTLED = frozenset({425, 429})
# If so many single records fail and none is accepted, the receiver answers an empty array but takes nothing.
_ENOUGH_ALONE = 5


class Suspect(NamedTuple):
    """A record that failed when it was sent alone, and its last answer."""

    record: Record
    answer: Transient

    @property
    def reason(self) -> Reason:
        """Return the reason in its last answer."""
        return given(self.answer.reason, self.answer.code)


class Division:
    """Decide, for one batch, whether its records cause the errors, and which of them."""

    def __init__(self, probe: AccessProbe, records: Sequence[Record]) -> None:
        self._probe = probe
        # Whether a record was lost to an error of the service in an earlier run. Only rows in error can say so.
        in_error = [record.row for record in records if record.row.submission_status == "error"]
        self.was_lost_before = any(map(was_lost_before, in_error))
        self._accepted_before = probe.accepted
        self._suspects: list[Suspect] = []
        self.has_accepted_any = False
        # None until the first error that records may cause.
        self.is_under_way: bool | None = None
        self.end: Transient | None = None

    def follows_records(self, answer: Transient) -> bool:
        """Return whether the batch is to be halved after this error."""
        if not is_divisible(answer):
            if self.is_under_way and answer.code is None:
                self.end = answer
            return False
        if self.is_under_way is None:
            self.is_under_way = (
                self.was_lost_before or self._probe.accepted > self._accepted_before or self._probe.is_answering()
            )
        return self.is_under_way and self.end is None

    def suspect(self, record: Record, answer: Transient) -> bool:
        """Record that a record failed alone. Return False if its error says nothing about the record itself."""
        if not self.is_under_way or self.end is not None or not is_divisible(answer):
            return False
        self._suspects.append(Suspect(record, answer))
        count = len(self._suspects)
        takes_nothing = count >= _ENOUGH_ALONE and not self.has_accepted_any
        if takes_nothing or (count % _PROBE_EVERY == 0 and not self._probe.is_answering()):
            self.end = answer
        return True

    def accept(self) -> list[Suspect]:
        """Record that others were accepted, and return the suspects: they must be the cause of their own errors."""
        self.has_accepted_any = True
        return self._taken()

    def conclude(self) -> tuple[list[Suspect], list[Suspect]]:
        """Return the suspects left at the end of the batch in two lists: those that are the cause, and the others."""
        left = self._taken()
        if not left or self.end is not None or not self._probe.is_answering():
            return [], left
        causes = [one for one in left if self._probe.accepted or was_lost_before(one.record.row)]
        return causes, [one for one in left if one not in causes]

    def _taken(self) -> list[Suspect]:
        taken, self._suspects = self._suspects, []
        return taken


def is_divisible(answer: Transient) -> bool:
    """Return whether the records may cause this error: 5xx, 408, or a connection lost after they were sent."""
    if answer.code is None:
        return answer.may_have_arrived
    return answer.code not in _THROTTLED


def was_lost_before(row: StagedRow) -> bool:
    """Return whether the row's last answer, of an earlier run, was such an error."""
    return row.submission_status == "error" and read(row.api_response or "").is_of_service
