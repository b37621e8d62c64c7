"""What a school's consent does not cover is not landed, also where the API sends it and nobody says the scopes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.sandbox.simulator.xporter import Quirk, School, data
from api_pipeline.sandbox.simulator.xporter import school as simulated
from api_pipeline.sandbox.simulator.xporter.core import XporterSimulator
from api_pipeline.xporter.cohort import write_proposals
from api_pipeline.xporter.match import CHANGED, Proposal
from tests.support.xporter import TODAY, Rehearsal, day, make_school, total, upns

_PROVISION = "SEN_StudentSENProvisionHistory"
_REVIEWS = "SEN_StudentSENReviews"
_TYPES = "SEN_StudentSENTypeHistory"
_MARKS = "AttendanceForDateRange_AttendMarks"
_CLOSED: dict[str, Any] = {"weeks_back": 0, "earliest": TODAY - timedelta(weeks=4)}
_TEXTS = "AchievementForDateRange_Achievements"
_CLOSED_INCIDENTS = (
    "SELECT row_key FROM xporter_BehaviourForDateRange_Behaviour WHERE time_window = '2025-10-20' "
    "UNION ALL SELECT row_key FROM xporter_BehaviourForDateRange_StudentBehaviour "
    "WHERE time_window = '2025-10-20' AND StudentId NOT IN (SELECT Id FROM xporter_Students)"
)


def _rehearsal(folder: Path, monkeypatch: pytest.MonkeyPatch, *, without: set[str]) -> Rehearsal:
    """Return a council and one school, whose API sends more than the school's scopes let out."""
    monkeypatch.setattr(simulated, "_allows", lambda _scopes, _given: True)
    school = make_school(1, pupils=6, weeks=0, today=TODAY)
    school.scopes -= without
    school.data["SEN"]["StudentSENTypeHistory"]["1"] = {"Id": 1, "StudentMis_Id": next(iter(school.pupils))}
    return Rehearsal(folder / "consent.db", [school], endpoints=("Students", "SEN"))


def _nobody_says_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XporterSimulator, "_of_token", lambda self, *_: self._no_token("no scopes here"))


def test_table_whose_columns_are_all_withheld_gets_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal = _rehearsal(tmp_path, monkeypatch, without={"SENTypes"})
    assert rehearsal.collect().exit_code == 0
    assert total(rehearsal, _PROVISION, "9990001") > 0
    assert total(rehearsal, _TYPES, "9990001") == 0


def test_scopes_of_the_night_before_hold_where_nobody_says_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = _rehearsal(tmp_path, monkeypatch, without={"SEN", "SENTypes"})
    rehearsal.collect()
    _nobody_says_scopes(monkeypatch)
    rehearsal.collect(management_secret="")
    assert total(rehearsal, _PROVISION, "9990001") == 0


def test_what_was_landed_before_the_scopes_were_known_is_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = _rehearsal(tmp_path, monkeypatch, without={"SEN", "SENTypes"})
    with monkeypatch.context() as silent:
        _nobody_says_scopes(silent)
        rehearsal.collect(management_secret="")
    assert total(rehearsal, _TYPES, "9990001") > 0
    assert rehearsal.collect().exit_code == 0
    assert total(rehearsal, _TYPES, "9990001") == 0


_OTHER = "Students_Other"


