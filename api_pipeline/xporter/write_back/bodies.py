"""Check a row's body against the published reference before anything is sent. Pure; an error never quotes a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import orjson

from api_pipeline.run_summary import counted
from api_pipeline.xporter.write_back.rows import Kind

_MOST_LETTERS = 500
_COMMENTED = ("B", "K", "Y7")
_MARK = ("StudentId", "Date", "Mark")
_SESSION_MORE = ("Session", "Mins", "Notes", "StatutoryComment")
_CONDUCT = ("IncidentType", "RecordedById", "EntryDate", "TypeId")
_CONDUCT_MORE = ("ActivityId", "LocationId", "StatusId", "BullTypeId", "EntryTimeId", "Note")
_UPDATE = ("IncidentType", "UpdateId", "EntryDate")
_PARTICIPANT = ("StudentId", "Points")
_PARTICIPANT_MORE = ("OutcomeId", "RoleId", "Role")
_STAFF = ("StaffId",)
_DETENTION = ("DetentionTypeId", "LocationId", "DetentionDate")
_DETENTION_MORE = ("StartTime", "EndTime", "AssignedStaffId", "RecordedDate", "RecordedByStaffId")
_DETENTION_STUDENT_MORE = (
    *("ReasonId", "AttendedId", "NonAttendanceReason", "BehaviourId", "AddedByStaffId", "Comments"),
)
_IDS = ("StudentId", "StaffId", "InstanceId", "UpdateId", "Mark")
_MEDIA = ("MediaDateTime", "Description", "MediaType", "FileName", "MediaBase64")


class WrongBody(ValueError):
    """The row cannot be sent as it is; the text names members and no value."""


def read_body(kind: Kind, text: str) -> tuple[dict[str, Any], str]:
    """Return a row's body and the day that it is about. Errors: WrongBody."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise WrongBody("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise WrongBody("The body is not a JSON object.")
    match kind:
        case Kind.ATTENDANCE:
            _check_members(body, "body", (*_MARK, "Session"), _SESSION_MORE)
            return _stripped(body), _checked_session(body)
        case Kind.LESSON:
            _check_members(body, "body", (*_MARK, "InstanceId"), ())
            return _stripped(body), _day(body, "Date")
        case Kind.CONDUCT:
            return body, _checked_conduct(body)
        case Kind.DETENTION:
            return body, _checked_detention(body)


