"""Where the records that rows make stand in the school's data: incidents and detentions, and the people in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api_pipeline.xporter.write_back.rows import Kind, OutboxRow


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
