"""Who is in the cohort (mapping 2)."""

from __future__ import annotations

from typing import Any

import pytest

from api_pipeline.staging import cohort
from api_pipeline.staging.cohort import eligibility, is_young_enough
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.tables import PERSON
from api_pipeline.staging.window import window_for
from tests.support.cohort import is_in
from tests.support.ssd import (
    DEFAULTS,
    RUN_DATE,
    WINDOW,
    When,
    assessment,
    at,
    cin_plan,
    cp_plan,
    disability,
    episode,
    person,
    rows,
)

CLOSED = episode(start="2020-01-01", end="2021-01-01")


def issues(of: PersonRows) -> list[str]:
    return [issue.rule.value for issue in eligibility(of, WINDOW, DEFAULTS).issues]


@pytest.mark.parametrize(
    ("born", "young"),
    [
        ("1998-04-01", False),
        ("1998-04-01 00:00:01", True),
        ("1998-04-02", True),
        ("2026-08-11", True),
        ("2026-08-11 00:00:01", False),
        ("9999-12-31", False),
    ],
)
def test_person_aged_25_or_less_in_the_window_is_included(born: str, young: bool) -> None:
    moment = at(born)
    assert moment is not None
    assert is_young_enough(moment, WINDOW) is young
    assert is_in(rows(person(dob=born))) is young


def test_birth_and_inclusion_are_both_needed() -> None:
    assert is_in(rows())
    assert not is_in(rows(cin_episodes=[CLOSED]))
    assert not is_in(rows(person(dob="1990-01-01")))


@pytest.mark.parametrize(
    ("expected", "taken"), [("2026-11-01", False), ("2026-08-11", True), ("2024-04-01", True), ("2024-03-31", False)]
)
def test_the_unborn_are_taken_when_they_are_expected_in_the_window(expected: str, taken: bool) -> None:
    assert is_in(rows(person(dob=None, expected_dob=expected))) is taken


def test_expected_date_outside_the_window_is_reported() -> None:
    estimated = rows(person(dob=None, expected_dob="2009-01-01"))

    assert not is_in(estimated)
    assert issues(estimated) == ["expected_birth_outside_window"]


def test_past_expected_date_is_reported_but_not_the_run_date() -> None:
    assert issues(rows(person(dob=None, expected_dob="2026-08-09"))) == ["expected_birth_passed"]
    assert issues(rows(person(dob=None, expected_dob="2026-08-10"))) == []


def test_a_person_without_any_birth_date_is_out_and_reported() -> None:
    nobody = rows(person(dob=None))

    assert not is_in(nobody)
    assert issues(nobody) == ["birth_dates_missing"]


def test_birth_dates_of_people_whom_nothing_includes_are_not_reported() -> None:
    assert issues(rows(person(dob=None, expected_dob="2009-01-01"), cin_episodes=[CLOSED])) == []


def test_the_issue_names_person_field_and_row() -> None:
    (issue,) = eligibility(rows(person("77", dob=None)), WINDOW, DEFAULTS).issues

    assert (issue.person_id, issue.field, issue.where) == ("77", "child_details.date_of_birth", "ssd_person 77")


def test_the_expected_date_does_not_count_where_there_is_a_birth_date() -> None:
    assert is_in(rows(person(expected_dob="2009-01-01")))
    assert issues(rows(person(expected_dob="2009-01-01"))) == []


def test_the_deceased_stay_in_since_their_date_of_death_is_not_even_read() -> None:
    assert not [name for name in PERSON.column_names if "death" in name]


@pytest.mark.parametrize(
    ("start", "end", "holds"),
    [
        ("2020-01-01", "2024-03-31", False),
        ("2020-01-01", "2024-04-01", True),
        ("2026-08-12", "2026-08-13", False),
        (None, None, False),
    ],
)
def test_a_referral_is_active_when_it_overlaps_the_window(start: When, end: When, holds: bool) -> None:
    assert cohort.has_active_referral(rows(cin_episodes=[episode(start=start, end=end)]), WINDOW) is holds


def test_open_referral_without_a_begun_assessment_waits() -> None:
    waiting = rows(cin_episodes=[episode(start=None)])

    assert cohort.waits_for_assessment(waiting, WINDOW)
    assert is_in(waiting)


