"""One row of the outbox, and the states it passes through. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any


class Kind(str, Enum):
    """What a row writes: the mark of a session, the mark of a lesson, an achievement or behaviour, or a detention."""

    ATTENDANCE = "attendance"
    LESSON = "lesson"
    CONDUCT = "conduct"
    DETENTION = "detention"


class Status(str, Enum):
    """Where a row stands.

    PENDING: to be sent. UNKNOWN: sent, and no clear answer came. SUBMITTED: the API took it. CONFIRMED: it was read in
    the school's data. REFUSED: it will not be written; `answer` says why. ERROR: somebody must look at it.
    """

    PENDING = "pending"
    UNKNOWN = "unknown"
    SUBMITTED = "submitted"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    ERROR = "error"


OPEN = (Status.PENDING, Status.UNKNOWN, Status.SUBMITTED)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row as it was read, with a body that passed its checks. `day` is the date that it is about.

    `seen_before` are the ids of records that looked the same before it was sent; `actual_ids` those that the API says
    it made.
    """

    id: int
    estab: str
    kind: Kind
    day: str
    body: dict[str, Any]
    status: Status
    sent_at: datetime | None = None
    attempts: int = 0
    seen_before: frozenset[str] = frozenset()
    actual_ids: frozenset[str] = frozenset()

    @property
    def makes_record(self) -> bool:
        """Return whether it would be entered twice if it was sent twice."""
        return self.kind in (Kind.CONDUCT, Kind.DETENTION) and self.update_id is None

    @property
    def update_id(self) -> str | None:
        """Return the conduct record that the row changes; None where it writes something new."""
        found = self.body["Conduct"].get("UpdateId") if self.kind is Kind.CONDUCT else None
        return None if found is None else str(found).strip()

    @property
    def slot(self) -> tuple[str, ...] | None:
        """Return what no other row may say anything else of; None where rows cannot contradict each other."""
        if self.makes_record:
            return None
        if self.update_id is not None:
            people = (
                f"{name} {pupil[member]}".replace("-", "")
                for name, member in (("pupil", "StudentId"), ("staff", "StaffId"))
                for pupil in self.body.get("Participants" if name == "pupil" else "Staff") or ()
            )
            return (self.kind.value, self.day, self.update_id, *sorted(people))
        place = self.body["Session"] if self.kind is Kind.ATTENDANCE else self.body["InstanceId"]
        return (self.kind.value, self.day, str(self.body["StudentId"]), str(place))
