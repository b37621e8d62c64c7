"""The invented rules of the simulated validation: references between collections, duplicate keys, one warning.

Their codes begin with SIM, because TEC's codes and texts are not ours to guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

COLLECTIONS = ("courses", "learners", "course-enrolments", "course-completions", "qualification-completions")
_FILE_TYPES = {
    "courses": "Course",
    "learners": "Learner",
    "course-enrolments": "Enrolment",
    "course-completions": "CourseCompletion",
    "qualification-completions": "QualificationCompletion",
}
Held = Mapping[str, Mapping[str, dict[str, Any]]]


def findings(held: Held, *, first_pass_only: bool) -> list[dict[str, Any]]:
    """Return what the rules find, in an order of their own. The first pass looks at a few fields alone."""
    first = list(_first_pass(held))
    if first_pass_only or first:
        return first
    return [*_references(held), *_duplicates(held), *_warnings(held)]


def _first_pass(held: Held) -> Iterator[dict[str, Any]]:
    for local_id, record in held["learners"].items():
        if record.get("gender") not in ("M", "F", "D"):
            yield _finding("learners", local_id, record, "SIM005", "Gender is not a code of the list.")


def _references(held: Held) -> Iterator[dict[str, Any]]:
    learners = {record.get("studentIdentificationCode") for record in held["learners"].values()}
    courses = {record.get("courseCode") for record in held["courses"].values()}
    for collection in ("course-enrolments", "course-completions", "qualification-completions"):
        for local_id, record in held[collection].items():
            if record.get("studentIdentificationCode") not in learners:
                yield _finding(collection, local_id, record, "SIM101", "The student is not among the learners.")
            if collection != "qualification-completions" and record.get("courseCode") not in courses:
                yield _finding(collection, local_id, record, "SIM102", "The course is not in the course register.")


def _duplicates(held: Held) -> Iterator[dict[str, Any]]:
    seen: set[object] = set()
    for local_id, record in held["courses"].items():
        code = record.get("courseCode")
        if code in seen:
            yield _finding("courses", local_id, record, "SIM103", "The course is in the register twice.")
        seen.add(code)


def _warnings(held: Held) -> Iterator[dict[str, Any]]:
    for local_id, record in held["courses"].items():
        if len(str(record.get("courseTitle") or "")) < 5:
            yield {
                **_finding("courses", local_id, record, "SIM900", "The course title is very short."),
                "errorType": "Warning",
            }


def _finding(collection: str, local_id: str, record: Mapping[str, Any], code: str, text: str) -> dict[str, Any]:
    return {
        "localId": local_id,
        "errorCode": code,
        "errorDescription": text,
        "errorType": "Error",
        "fileType": _FILE_TYPES[collection],
        "courseCode": record.get("courseCode"),
        "studentId": record.get("studentIdentificationCode"),
        "recordText": "|".join(str(value) for value in record.values()),
    }
