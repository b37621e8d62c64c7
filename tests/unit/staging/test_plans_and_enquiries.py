"""Plans, and section 47 enquiries with their conferences (mapping 7, 7.1)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ssd import S47, When, assessment, cin_plan, conference, cp_plan, enquiry, only_episode, rows, rules


@pytest.mark.parametrize(
    ("name", "make", "key"),
    [
        ("child_in_need_plans", cin_plan, "child_in_need_plan_id"),
        ("child_protection_plans", cp_plan, "child_protection_plan_id"),
    ],
)
def test_plans_are_taken_by_overlap_and_have_id_start_and_end(name: str, make: Any, key: str) -> None:
    plans = [
        make("P1", "2020-01-01", "2024-03-31"),
        make("P2", "2020-01-01", "2024-04-01 12:00"),
        make("P3", "2025-05-05"),
        make("P4", None),
        make("P5", "2026-08-12"),
    ]
    member = "cin_plans" if make is cin_plan else "cp_plans"

    assert only_episode(rows(**{member: plans}))[name] == [
        {key: "P2", "start_date": "2020-01-01", "end_date": "2024-04-01", "purge": False},
        {key: "P3", "start_date": "2025-05-05", "purge": False},
    ]


def test_plans_of_the_referral_are_taken_whoever_their_person_is() -> None:
    assert len(only_episode(rows(cin_plans=[cin_plan(of="2002")]))["child_in_need_plans"]) == 1


def of_enquiry(outcome: str | None = None, *days: When, **members: Any) -> dict[str, Any]:
    conferences = [conference(day, key=f"C{key}") for key, day in enumerate(days)]
    found: list[dict[str, Any]] = only_episode(
        rows(s47_enquiries=[enquiry(outcome=outcome, **members)], conferences=conferences)
    ).get(S47, [{}])
    return found[0]


OTHER = "sibling"


@pytest.mark.parametrize("turn", [1, -1])
def test_an_id_that_children_of_one_family_share_stands_once_as_the_childs_own(turn: int) -> None:
    found = only_episode(
        rows(
            assessments=[assessment("A1"), assessment("A1", "2025-02-09")._replace(person_id=OTHER)][::turn],
            cin_plans=[cin_plan("P1"), cin_plan("P1 ", "2025-01-09", of=OTHER)][::turn],
            s47_enquiries=[enquiry("E1"), enquiry("E1", "2025-01-09")._replace(person_id=OTHER)][::turn],
            cp_plans=[cp_plan("CP1"), cp_plan("CP1", "2025-02-09", of=OTHER), cp_plan("CP2", of=OTHER)][::turn],
        )
    )

    for name in ("child_and_family_assessments", "child_in_need_plans", S47):
        assert [block["start_date"] for block in found[name]] == ["2025-02-01"]
    assert [block["start_date"] for block in found["child_protection_plans"]] == ["2025-02-01", "2025-02-01"]


def test_an_enquiry_has_its_id_dates_flag_and_conference() -> None:
    assert of_enquiry('{"CP_CONFERENCE_FLAG":"Y"}', "2025-02-20 14:00", end="2025-02-12 10:00") == {
        "section_47_assessment_id": "E1",
        "start_date": "2025-02-01",
        "icpc_required_flag": True,
        "icpc_date": "2025-02-20",
        "end_date": "2025-02-12",
        "purge": False,
    }


def test_enquiry_is_taken_by_overlap_or_latest_conference() -> None:
    assert of_enquiry(start="2020-01-01", end="2024-04-01")
    assert not of_enquiry(start="2020-01-01", end="2024-03-31")
    assert of_enquiry(None, "2024-05-01", "2023-05-01", start="2020-01-01", end="2024-03-31")
    assert not of_enquiry(None, "2024-05-01", "2026-09-01", start="2020-01-01", end="2024-03-31")
    assert of_enquiry(None, "2024-05-01", start=None)


def test_the_conference_date_is_the_latest_inside_the_window_or_not() -> None:
    assert of_enquiry(None, "2025-02-20", "2026-12-01", None, "2025-03-01")["icpc_date"] == "2026-12-01"
    assert of_enquiry(None, "2019-02-20")["icpc_date"] == "2019-02-20"
    assert "icpc_date" not in of_enquiry(None, None)


def test_a_conference_of_another_enquiry_does_not_count() -> None:
    of = rows(s47_enquiries=[enquiry()], conferences=[conference("2025-03-01", of="E2")])

    assert "icpc_date" not in only_episode(of)[S47][0]


@pytest.mark.parametrize("value", ['"Y"', '"T"', '"1"', "1", "true", '"true"', '"True"', '"y "'])
def test_a_conference_is_required(value: str) -> None:
    assert of_enquiry(f'{{"OTHER": 1, "CP_CONFERENCE_FLAG": {value}}}')["icpc_required_flag"] is True


@pytest.mark.parametrize("value", ['"N"', '"F"', '"0"', "0", "false", '"false"', '"False"'])
def test_a_conference_is_not_required(value: str) -> None:
    assert of_enquiry(f'{{"CP_CONFERENCE_FLAG": {value}}}')["icpc_required_flag"] is False


@pytest.mark.parametrize(
    "outcome",
    ["", " ", None, "{}", "[]", "7", '{"CP_CONFERENCE_FLAG": ""}', '{"CP_CONFERENCE_FLAG": null}', '{"other": "Y"}'],
)
def test_conference_flag_is_left_out_without_an_outcome(outcome: str | None) -> None:
    assert "icpc_required_flag" not in of_enquiry(outcome)
    assert rules(rows(s47_enquiries=[enquiry(outcome=outcome)])) == []


@pytest.mark.parametrize("value", ['"maybe"', "2", '["Y"]', "1.0"])
def test_a_conference_flag_that_says_neither_is_left_out_and_listed(value: str) -> None:
    outcome = f'{{"CP_CONFERENCE_FLAG": {value}}}'

    assert "icpc_required_flag" not in of_enquiry(outcome)
    assert rules(rows(s47_enquiries=[enquiry(outcome=outcome)])) == ["flag_not_recognised"]


def test_outcome_that_is_not_json_is_unknown_and_listed() -> None:
    outcome = '{"CP_CONFERENCE_FLAG": "Y"'

    assert "icpc_required_flag" not in of_enquiry(outcome)
    assert rules(rows(s47_enquiries=[enquiry(outcome=outcome)])) == ["outcome_unreadable"]