def _with_hobbies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Rehearsal, dict[str, list[dict[str, Any]]]]:
    """Return a council and one school, whose answers have tables of pupils that nobody published."""
    more: dict[str, list[dict[str, Any]]] = {"Hobbies": [{"Id": 1, "StudentId": 9001, "Hobby": "chess"}]}
    original = data.tables_of

    def with_more(school: School, endpoint: str, query: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        return original(school, endpoint, query) | (more if endpoint == "Students" else {})

    monkeypatch.setattr("api_pipeline.sandbox.simulator.xporter.core.tables_of", with_more)
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    rehearsal = Rehearsal(folder / "hobbies.db", [school], endpoints=("Students",))
    rehearsal.collect()
    assert total(rehearsal, _OTHER, "9990001") == 1
    return rehearsal, more


def test_empty_table_that_nobody_published_is_landed_as_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal, more = _with_hobbies(tmp_path, monkeypatch)
    more["Hobbies"] = []
    rehearsal.collect()
    assert total(rehearsal, _OTHER, "9990001") == 0


def test_rows_of_unknown_tables_go_when_they_are_not_wanted_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal, _ = _with_hobbies(tmp_path, monkeypatch)
    rehearsal.collect(keeps_unknown=False)
    assert total(rehearsal, _OTHER, "9990001") == 0


def test_answer_of_nothing_but_unknown_tables_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal, more = _with_hobbies(tmp_path, monkeypatch)
    more["Hobbies"] = []
    rehearsal.simulator.add_quirk(Quirk("missing_table", endpoint="Students"))
    assert rehearsal.collect().exit_code == 1
    assert total(rehearsal, "Students", "9990001") == 2


def test_table_that_nobody_published_goes_with_a_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal, more = _with_hobbies(tmp_path, monkeypatch)
    more.clear()
    rehearsal.simulator.schools["9990001"].scopes -= {"StudentExtended"}
    rehearsal.collect()
    assert total(rehearsal, _OTHER, "9990001") == 0


def test_marks_go_with_their_only_scope_and_come_back_with_it(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=3, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "marks.db", [school], endpoints=("Students", "AttendanceForDateRange"))
    weeks = {"weeks_back": 0, "earliest": TODAY - timedelta(weeks=3)}
    rehearsal.collect(**weeks)
    landed = total(rehearsal, _MARKS, "9990001")
    assert landed > 0
    school.scopes -= {"Attendance"}
    rehearsal.collect(**weeks)
    assert total(rehearsal, _MARKS, "9990001") == 0
    school.scopes |= {"Attendance"}
    rehearsal.collect(**weeks)
    assert total(rehearsal, _MARKS, "9990001") == landed


def _school_that_takes_the_ids_back(path: Path, school: School, *, is_minimised: bool) -> tuple[Rehearsal, str]:
    """Return a council after the night in which the consent no longer covers the Ids of pupils, and what it printed."""
    endpoints = ("Students", "AttendanceForDateRange")
    cohort = upns(school) if is_minimised else None
    rehearsal = Rehearsal(path, [school], endpoints=endpoints, cohort=cohort)
    rehearsal.collect(**_CLOSED)
    school.scopes -= {"Student", "StudentLite"}
    return rehearsal, " ".join(rehearsal.collect(**_CLOSED).lines)


def test_closed_weeks_stay_when_the_consent_no_longer_covers_the_ids_of_pupils(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=4, today=TODAY)
    rehearsal, said = _school_that_takes_the_ids_back(tmp_path / "ids.db", school, is_minimised=False)
    assert total(rehearsal, "Students", school.estab) == 0
    let_out = school.truth("AttendanceForDateRange")["AttendMarks"]
    assert total(rehearsal, _MARKS, school.estab) == len(let_out)
    assert "covers no Ids of pupils, so 3 pupils were removed from the roll" in said
    assert "they left" not in said


def test_rows_go_when_no_ids_say_which_pupils_are_the_councils(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=4, today=TODAY)
    rehearsal, said = _school_that_takes_the_ids_back(tmp_path / "ours.db", school, is_minimised=True)
    assert total(rehearsal, _MARKS, school.estab) == 0
    assert "nothing says which rows in other tables are about the council's children, so 102 rows" in said
    assert "they left" not in said


def test_roll_without_the_scope_of_its_ids_is_not_kept_for_having_shrunk(tmp_path: Path) -> None:
    school = make_school(1, pupils=60, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "shrunk.db", [school], endpoints=("Students",))
    rehearsal.collect()
    school.scopes -= {"Student", "StudentLite"}
    rehearsal.simulator.add_quirk(Quirk("unavailable", endpoint="Counts", times=None))
    rehearsal.collect()
    assert total(rehearsal, "Students", school.estab) == 0


def test_closed_weeks_are_asked_again_when_the_ids_of_pupils_are_covered_again(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=4, today=TODAY)
    rehearsal, _ = _school_that_takes_the_ids_back(tmp_path / "again.db", school, is_minimised=True)
    school.scopes |= {"Student", "StudentLite"}
    rehearsal.collect(**_CLOSED)
    marks = rehearsal.landed("AttendanceForDateRange", school.estab)
    assert marks == rehearsal.expected("AttendanceForDateRange", school)


def test_text_that_nothing_ties_to_a_pupil_any_more_goes_with_the_scope(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    given = school.data["AchievementForDateRange"]
    given["Achievements"]["7"] = {"Id": 7, "Date": str(TODAY), "Description": "Poem"}
    given["StudentAchievements"]["1"] = {"Id": 1, "AchievementId": 7, "StudentId": next(iter(school.pupils))}
    rehearsal = Rehearsal(tmp_path / "text.db", [school], endpoints=("Students", "AchievementForDateRange"))
    assert rehearsal.collect().exit_code == 0
    assert total(rehearsal, _TEXTS, "9990001") == 1
    # The scope of the text, ConductComments, is still there, and no answer comes that would take the text out.
    school.scopes -= {"Conduct"}
    rehearsal.simulator.add_quirk(Quirk("scope", endpoint="AchievementForDateRange", times=9))
    rehearsal.collect()
    assert total(rehearsal, _TEXTS, "9990001") == 0


def test_row_that_nothing_ties_to_a_pupil_is_not_landed_again(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    school.data["SEN"]["StudentSENReviews"]["1"] = {"Id": 1, "StudentMis_Id": next(iter(school.pupils))}
    rehearsal = Rehearsal(tmp_path / "reviews.db", [school], endpoints=("Students", "SEN"))
    rehearsal.collect()
    assert total(rehearsal, _REVIEWS, "9990001") == 1
    school.scopes -= {"SENTypes"}
    rehearsal.collect()
    assert total(rehearsal, _REVIEWS, "9990001") == 0


def test_proposals_go_with_the_pupil_and_with_the_scope(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "match.db", [school], endpoints=("Students",))
    rehearsal.collect()
    store = rehearsal.store()
    found = [Proposal(f"p{key}", CHANGED, "9990001", key, "an invented UPN", None, False) for key in school.pupils]
    write_proposals(store, found, datetime(2025, 11, 26))  # noqa: DTZ001 - as the tables keep it
    school.withheld_people.add(found[0].student_id)
    rehearsal.collect()
    proposed = "SELECT student_id FROM xporter_match"
    assert rehearsal.connection.query(proposed) == [(found[1].student_id,)]
    school.scopes -= {"UPN"}
    rehearsal.collect()
    assert rehearsal.connection.query(proposed) == []


@pytest.mark.parametrize(("had_it", "code"), [(False, 0), (True, 1)])
def test_refusal_for_a_scope_is_news_only_where_it_was_landed(tmp_path: Path, had_it: bool, code: int) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    school.scopes -= {"SENReviews"}
    rehearsal = Rehearsal(tmp_path / "refused.db", [school], endpoints=("Students", "SEN"))
    if had_it:
        rehearsal.collect()
    rehearsal.simulator.add_quirk(Quirk("scope", endpoint="SEN", times=9))
    assert rehearsal.collect().exit_code == code


def test_incident_of_two_pupils_stays_until_both_are_gone(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    first, second, _ = school.pupils
    behaviour = school.data["BehaviourForDateRange"]
    behaviour["Behaviour"]["7"] = {"Id": 7, "Date": str(TODAY - timedelta(weeks=5)), "Description": "Fight"}
    for link, pupil in (("1", first), ("2", second)):
        behaviour["StudentBehaviour"][link] = {"Id": int(link), "BehaviourId": 7, "StudentId": pupil}
    rehearsal = Rehearsal(tmp_path / "two.db", [school], endpoints=("Students", "BehaviourForDateRange"))
    weeks = {"weeks_back": 0, "earliest": TODAY - timedelta(weeks=6)}
    rehearsal.collect(**weeks)
    kept = []
    for pupil in (first, second):
        school.leave(pupil)
        assert rehearsal.collect(**weeks).exit_code == 0
        kept.append([row[0] for row in rehearsal.connection.query(_CLOSED_INCIDENTS)])

    assert kept == [["7"], []]


def test_dead_secret_that_cannot_be_forgotten_tonight_is_forgotten_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = make_school(1, pupils=1, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "locked.db", [school], endpoints=("Students",))
    rehearsal.collect()
    school.revoke(day(20))
    with monkeypatch.context() as locked:
        locked.setattr(rehearsal.secrets, "forget", lambda _estab: False)
        rehearsal.collect()
    assert total(rehearsal, "Students", school.estab) == 0

    rehearsal.collect()

    assert school.estab not in rehearsal.secrets.known


def test_rows_of_a_removed_school_that_came_back_unfinished_go_when_it_revoked(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "unfinished.db", [school], endpoints=("Students",))
    rehearsal.collect()
    rehearsal.connection.execute("UPDATE xporter_school SET state = 'removed'")
    school.revoke(day(20))

    rehearsal.collect()

    assert total(rehearsal, "Students", school.estab) == 0
