"""Settle rows that were sent by what the school's data show of the same day: done, to be sent again, lost. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api_pipeline.run_summary import counted
from api_pipeline.xporter.values import member_of, text_of
from api_pipeline.xporter.write_back.rows import Kind, OutboxRow, Shape, Status, people_of, shape_of

_MOST_ATTEMPTS = 5
_NO_MARK = ("", "-", "N")
REPLACED = "Replaced by later rows about the same."


@dataclass(frozen=True, slots=True)
class Seen:
    """The tables of an answer by name in lower case, and as of when its data were read from the school, if it says."""

    tables: Mapping[str, list[Mapping[str, Any]]]
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What reading says of a row: its new state and why. `ids` are the records that it is in the school's data."""

    status: Status
    text: str
    ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Waits:
    """How long a sent row may be on its way before it is sent again, and before somebody must look at it."""

    settle: timedelta
    confirm: timedelta


def settle(row: OutboxRow, seen: Seen, claimed: Set[str], now: datetime, waits: Waits) -> Settled | None:
    """Return what the school's data say of a row that was sent; None while that is not known yet.

    `claimed` are ids of conduct records that other rows are.
    """
    if row.update_id is not None:
        if row.parts == row.overtaken:
            return Settled(Status.REFUSED, REPLACED)
        if is_changed(row, row.update_id, seen):
            return Settled(Status.CONFIRMED, "Read again in the school's data.")
    elif row.makes_record:
        ids = look_alike(row, seen, claimed | row.seen_before)
        if ids is not None:
            return Settled(Status.CONFIRMED, "Read again in the school's data.", ids)
    else:
        found = _mark_of(row, seen)
        if found == str(row.body["Mark"]):
            return Settled(Status.CONFIRMED, "Read again in the school's data.")
        if row.body["Mark"] == "N" and found not in _NO_MARK:
            return Settled(Status.REFUSED, "The school has a mark of its own there, which N does not replace.")
    # Some pupils of the row may have their record already: sent again, they would have two.
    is_partly_there = row.makes_record and bool(looks_taken(row, seen) - claimed - row.seen_before)
    return _not_there(row, seen, now, waits, is_partly_there=is_partly_there)


def _not_there(row: OutboxRow, seen: Seen, now: datetime, waits: Waits, *, is_partly_there: bool) -> Settled | None:
    sent = row.sent_at or now
    hours = counted(waits.confirm.total_seconds() / 3600, "{hour|hours}", "g")
    if row.status is Status.PENDING and not is_partly_there:
        # It was refused for a moment. Data of before the sending cannot show whether it was written all the same.
        if row.makes_record and seen.as_of is not None and seen.as_of <= sent and now - sent < waits.confirm:
            return None
        return Settled(Status.PENDING, "The school's data do not show it; it is sent again.")
    if row.status is Status.UNKNOWN and not is_partly_there and _may_send_again(row, seen, sent, now, waits):
        return Settled(Status.PENDING, "No clear answer came, and the school's data do not show it; it is sent again.")
    if now - sent < waits.confirm:
        return None
    if is_partly_there:
        return Settled(
            Status.ERROR,
            f"After {hours} the school's data show it for some of its pupils only. Look in the school's system; "
            "add a row for the others.",
        )
    if row.status is Status.UNKNOWN:
        return Settled(
            Status.ERROR,
            f"No clear answer came, and after {hours} the school's data do not show it. Look in the school's system; "
            "set the status to pending to send it again.",
        )
    return Settled(
        Status.ERROR, f"It was taken, and after {hours} the school's data do not show it. Look in the school's system."
    )


def _may_send_again(row: OutboxRow, seen: Seen, sent: datetime, now: datetime, waits: Waits) -> bool:
    if row.attempts >= _MOST_ATTEMPTS:
        return False
    if row.makes_record:
        # Sent twice it would be entered twice: only data that are younger than the sending prove that it is missing.
        return seen.as_of is not None and seen.as_of > sent + waits.settle
    return now > sent + waits.settle


def is_changed(row: OutboxRow, record: str, seen: Seen) -> bool:
    """Return whether a conduct record shows what a row changes: its note, the pupils' points, who is in it.

    What later rows say of the same is theirs to find.
    """
    body = row.body_to_send
    conduct = body["Conduct"]
    shape = _shape(row)
    entry = next((one for one in seen.tables.get(shape.table, ()) if text_of(one, "id") == record), None)
    is_readable = conduct.get("Note") is not None or body.get(shape.people) or body.get(shape.staff)
    if entry is None:
        return False
    if not is_readable:
        # Its other members, such as a place, are never read again: that the API took them has to be enough.
        return row.status is Status.SUBMITTED
    if conduct.get("Note") is not None and text_of(entry, "description") != str(conduct["Note"]).strip():
        return False
    for people, place, member in (
        (shape.people, shape.pupils_table, "StudentId"),
        (shape.staff, shape.staff_table, "StaffId"),
    ):
        links = [link for link in seen.tables.get(place, ()) if text_of(link, shape.parent) == record]
        points = {text_of(link, member.lower()): member_of(link, "points") for link in links}
        for person in body.get(people) or ():
            key = str(person[member]).strip()
            if key.startswith("-"):
                if key[1:] in points:
                    return False
            elif key not in points or (member == "StudentId" and not _equal(points[key], person["Points"])):
                return False
    return True