def test_an_assessment_without_a_start_date_has_not_begun() -> None:
    waiting = rows(cin_episodes=[episode(start=None)], assessments=[assessment(start=None, authorised="2025-01-01")])

    assert cohort.waits_for_assessment(waiting, WINDOW)


def test_a_begun_assessment_of_that_referral_ends_the_waiting() -> None:
    assert not cohort.waits_for_assessment(rows(assessments=[assessment(start="2010-01-01", referral="r1 ")]), WINDOW)
    lower = rows(cin_episodes=[episode("r1 ")], assessments=[assessment(referral="R1")])
    assert not cohort.waits_for_assessment(lower, WINDOW)


def test_a_begun_assessment_of_another_referral_does_not_end_the_waiting() -> None:
    assert cohort.waits_for_assessment(rows(assessments=[assessment(referral="R2")]), WINDOW)
    assert cohort.waits_for_assessment(rows(assessments=[assessment(referral=None)]), WINDOW)


def test_a_closed_referral_waits_for_nothing() -> None:
    assert not cohort.waits_for_assessment(rows(cin_episodes=[CLOSED]), WINDOW)


def plan_of_a_closed_referral(**members: Any) -> PersonRows:
    return rows(cin_episodes=[CLOSED], cin_plans=[cin_plan(**members)])


def test_cin_plan_in_window_includes_with_a_closed_referral() -> None:
    assert is_in(plan_of_a_closed_referral(start="2025-01-01"))
    assert is_in(plan_of_a_closed_referral(start="2025-01-01", referral=None))


def test_a_cin_plan_outside_the_window_does_not_include() -> None:
    assert not is_in(plan_of_a_closed_referral(start="2020-01-01", end="2021-01-01"))


def test_a_cin_plan_of_somebody_else_on_the_same_referral_does_not_include() -> None:
    assert not is_in(plan_of_a_closed_referral(start="2025-01-01", of="2002"))


def test_ids_are_joined_without_regard_to_case_and_outer_spaces() -> None:
    assert is_in(rows(person("ab1"), cin_episodes=[CLOSED], cin_plans=[cin_plan(of="AB1 ")]))


def test_the_six_inclusion_sets_are_those_of_the_mapping() -> None:
    assert [holds.__name__ for holds in cohort.INCLUSION_SETS] == [
        "has_active_referral",
        "waits_for_assessment",
        "has_cin_plan",
        "is_looked_after_by_referral",
        "is_looked_after_by_placement",
        "is_care_leaver",
    ]


def test_child_with_only_a_cp_plan_needs_the_setting() -> None:
    on_plan = rows(cin_episodes=[CLOSED], cp_plans=[cp_plan()])

    assert not is_in(on_plan)
    assert is_in(on_plan, DEFAULTS._replace(cohort_include_cp_plans=True))


def test_a_cp_plan_counts_only_in_the_window_and_for_its_own_child() -> None:
    wanted = DEFAULTS._replace(cohort_include_cp_plans=True)

    assert not is_in(rows(cin_episodes=[CLOSED], cp_plans=[cp_plan(start="2020-01-01", end="2021-01-01")]), wanted)
    assert not is_in(rows(cin_episodes=[CLOSED], cp_plans=[cp_plan(of="2002")]), wanted)


def test_child_with_only_a_disability_needs_the_setting() -> None:
    disabled = rows(cin_episodes=[CLOSED], disabilities=[disability("AUT")])

    assert not is_in(disabled)
    assert is_in(disabled, DEFAULTS._replace(cohort_include_disabled=True))


@pytest.mark.parametrize("code", ["none ", " ", "", None])
def test_none_and_blank_are_no_disability(code: str | None) -> None:
    wanted = DEFAULTS._replace(cohort_include_disabled=True)

    assert not is_in(rows(cin_episodes=[CLOSED], disabilities=[disability(code)]), wanted)


def test_the_window_decides_and_not_todays_date() -> None:
    assert eligibility(rows(), window_for(RUN_DATE.replace(year=2050)), DEFAULTS).is_in is False