def _stripped(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mark's body without the blanks around its texts, with which it would not be known again."""
    return {name: value.strip() if isinstance(value, str) else value for name, value in body.items()}


def _checked_session(body: Mapping[str, Any]) -> str:
    if body["Session"] not in ("AM", "PM"):
        raise WrongBody("Session: expected AM or PM.")
    _check_length(body, ("Notes", "StatutoryComment"))
    if body["Mark"] in _COMMENTED and not str(body.get("StatutoryComment") or "").strip():
        raise WrongBody("StatutoryComment: expected one, because the mark is B, K or Y7.")
    return _day(body, "Date")


def _checked_conduct(body: Mapping[str, Any]) -> str:
    conduct = body.get("Conduct")
    if not isinstance(conduct, dict):
        raise WrongBody("Conduct: expected an object.")
    if "UpdateId" in conduct:
        return _checked_update(body, conduct)
    _check_members(body, "body", ("Conduct", "Participants"), ("Staff", "MediaFiles"))
    _check_members(conduct, "Conduct", _CONDUCT, _CONDUCT_MORE)
    _check_incident(conduct)
    _check_list(body, "Participants", _PARTICIPANT, _PARTICIPANT_MORE, "StudentId")
    _check_list(body, "Staff", _STAFF, ("StaffRoleId",), "StaffId")
    _check_list(body, "MediaFiles", _MEDIA, (), None)
    _check_people(body, "Participants", "Staff", "Conduct has no UpdateId to take it out of")
    return _day(conduct, "EntryDate")


def _checked_update(body: Mapping[str, Any], conduct: Mapping[str, Any]) -> str:
    """Check a change of a record; a person with a negative id is taken out of it."""
    _check_members(body, "body", ("Conduct",), ("Participants", "Staff"))
    changed = (*(name for name in _CONDUCT if name not in _UPDATE), *_CONDUCT_MORE)
    _check_members(conduct, "Conduct", _UPDATE, changed)
    _check_incident(conduct)
    _check_list(body, "Participants", ("StudentId",), ("Points", *_PARTICIPANT_MORE), "StudentId")
    _check_list(body, "Staff", _STAFF, ("StaffRoleId",), "StaffId")
    if conduct.get("Note") is None and not body.get("Participants") and not body.get("Staff"):
        raise WrongBody("body: expected a Note, Participants or Staff, because nothing else can be read again.")
    for pupil in body.get("Participants") or ():
        if not str(pupil["StudentId"]).startswith("-") and pupil.get("Points") is None:
            raise WrongBody("Participants: expected Points of a pupil who is not taken out.")
    return _day(conduct, "EntryDate")


def _checked_detention(body: Mapping[str, Any]) -> str:
    _check_members(body, "body", ("Detention", "DetentionStudents"), ("DetentionStaff",))
    detention = body["Detention"]
    if not isinstance(detention, dict):
        raise WrongBody("Detention: expected an object.")
    _check_members(detention, "Detention", _DETENTION, _DETENTION_MORE)
    _check_list(body, "DetentionStudents", ("StudentId",), _DETENTION_STUDENT_MORE, "StudentId")
    _check_list(body, "DetentionStaff", _STAFF, (), "StaffId")
    _check_people(body, "DetentionStudents", "DetentionStaff", "a detention is not changed by this program")
    return _day(detention, "DetentionDate")


def _check_people(body: Mapping[str, Any], pupils: str, staff: str, why: str) -> None:
    """Check that a new record has a pupil and takes nobody out, and say `why` it cannot."""
    for name, member in ((pupils, "StudentId"), (staff, "StaffId")):
        if any(str(row[member]).startswith("-") for row in body.get(name) or ()):
            raise WrongBody(f"{member}: expected no negative id, because {why}.")
    if not body[pupils]:
        raise WrongBody(f"{pupils}: expected one pupil at least.")


def _check_incident(conduct: Mapping[str, Any]) -> None:
    if conduct["IncidentType"] not in ("Ach", "Beh"):
        raise WrongBody("IncidentType: expected Ach or Beh.")
    _check_length(conduct, ("Note",))


def _check_list(
    body: Mapping[str, Any], name: str, needed: Iterable[str], more: Iterable[str], single: str | None
) -> None:
    rows = body.get(name)
    if rows is None:
        return
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WrongBody(f"{name}: expected an array of objects.")
    for row in rows:
        _check_members(row, name, needed, more)
    if single is None:
        return
    ids = [str(row[single]).strip().lstrip("-") for row in rows]
    if len(set(ids)) != len(ids):
        raise WrongBody(f"{name}: expected each {single} once.")


def _check_members(body: Mapping[str, Any], place: str, needed: Iterable[str], more: Iterable[str]) -> None:
    missing = [name for name in needed if body.get(name) is None or not str(body[name]).strip()]
    if missing:
        raise WrongBody(f"{place}: expected {', '.join(missing)}.")
    for name, value in body.items():
        if name in _IDS and (isinstance(value, bool) or not isinstance(value, (str, int))):
            raise WrongBody(f"{place}: expected {name} to be a text or a whole number.")
    known = {*needed, *more}
    unknown = sum(name not in known for name in body)
    if unknown:
        raise WrongBody(
            f"{place}: expected {', '.join(sorted(known))} and no other, got {counted(unknown, '{other|others}')}."
        )


def _check_length(body: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if len(str(body.get(name) or "")) > _MOST_LETTERS:
            raise WrongBody(f"{name}: expected {_MOST_LETTERS} characters at most.")


def _day(body: Mapping[str, Any], name: str) -> str:
    try:
        day = date.fromisoformat(str(body[name])).isoformat()
    except ValueError:
        day = ""
    if not day or day != body[name]:
        raise WrongBody(f"{name}: expected a day as YYYY-MM-DD.")
    return day