def _mark_of(row: OutboxRow, seen: Seen) -> str:
    """Return the mark that stands in the place of a row's, "" for none."""
    place = "Session" if row.kind is Kind.ATTENDANCE else "InstanceId"
    wanted = (str(row.body["StudentId"]), str(row.body[place]))
    for mark in seen.tables.get("attendmarks", ()):
        is_lesson = text_of(mark, "type").upper().startswith("L")
        if is_lesson is not (row.kind is Kind.LESSON) or text_of(mark, "date")[:10] != row.day:
            continue
        if (text_of(mark, "studentid"), text_of(mark, place.lower())) == wanted:
            return text_of(mark, "mark")
    return ""


def look_alike(row: OutboxRow, seen: Seen, not_these: Set[str]) -> frozenset[str] | None:
    """Return the ids of the records that a conduct row is in the school's data; None where a pupil of it has none.

    One record may have all its pupils (SIMS) or one each (Bromcom). Where the API named its ids, these decide.
    """
    if row.actual_ids:
        return _named_records(row, seen)
    parents, links = _conduct_rows(row, seen)
    free: list[set[str]] = []
    for pupil in people_of(row):
        ids = {parent for parent in _parents_of(pupil, links) if parent in parents}
        free.append(ids - not_these)
    if not all(free):
        return None
    shared = set.intersection(*free)
    if shared:
        return frozenset({min(shared)})
    taken: set[str] = set()
    for ids in free:
        left = ids - taken
        if not left:
            return None
        taken.add(min(left))
    return frozenset(taken)


def _named_records(row: OutboxRow, seen: Seen) -> frozenset[str] | None:
    """Return the ids of the records that the API named; None where one is missing. Their texts may differ from ours:
    a school's system may cut a note, or write its line ends in another way."""
    known: dict[str, str] = {}
    for entry in seen.tables.get(_shape(row).table, ()):
        key = text_of(entry, "id")
        # An incident has a second id, and it is not published which one the API names.
        known |= {text_of(entry, "conductid"): key, key: key}
    return frozenset(known[one] for one in row.actual_ids) if row.actual_ids <= known.keys() else None


def looks_taken(row: OutboxRow, seen: Seen) -> frozenset[str]:
    """Return the ids of all records that look like a conduct row, or like a part of it."""
    parents, links = _conduct_rows(row, seen)
    ids = {parent for pupil in people_of(row) for parent in _parents_of(pupil, links)}
    return frozenset(ids & set(parents))


def _conduct_rows(row: OutboxRow, seen: Seen) -> tuple[set[str], list[tuple[str, str, Any]]]:
    """Return the ids of the records that look like a row's own, and all links as parent, pupil, points."""
    shape = _shape(row)
    parents = {
        text_of(entry, "id")
        for entry in seen.tables.get(shape.table, ())
        if text_of(entry, shape.day)[:10] == row.day and _looks_like(entry, row.body[shape.head], shape)
    }
    links = [
        (text_of(entry, shape.parent), text_of(entry, "studentid"), member_of(entry, "points"))
        for entry in seen.tables.get(shape.pupils_table, ())
    ]
    return parents, links


def _shape(row: OutboxRow) -> Shape:
    shape = shape_of(row)
    assert shape is not None  # noqa: S101 - a mark is not looked for among records
    return shape


def _looks_like(entry: Mapping[str, Any], head: Mapping[str, Any], shape: Shape) -> bool:
    """Return whether a record has the note of an incident, or the type, place and beginning of a detention."""
    for name, column in shape.signs:
        ours, theirs = str(head.get(name) or "").strip(), text_of(entry, column)
        # A time may come with its date and seconds.
        if ours and ours != theirs and not (name == "StartTime" and ours in theirs):
            return False
    return True


def _parents_of(pupil: Mapping[str, Any], links: Iterable[tuple[str, str, Any]]) -> Iterable[str]:
    wanted = str(pupil["StudentId"]).strip()
    # A detention has no points.
    return (
        parent
        for parent, student, points in links
        if student == wanted and ("Points" not in pupil or _equal(points, pupil["Points"]))
    )


def _equal(one: Any, other: Any) -> bool:
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return str(one) == str(other)
