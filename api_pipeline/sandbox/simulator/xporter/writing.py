"""What the simulated API does with attendance and conduct that are written back: checks, a queue, and the school."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from api_pipeline.sandbox.simulator.answer import Answer, json_answer
from api_pipeline.sandbox.simulator.xporter.school import School

WRITE_PATHS = ("/api/v1/Attendance/", "/api/v1/AttendanceAsync/", "/api/v1/Writeback/")
_INCIDENTS = {
    "Ach": ("AchievementForDateRange", "Achievements", "StudentAchievements", "AchievementId"),
    "Beh": ("BehaviourForDateRange", "Behaviour", "StudentBehaviour", "BehaviourId"),
}


class Refused(Exception):
    """A validation error, in the words of the reference."""


def write(school: School, path: str, body: bytes, *, is_queued: bool, is_lost: bool) -> Answer:
    """Return the answer to a writing request. Errors: Refused.

    With `is_queued` the school's system sees the rows at its next `take_queue`; with `is_lost` it never does.
    """
    asked = orjson.loads(body)
    is_async = "Async" in path
    if is_async and not asked.get("Callback"):
        raise Refused("Missing mandatory field Callback")
    results: list[dict[str, Any]] = []
    if "Detentions" in asked:
        moves = _detentions(school, asked, results)
    elif "Conduct" in path:
        _check_conducts(school, asked)
        moves = _conducts(school, asked, results)
    else:
        _check_marks(school, asked)
        moves = [("mark", mark) for mark in asked["Marks"]]
    if not is_lost:
        school.queue += moves
    if not is_queued:
        take_queue(school)
    if is_async:
        tracking = f"20250101000000.{school.estab}-{school.writes}"
        school.writes += 1
        row = {"trackingid": tracking, "errorquery": "Writeback.Async_OnError"}
        return json_answer(200, {"TrackingId": tracking, "DataSet": {"trackingid": [row]}, "Message": "success"})
    body_members: dict[str, Any] = {"Message": "success", "ExceptionMessage": None}
    return json_answer(200, {**body_members, "result": results} if results else body_members)


def take_queue(school: School) -> None:
    """Bring what waits into the school's system."""
    for kind, row in school.queue:
        if kind == "mark":
            _mark(school, row)
        elif kind == "change":
            _change(school, row)
        elif kind == "detention":
            for table, entry in row["rows"]:
                school.data["Detentions"][table][str(entry["Id"])] = entry
        else:
            endpoint, table, link_table, _ = _INCIDENTS[row["incident"]]
            school.data[endpoint][table][str(row["entry"]["Id"])] = row["entry"]
            for link in row["links"]:
                school.data[endpoint][link_table][str(link["Id"])] = link
    school.queue.clear()


