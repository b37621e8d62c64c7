"""One row of the outbox, the states it passes through, and where the record that it makes stands in the data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeAlias

# A member of a record's head, or one of its people: the list, and the id.
Part: TypeAlias = "tuple[str, str]"
_PEOPLE = (("Participants", "StudentId"), ("Staff", "StaffId"))
# What only says which record is meant.
_NAMES = frozenset({("Conduct", "IncidentType"), ("Conduct", "UpdateId"), ("Conduct", "EntryDate")})


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


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row as it was read, with a body that passed its checks. `day` is the date that it is about.

    `seen_before` are the ids of records that looked the same before it was sent; `actual_ids` those that the API says
    it made. `overtaken` are the parts of a changed record that later rows, which were sent, say something of.
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
    overtaken: frozenset[Part] = frozenset()

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
    def place(self) -> tuple[str, ...] | None:
        """Return where it writes: a session, a lesson or a record; None where no other row can say anything else."""
        if self.makes_record:
            return None
        if self.update_id is not None:
            # Achievements and behaviour incidents may be counted each for themselves.
            return (self.body["Conduct"]["IncidentType"], self.day, self.update_id)
        place = self.body["Session"] if self.kind is Kind.ATTENDANCE else self.body["InstanceId"]
        return (self.kind.value, self.day, str(self.body["StudentId"]), str(place))

    @property
    def way(self) -> tuple[str, str]:
        """Return what it shares with the rows that one missing scope or unknown address concerns: kind and endpoint."""
        shape = shape_of(self)
        return self.kind.value, shape.endpoint if shape else ""

    @property
    def parts(self) -> frozenset[Part]:
        """Return what it says of that place: of a record single members and people, of a session its mark alone."""
        if self.update_id is None:
            return frozenset({("Mark", "")})
        found = {("Conduct", name) for name, value in self.body["Conduct"].items() if value is not None}
        for name, member in _PEOPLE:
            found |= {part_of(name, person[member]) for person in self.body.get(name) or ()}
        return frozenset(found - _NAMES)

    @property
    def body_to_send(self) -> dict[str, Any]:
        """Return the body without what later rows, which were sent before it, say of the same record."""
        if not self.overtaken:
            return self.body
        conduct = self.body["Conduct"]
        left: dict[str, Any] = {
            "Conduct": {name: conduct[name] for name in conduct if ("Conduct", name) not in self.overtaken}
        }
        for name, member in _PEOPLE:
            people = self.body.get(name) or ()
            left[name] = [person for person in people if part_of(name, person[member]) not in self.overtaken]
        return left


def part_of(people: str, person_id: object) -> Part:
    """Return the part that is one person in a list of people; whoever is taken out has a minus before the id."""
    return people, str(person_id).strip().removeprefix("-")


@dataclass(frozen=True, slots=True)
class Shape:
    """Names of one sort of record: of its members in a row's body, and of its tables and columns in the data.

    `day` is the column of the day that it is about; `parent` ties pupils and staff to the record. `signs` are members
    of the head that the data show as they were sent, each with its column.
    """

    head: str
    people: str
    staff: str
    endpoint: str
    table: str
    pupils_table: str
    staff_table: str
    parent: str
    day: str
    signs: tuple[tuple[str, str], ...] = (("Note", "description"),)


_ACHIEVEMENT = Shape(
    *("Conduct", "Participants", "Staff", "AchievementForDateRange"),
    *("achievements", "studentachievements", "staffachievements", "achievementid", "date"),
)
_BEHAVIOUR = Shape(
    *("Conduct", "Participants", "Staff", "BehaviourForDateRange"),
    *("behaviour", "studentbehaviour", "staffbehaviour", "behaviourid", "date"),
)
_DETENTION = Shape(
    *("Detention", "DetentionStudents", "DetentionStaff", "Detentions"),
    *("detentions", "detentionstudents", "detentionotherstaff", "detentionid", "detentiondate"),
    signs=(("DetentionTypeId", "detentiontypeid"), ("LocationId", "locationid"), ("StartTime", "starttime")),
)


def shape_of(row: OutboxRow) -> Shape | None:
    """Return the shape of the record that a row makes or changes; None for a mark."""
    match row.kind:
        case Kind.CONDUCT:
            return _ACHIEVEMENT if row.body["Conduct"]["IncidentType"] == "Ach" else _BEHAVIOUR
        case Kind.DETENTION:
            return _DETENTION
        case Kind.ATTENDANCE | Kind.LESSON:
            return None


def people_of(row: OutboxRow) -> list[Mapping[str, Any]]:
    """Return the pupils whom a row names, each as the members that name them."""
    shape = shape_of(row)
    return [row.body] if shape is None else list(row.body.get(shape.people) or ())
