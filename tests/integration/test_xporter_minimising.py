"""A pupil who becomes one of the council's children is landed whole, closed weeks as well."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator.xporter import Quirk
from tests.support.xporter import TODAY, Rehearsal, make_school, total, upns

_MARKS = "SELECT COUNT(*) FROM xporter_AttendanceForDateRange_AttendMarks WHERE StudentId = ?"


@pytest.mark.parametrize("fails_first", [False, True])
def test_closed_weeks_are_asked_again_for_a_new_child(tmp_path: Path, fails_first: bool) -> None:
    school = make_school(1, pupils=3, weeks=3, today=TODAY)
    first, second, _ = school.pupils
    endpoints = ("Students", "AttendanceForDateRange")
    cohort = upns(school, first)
    rehearsal = Rehearsal(tmp_path / "new.db", [school], endpoints=endpoints, cohort=cohort)
    weeks = {"weeks_back": 0, "earliest": TODAY - timedelta(weeks=3)}
    rehearsal.collect(**weeks)
    rehearsal.cohort = cohort | upns(school, second)
    if fails_first:
        rehearsal.simulator.add_quirk(Quirk("unavailable", endpoint="AttendanceForDateRange", times=6))
        rehearsal.collect(**weeks)

    rehearsal.collect(**weeks)

    counts = [rehearsal.connection.query(_MARKS, [key])[0][0] for key in (first, second)]
    assert counts[0] == counts[1] > 10
    requests = rehearsal.collect(**weeks).requests
    assert requests < 6


@pytest.mark.parametrize("is_minimised", [True, False])
def test_pupil_who_comes_back_is_landed_whole(tmp_path: Path, is_minimised: bool) -> None:
    school = make_school(1, pupils=2, weeks=3, today=TODAY)
    cohort = upns(school) if is_minimised else None
    rehearsal = Rehearsal(
        tmp_path / "back.db", [school], endpoints=("Students", "AttendanceForDateRange"), cohort=cohort
    )
    weeks = {"weeks_back": 0, "earliest": TODAY - timedelta(weeks=3)}
    rehearsal.collect(**weeks)
    pupil = next(iter(school.pupils))
    school.withheld_people.add(pupil)
    rehearsal.collect(**weeks)
    assert rehearsal.connection.query(_MARKS, [pupil])[0][0] == 0
    school.withheld_people.clear()
    rehearsal.simulator.add_quirk(Quirk("unavailable", endpoint="AttendanceForDateRange", times=6))
    rehearsal.collect(**weeks)

    rehearsal.collect(**weeks)

    assert rehearsal.landed("AttendanceForDateRange", school.estab) == rehearsal.expected(
        "AttendanceForDateRange", school
    )


def test_consent_without_upn_is_named_where_children_are_known_by_it(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    school.scopes -= {"UPN"}
    cohort = upns(school)
    rehearsal = Rehearsal(tmp_path / "upn.db", [school], endpoints=("Students",), cohort=cohort)

    summary = rehearsal.collect()

    assert total(rehearsal, "Students", school.estab) == 0
    assert any("the consent does not cover UPN" in line for line in summary.lines)


def test_contacts_of_the_last_child_go_in_the_same_night(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    pupil = next(iter(school.pupils))
    school.data["StudentContacts"] = {"StudentContacts": {"1": {"Id": 1, "StudentId": pupil, "ContactId": 7}}}
    school.data["Contacts"] = {"Contacts": {"7": {"Id": 7, "Surname": "Invented"}}}
    endpoints = ("Students", "StudentContacts", "Contacts")
    cohort = upns(school, pupil)
    rehearsal = Rehearsal(tmp_path / "contacts.db", [school], endpoints=endpoints, cohort=cohort)
    rehearsal.collect()
    assert total(rehearsal, "Contacts", school.estab) == 1
    rehearsal.cohort = {"nobody"}

    rehearsal.collect()

    assert total(rehearsal, "Contacts", school.estab) == 0


def test_lists_of_pupils_name_no_child_of_others(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    first, second, third = school.pupils
    group = {
        "Id": 5,
        "Name": "7B",
        "StudentIds": f"{first}, {second},{third}",
        "StudentIdaasIds": f"PL-{first},PL-{second}",
    }
    school.data["Groups"] = {"Groups": {"5": group, "6": {"Id": 6, "Name": "8A", "StudentIds": third}}}
    school.change(first, StudentSiblingIds=f"{second},{third}")
    cohort = upns(school, first, second)
    rehearsal = Rehearsal(tmp_path / "lists.db", [school], endpoints=("Students", "Groups"), cohort=cohort)

    rehearsal.collect()

    groups = "SELECT StudentIds, StudentIdaasIds, extra FROM xporter_Groups ORDER BY row_key"
    assert rehearsal.connection.query(groups) == [(f"{first},{second}", None, None), (None, None, None)]
    siblings = "SELECT StudentSiblingIds FROM xporter_Students WHERE Id = ?"
    assert rehearsal.connection.query(siblings, [first]) == [(second,)]
    again = rehearsal.collect().counts
    assert (again.added, again.changed, again.deleted) == (0, 0, 0)


def test_child_whose_row_has_no_id_brings_no_row_of_other_children(tmp_path: Path) -> None:
    school = make_school(1, pupils=4, weeks=0, today=TODAY)
    nameless = {**next(iter(school.pupils.values())), "Id": None, "UPN": "A123456789012"}
    school.pupils["nameless"] = nameless
    endpoints = ("Students", "StudentExclusions")
    rehearsal = Rehearsal(tmp_path / "nameless.db", [school], endpoints=endpoints, cohort={nameless["UPN"]})

    assert rehearsal.collect().exit_code == 0

    assert total(rehearsal, "StudentExclusions", school.estab) == 0
    assert total(rehearsal, "StudentExclusions_StudentExclusionReasons", school.estab) == 0


@pytest.mark.parametrize(
    ("quirks", "code"),
    [
        ((Quirk("shrunk", endpoint="Students", times=None),), 1),
        ((Quirk("shrunk", endpoint="Students"), Quirk("unavailable", endpoint="Students", times=None)), 5),
    ],
    ids=["it was small twice", "it could not be asked for again"],
)
def test_rows_about_pupils_stay_where_the_roll_is_kept_as_it_was(
    tmp_path: Path, quirks: tuple[Quirk, ...], code: int
) -> None:
    school = make_school(1, pupils=90, weeks=0, today=TODAY)
    endpoints = ("Students", "StudentExclusions")
    rehearsal = Rehearsal(tmp_path / "kept.db", [school], endpoints=endpoints, cohort=upns(school))
    rehearsal.collect()
    rehearsal.simulator.add_quirk(*quirks)

    assert rehearsal.collect().exit_code == code

    assert total(rehearsal, "Students", school.estab) == 90
    assert total(rehearsal, "StudentExclusions", school.estab) == 30


def test_rows_go_where_the_ids_that_they_are_asked_by_are_gone(tmp_path: Path) -> None:
    school = make_school(1, pupils=1, weeks=0, today=TODAY)
    school.data["AssessmentStructure"] = {"Aspects": {"1": {"Id": 1}}}
    result = {"Id": 5, "StudentId": next(iter(school.pupils)), "AspectId": 1}
    school.data["AssessmentResultsByAspect"] = {"assessmentresults": {"5": result}}
    endpoints = ("Students", "AssessmentStructure", "AssessmentResultsByAspect")
    rehearsal = Rehearsal(tmp_path / "aspects.db", [school], endpoints=endpoints)
    rehearsal.collect()
    assert total(rehearsal, "AssessmentResultsByAspect_assessmentresults", school.estab) == 1
    school.data["AssessmentStructure"]["Aspects"].clear()

    assert rehearsal.collect().exit_code == 0

    assert total(rehearsal, "AssessmentResultsByAspect_assessmentresults", school.estab) == 0


def test_contacts_go_with_the_child_where_their_endpoint_is_not_collected_any_more(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    first, second = school.pupils
    links = {"1": (first, 7), "2": (first, 8), "3": (second, 8)}
    school.data["StudentContacts"] = {
        "StudentContacts": {key: {"Id": key, "StudentId": pupil, "ContactId": of} for key, (pupil, of) in links.items()}
    }
    school.data["Contacts"] = {"Contacts": {key: {"Id": int(key), "Surname": "Invented"} for key in ("7", "8")}}
    endpoints = ("Students", "StudentContacts", "Contacts")
    rehearsal = Rehearsal(tmp_path / "left.db", [school], endpoints=endpoints)
    rehearsal.collect()
    rehearsal.endpoints = ("Students",)
    school.leave(first)

    assert rehearsal.collect().exit_code == 0

    assert rehearsal.connection.query("SELECT row_key FROM xporter_Contacts") == [("8",)]


def test_siblings_are_landed_where_both_are_children_of_the_council(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    first, second, third = school.pupils
    pairs = {str(number): (first, other) for number, other in enumerate((second, third, None), 1)}
    school.data["Students"]["StudentSiblings"] = {
        key: {"Id": int(key), "StudentId": pupil, "SiblingId": other} for key, (pupil, other) in pairs.items()
    }
    cohort = upns(school, first, second)
    rehearsal = Rehearsal(tmp_path / "siblings.db", [school], endpoints=("Students",), cohort=cohort)

    rehearsal.collect()

    assert rehearsal.connection.query("SELECT row_key FROM xporter_Students_StudentSiblings") == [("1",)]
