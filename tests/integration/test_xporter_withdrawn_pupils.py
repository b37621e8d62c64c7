"""A pupil who is no longer on the roll is taken out where no published column names the pupil as well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.db import Connection, connect
from api_pipeline.sandbox.simulator.xporter import School
from tests.support.databases import TestDatabase, over_odbc
from tests.support.xporter import TODAY, Rehearsal, make_school, total, upns

_WEEKS_AGO = str(TODAY - timedelta(weeks=5))
_CLOSED: dict[str, Any] = {"weeks_back": 0, "earliest": TODAY - timedelta(weeks=5)}


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[Connection]:
    opened = connect(database.connection_string)
    yield opened
    opened.close()


def _school_with_an_incident() -> tuple[School, str, str]:
    """Return a school, and the two of its three pupils who were in an incident of a closed week."""
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    first, second, _ = school.pupils
    behaviour = school.data["BehaviourForDateRange"]
    behaviour["Behaviour"]["7"] = {"Id": 7, "Date": _WEEKS_AGO, "StudentIds": f"{first}, {second}"}
    for link, pupil in (("1", first), ("2", second)):
        behaviour["StudentBehaviour"][link] = {"Id": int(link), "BehaviourId": 7, "StudentId": pupil}
    return school, first, second


def _pupils_of_incidents(rehearsal: Rehearsal) -> set[str | None]:
    """Return the list of pupils of each incident that is landed in a closed week, in a column or in `extra`."""
    table = rehearsal.names.table("BehaviourForDateRange_Behaviour")
    column = rehearsal.names.column("StudentIds")
    closed = f"time_window < '{TODAY - timedelta(weeks=1)}'"
    landing = next(one for one in rehearsal.store().existing() if one.name == "BehaviourForDateRange_Behaviour")
    if "StudentIds" in landing.columns:
        return {row[0] for row in rehearsal.connection.query(f"SELECT {column} FROM {table} WHERE {closed}")}
    found = [row[0] for row in rehearsal.connection.query(f"SELECT extra FROM {table} WHERE {closed}")]
    return {json.loads(text)["StudentIds"] if text else None for text in found}


@over_odbc
@pytest.mark.parametrize("adds_columns", [False, True])
def test_incident_of_a_closed_week_names_no_pupil_who_is_gone(
    database: TestDatabase, connection: Connection, tmp_path: Path, adds_columns: bool
) -> None:
    school, first, second = _school_with_an_incident()
    endpoints = ("Students", "BehaviourForDateRange+includeStudentIds")
    rehearsal = Rehearsal(tmp_path / "list.db", [school], endpoints=endpoints, connection=connection)
    rehearsal.collect(adds_columns=adds_columns, **_CLOSED)
    assert _pupils_of_incidents(rehearsal) == {f"{first}, {second}"}
    school.leave(first)

    assert rehearsal.collect(adds_columns=adds_columns, **_CLOSED).exit_code == 0

    assert _pupils_of_incidents(rehearsal) == {second}


@over_odbc
def test_marks_of_closed_weeks_go_with_a_pupil_whose_id_has_blanks_around_it(
    database: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    school = make_school(1, pupils=2, weeks=5, today=TODAY)
    first, second = school.pupils
    for mark in school.data["AttendanceForDateRange"]["AttendMarks"].values():
        mark["StudentId"] = f"{mark['StudentId']}   "
    endpoints = ("Students", "AttendanceForDateRange")
    rehearsal = Rehearsal(tmp_path / "blanks.db", [school], endpoints=endpoints, connection=connection)
    rehearsal.collect(**_CLOSED)
    school.leave(first)

    assert rehearsal.collect(**_CLOSED).counts.rows_gone > 0

    marks, pupil = rehearsal.names.table("AttendanceForDateRange_AttendMarks"), rehearsal.names.column("StudentId")
    closed = f"time_window < '{TODAY - timedelta(weeks=1)}'"
    named = rehearsal.connection.query(f"SELECT DISTINCT LTRIM(RTRIM({pupil})) FROM {marks} WHERE {closed}")
    assert [str(row[0]) for row in named] == [second]


def test_list_of_pupils_that_is_not_published_names_no_child_of_others(tmp_path: Path) -> None:
    school, first, _ = _school_with_an_incident()
    endpoints = ("Students", "BehaviourForDateRange+includeStudentIds")
    cohort = upns(school, first)
    rehearsal = Rehearsal(tmp_path / "other.db", [school], endpoints=endpoints, cohort=cohort)

    assert rehearsal.collect(**_CLOSED).exit_code == 0

    assert _pupils_of_incidents(rehearsal) == {first}


@over_odbc
@pytest.mark.parametrize("adds_columns", [False, True])
def test_rows_of_a_table_without_published_columns_go_with_their_pupil(
    database: TestDatabase, connection: Connection, tmp_path: Path, adds_columns: bool
) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    first, second = school.pupils
    school.data["StudentInterventions"] = {
        "StudentInterventions": {key: {"Id": key, "StudentId": pupil} for key, pupil in (("1", first), ("2", second))}
    }
    endpoints = ("Students", "StudentInterventions")
    rehearsal = Rehearsal(tmp_path / "untold.db", [school], endpoints=endpoints, connection=connection)
    rehearsal.collect(adds_columns=adds_columns, **_CLOSED)
    rehearsal.endpoints = ("Students",)
    rows = total(rehearsal, "StudentInterventions", school.estab)
    school.leave(first)

    summary = rehearsal.collect(adds_columns=adds_columns, **_CLOSED)

    assert total(rehearsal, "StudentInterventions", school.estab) == rows // 2
    assert summary.counts.rows_gone == rows // 2
    counted = {sync["row_count"] for sync in rehearsal.store().syncs() if sync["time_window"]}
    assert counted == {1}


@over_odbc
@pytest.mark.parametrize("adds_columns", [False, True])
def test_row_goes_with_the_pupil_of_its_id_and_not_of_an_equal_number_of_another_kind(
    database: TestDatabase, connection: Connection, tmp_path: Path, adds_columns: bool
) -> None:
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    first, second, _ = school.pupils
    school.data["Tags"] = {
        "Tags": {
            "1": {"Id": "1.tag", "StudentId": second, "StudentMis_Id": first},
            "2": {"Id": "2.tag", "StudentMis_Id": first},
        }
    }
    rehearsal = Rehearsal(tmp_path / "tags.db", [school], endpoints=("Students", "Tags"), connection=connection)
    rehearsal.collect(adds_columns=adds_columns)
    rehearsal.endpoints = ("Students",)
    school.leave(first)

    rehearsal.collect(adds_columns=adds_columns)

    assert connection.query(f"SELECT row_key FROM {rehearsal.names.table('Tags')}") == [("1.tag",)]


@over_odbc
def test_rows_of_staff_stay_when_a_pupil_with_the_same_number_is_gone(
    database: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    first, second = school.pupils
    people = {"1": ("Student", first), "2": ("Staff", first), "3": ("pupil ", first), "4": ("Student", second)}
    school.data["PersonComms"] = {
        "PersonComms": {
            key: {"Id": key, "PersonType": kind, "PersonId": person} for key, (kind, person) in people.items()
        }
    }
    endpoints = ("Students", "PersonComms")
    rehearsal = Rehearsal(tmp_path / "staff.db", [school], endpoints=endpoints, connection=connection)
    rehearsal.collect()
    rehearsal.endpoints = ("Students",)
    school.leave(first)

    assert rehearsal.collect().counts.rows_gone == 2

    left = connection.query(f"SELECT row_key FROM {rehearsal.names.table('PersonComms')} ORDER BY row_key")
    assert left == [("2",), ("4",)]


@pytest.mark.parametrize("is_array", [False, True])
def test_lists_and_pairs_that_are_not_collected_any_more_name_no_pupil_who_is_gone(
    tmp_path: Path, is_array: bool
) -> None:
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    first, second, third = school.pupils
    school.data["Groups"] = {
        "Groups": {"5": {"Id": 5, "StudentIds": [first, second] if is_array else f"{first},{second}"}}
    }
    pairs = {"1": (first, second), "2": (second, third), "3": (third, first)}
    school.data["Students"]["StudentSiblings"] = {
        key: {"Id": int(key), "StudentId": pupil, "SiblingId": other} for key, (pupil, other) in pairs.items()
    }
    rehearsal = Rehearsal(tmp_path / "left.db", [school], endpoints=("Students", "Groups"))
    rehearsal.collect()
    rehearsal.endpoints = ("Students",)
    del school.data["Students"]["StudentSiblings"]
    school.leave(first)

    rehearsal.collect()

    assert rehearsal.connection.query("SELECT StudentIds FROM xporter_Groups") == [(second,)]
    assert rehearsal.connection.query("SELECT row_key FROM xporter_Students_StudentSiblings") == [("2",)]


def test_no_keys_land_alone_where_columns_lack_and_new_members_are_ignored(tmp_path: Path) -> None:
    school = make_school(1, pupils=60, weeks=0, today=TODAY)
    school.data["Tags"] = {"Tags": {key: {"Id": f"{key}.tag", "StudentId": key} for key in school.pupils}}
    rehearsal = Rehearsal(tmp_path / "ignored.db", [school], endpoints=("Students", "Tags"))
    rehearsal.collect()
    assert total(rehearsal, "Tags", school.estab) == 60

    assert rehearsal.collect(keeps_unknown=False).exit_code == 0

    assert total(rehearsal, "Tags", school.estab) == 0


@pytest.mark.parametrize(
    ("event", "table"),
    [
        ("DELETE", "AttendanceForDateRange_AttendMarks"),
        ("DELETE", "BehaviourForDateRange_StudentBehaviour"),
        ("UPDATE", "BehaviourForDateRange_Behaviour"),
    ],
)
def test_rows_of_a_pupil_who_is_gone_that_the_database_keeps_are_a_database_error(
    tmp_path: Path, event: str, table: str
) -> None:
    school, first, second = _school_with_an_incident()
    school.data["AttendanceForDateRange"] = make_school(1, pupils=3, weeks=5, today=TODAY).data[
        "AttendanceForDateRange"
    ]
    endpoints = ("Students", "AttendanceForDateRange", "BehaviourForDateRange+includeStudentIds")
    rehearsal = Rehearsal(tmp_path / "kept.db", [school], endpoints=endpoints)
    rehearsal.collect(**_CLOSED)
    name = rehearsal.names.table(table)
    rehearsal.connection.execute(f"CREATE TRIGGER keeper BEFORE {event} ON {name} BEGIN SELECT RAISE(IGNORE); END")
    school.leave(first)

    refused = rehearsal.collect(**_CLOSED)

    assert refused.exit_code == 3
    assert f"{name} still has rows of school {school.estab} about pupils who are no longer" in str(refused.errors[0])
    rehearsal.connection.execute("DROP TRIGGER keeper")
    assert rehearsal.collect(**_CLOSED).exit_code == 0
    assert _pupils_of_incidents(rehearsal) == {second}