def _detentions(
    school: School, asked: Mapping[str, Any], results: list[dict[str, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    if school.mis != "sims":
        raise Refused("Conduct writeback is not supported for Bromcom")
    for pupil in asked.get("DetentionStudents", ()):
        if str(pupil["StudentId"]) not in school.pupils:
            raise Refused(f"Invalid StudentId: {pupil['StudentId']}")
    moves: list[tuple[str, dict[str, Any]]] = []
    for detention in asked["Detentions"]:
        school.writes += 1
        key = 60000 + school.writes
        rows = [("Detentions", {**detention, "Id": key})]
        for place, table in (("DetentionStudents", "DetentionStudents"), ("DetentionStaff", "DetentionOtherStaff")):
            people = [entry for entry in asked.get(place, ()) if entry["DetentionId"] == detention["Id"]]
            rows += [
                (table, {**entry, "DetentionId": key, "Id": f"{key}.{number}"}) for number, entry in enumerate(people)
            ]
        moves.append(("detention", {"rows": rows}))
        results.append({"DetentionId": detention["Id"], "ActualId": key})
    return moves


def _check_marks(school: School, asked: Mapping[str, Any]) -> None:
    if school.mis != "sims":
        raise Refused("Attendance writeback is not supported for Bromcom")
    if len({mark.get("Date") for mark in asked["Marks"]}) != 1:
        raise Refused("Only write back a set of marks for the same date")
    for mark in asked["Marks"]:
        if str(mark.get("StudentId")) not in school.pupils:
            raise Refused(f"Invalid StudentId: {mark.get('StudentId')}")
        if mark["MarkType"] == "L" and not mark.get("InstanceId"):
            raise Refused("InstanceId required for Lesson attendance writeback")
        if mark["Mark"] not in school.data["AttendanceCodes"]["AttendCodes"]:
            raise Refused(f"Invalid Mark provided: {mark['Mark']}")


def _mark(school: School, mark: Mapping[str, Any]) -> None:
    key, day = str(mark["StudentId"]), mark["Date"]
    place = mark.get("Session") or mark["InstanceId"]
    student = school.pupils[key]["Id"] if key in school.pupils else key
    name = f"{student}.{day}.{place}"
    marks = school.data["AttendanceForDateRange"]["AttendMarks"] if mark["MarkType"] == "S" else school.lessons
    there = marks.get(name, {}).get("Mark")
    if mark["Mark"] == "N" and there not in (None, "", "-", "N"):
        return
    row = {"Id": name, "Date": day, "StudentId": student, "Mark": mark["Mark"], "Type": mark["MarkType"]}
    marks[name] = {**row, "Session": place} if mark["MarkType"] == "S" else {**row, "InstanceId": place}


def _check_conducts(school: School, asked: Mapping[str, Any]) -> None:
    changed = [conduct["Id"] for conduct in asked["Conducts"] if conduct.get("UpdateId")]
    for pupil in asked.get("Participants", ()):
        key = str(pupil["StudentId"])
        if key.startswith("-") and pupil["ConductId"] not in changed:
            raise Refused("You must provide an UpdateId when trying to remove students from a behaviour record")
        if key.startswith("-") and school.mis != "sims":
            raise Refused("Deletion of conduct records is not supported for Bromcom")
        if key.lstrip("-") not in school.pupils:
            raise Refused(f"Invalid StudentId: {pupil['StudentId']}")
    for conduct in asked["Conducts"]:
        if "UpdateId" not in conduct and str(conduct["TypeId"]) == "0":
            raise Refused(f"Invalid TypeId {conduct['TypeId']}")


def _change(school: School, asked: Mapping[str, Any]) -> None:
    """Change a record that is there: its note, the points of its pupils, and who is in it."""
    conduct = asked["conduct"]
    endpoint, table, link_table, parent = _INCIDENTS[conduct["IncidentType"]]
    tables = school.data[endpoint]
    record = str(conduct["UpdateId"])
    if record not in tables[table]:
        return
    if conduct.get("Note") is not None:
        tables[table][record]["Description"] = conduct["Note"]
    key = tables[table][record]["Id"]
    for places, member, entries in (
        (link_table, "StudentId", asked["pupils"]),
        (link_table.replace("Student", "Staff"), "StaffId", asked["staff"]),
    ):
        for entry in entries:
            person = str(entry[member])
            name = f"{key}.{person.lstrip('-')}"
            if person.startswith("-"):
                tables[places].pop(name, None)
            else:
                tables[places][name] = {"Id": name, member: person, parent: key, "Points": entry.get("Points")}


def _conducts(
    school: School, asked: Mapping[str, Any], results: list[dict[str, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    """Return what is to be brought into the school; one record a pupil where the school has Bromcom."""
    moves: list[tuple[str, dict[str, Any]]] = []
    for conduct in asked["Conducts"]:
        pupils = [entry for entry in asked.get("Participants", ()) if entry["ConductId"] == conduct["Id"]]
        if conduct.get("UpdateId"):
            staff = [entry for entry in asked.get("Staff", ()) if entry["ConductId"] == conduct["Id"]]
            moves.append(("change", {"conduct": conduct, "pupils": pupils, "staff": staff}))
            results.append({"IncidentId": conduct["Id"], "ActualId": conduct["UpdateId"]})
            continue
        _, _, _, parent = _INCIDENTS[conduct["IncidentType"]]
        for group in [pupils] if school.mis == "sims" else [[pupil] for pupil in pupils]:
            school.writes += 1
            key: object = f"B{70000 + school.writes}" if school.mis == "bromcom" else 40000 + school.writes
            entry = {"Id": key, "ConductId": key, "Date": conduct["EntryDate"], "Description": conduct.get("Note")}
            links = [
                {"Id": f"{key}.{pupil['StudentId']}", "StudentId": pupil["StudentId"], parent: key}
                | {"Points": pupil["Points"]}
                for pupil in group
            ]
            moves.append(("conduct", {"incident": conduct["IncidentType"], "entry": entry, "links": links}))
            results.append({"IncidentId": conduct["Id"], "ActualId": key})
    return moves
