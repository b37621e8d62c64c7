"""Episodes, and what holds for every list in them (mapping 6)."""

from __future__ import annotations

from typing import Any

import pytest

from api_pipeline.payloads.schema_check import code_list
from tests.support.ssd import (
    ASSESSMENTS,
    S47,
    assessment,
    built,
    cin_plan,
    cp_plan,
    enquiry,
    episode,
    episodes,
    only_episode,
    rows,
    rules,
    withheld,
)


def of_episode(**members: Any) -> dict[str, Any]:
    return only_episode(rows(cin_episodes=[episode(**members)]))


def test_an_episode_is_taken_when_its_referral_overlaps_the_window() -> None:
    found = rows(
        cin_episodes=[
            episode("R1", "2020-01-01", "2024-03-31"),
            episode("R2", "2020-01-01", "2024-04-01"),
            episode("R3", "2026-08-12"),
            episode("R4", None),
        ]
    )

    assert [one["social_care_episode_id"] for one in episodes(found)] == ["R2"]


def test_a_child_without_an_episode_in_the_window_has_no_episodes_at_all() -> None:
    assert "social_care_episodes" not in built(rows(cin_episodes=[])).payload


def test_episodes_are_ordered_by_referral_date_then_id() -> None:
    found = [episode("R3", "2025-03-01"), episode("R2", "2025-01-01"), episode("R1", "2025-01-01")]

    for order in (found, found[::-1]):
        assert [one["social_care_episode_id"] for one in episodes(rows(cin_episodes=order))] == ["R1", "R2", "R3"]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_referral_that_stands_twice_is_one_episode(turn: int) -> None:
    found = only_episode(rows(cin_episodes=[episode("R1"), episode("R1", "2025-03-03")][::turn]))

    assert found["referral_date"] == "2025-01-10"


def test_the_dates_of_an_episode_are_days() -> None:
    found = of_episode(start="2025-01-10 09:30", end="2025-02-03 23:59")

    assert (found["referral_date"], found["closure_date"]) == ("2025-01-10", "2025-02-03")
    assert "closure_date" not in of_episode()


@pytest.mark.parametrize("code", code_list("code_referral_source"))
def test_every_referral_source_is_known_by_how_the_text_begins(code: str) -> None:
    assert of_episode(referral_source_code=f" {code.lower()}: somebody")["referral_source"] == code


@pytest.mark.parametrize(
    ("text", "code"),
    [("10 Unknown", "10"), ("100", "10"), ("4", "4"), ("4 Housing", "4"), ("5A", "5A"), ("8Z", "8"), ("9 - x", "9")],
)
def test_a_referral_source_is_tried_in_the_mappings_order(text: str, code: str) -> None:
    assert of_episode(referral_source_code=text)["referral_source"] == code


@pytest.mark.parametrize("text", ["1", "1G", "1E", "1F", "2C", "2F", "5", "5E", "0", "Police", "A1", "1 A"])
def test_a_referral_source_that_is_no_code_is_left_out_and_listed(text: str) -> None:
    of = rows(cin_episodes=[episode(referral_source_code=text)])

    assert "referral_source" not in only_episode(of)
    assert rules(of) == ["code_not_listed"]


@pytest.mark.parametrize("text", ["RC1", " rc1 ", "RC1 Adopted", "RC1: died"])
def test_a_closure_reason_is_cut_at_three_characters_and_looked_up(text: str) -> None:
    assert of_episode(close_reason=text)["closure_reason"] == "RC1"


def test_a_closure_reason_that_is_not_in_the_list_is_left_out_and_listed() -> None:
    of = rows(cin_episodes=[episode("R7", close_reason="Adopted")])

    assert "closure_reason" not in only_episode(of)
    assert [(i.rule.value, i.field, i.where) for i in built(of).issues] == [
        ("code_not_listed", "social_care_episodes[].closure_reason", "ssd_cin_episodes R7")
    ]


@pytest.mark.parametrize("text", ["Y", "T", "1", "TRUE", "y ", "true"])
def test_a_flag_says_yes(text: str) -> None:
    assert of_episode(referral_nfa=text)["referral_no_further_action_flag"] is True


@pytest.mark.parametrize("text", ["N", "F", "0", "FALSE", "n", " false"])
def test_a_flag_says_no(text: str) -> None:
    assert of_episode(referral_nfa=text)["referral_no_further_action_flag"] is False


@pytest.mark.parametrize(("text", "listed"), [("", 0), (" ", 0), (None, 0), ("X", 1), ("2", 1)])
def test_a_flag_that_says_neither_is_left_out_and_a_blank_one_is_not_false(text: str | None, listed: int) -> None:
    of = rows(cin_episodes=[episode(referral_nfa=text)])

    assert "referral_no_further_action_flag" not in only_episode(of)
    assert rules(of) == ["flag_not_recognised"] * listed


def test_what_belongs_to_another_referral_is_not_in_the_episode() -> None:
    other = rows(
        assessments=[assessment(referral="R2"), assessment(referral=None)],
        cin_plans=[cin_plan(referral="R2")],
        cp_plans=[cp_plan(referral=None)],
        s47_enquiries=[enquiry(referral="R2")],
    )

    assert set(only_episode(other)) == {"social_care_episode_id", "referral_date", "purge"}


def test_referral_ids_are_joined_without_case_and_spaces() -> None:
    found = only_episode(rows(cin_episodes=[episode("ab7")], cin_plans=[cin_plan(referral="AB7 ")]))

    assert found["social_care_episode_id"] == "ab7"
    assert len(found["child_in_need_plans"]) == 1


@pytest.mark.parametrize(
    ("lists", "name"),
    [
        ({"assessments": [assessment(key, start) for key, start in (("3", None), ("2", "2025-01-01"))]}, ASSESSMENTS),
        ({"cin_plans": [cin_plan("3", "2025-02-01"), cin_plan("2", "2025-01-01")]}, "child_in_need_plans"),
        ({"cp_plans": [cp_plan("3", "2025-02-01"), cp_plan("2", "2025-01-01")]}, "child_protection_plans"),
        ({"s47_enquiries": [enquiry("3", "2025-02-01"), enquiry("2", "2025-01-01")]}, S47),
    ],
)
def test_every_array_is_ordered_by_start_then_id_with_unknown_starts_last(lists: dict[str, Any], name: str) -> None:
    (member, found), *_ = lists.items()
    other = found[1]._replace(**{found[1]._fields[0]: "1"})
    if name == ASSESSMENTS:
        found = [found[0]._replace(assessment_auth_date=other.assessment_start_date), found[1]]
    for order in ([*found, other], [other, *found[::-1]]):
        blocks = only_episode(rows(**{member: order}))[name]
        assert [next(iter(block.values())) for block in blocks] == ["1", "2", "3"]


@pytest.mark.parametrize("key", ["X" * 37, "a b", "a/b", "", "é"])
@pytest.mark.parametrize(
    ("member", "make", "path", "table"),
    [
        ("cin_episodes", episode, "social_care_episode_id", "ssd_cin_episodes"),
        (
            "assessments",
            assessment,
            "child_and_family_assessments[].child_and_family_assessment_id",
            "ssd_cin_assessments",
        ),
        ("cin_plans", cin_plan, "child_in_need_plans[].child_in_need_plan_id", "ssd_cin_plans"),
        ("cp_plans", cp_plan, "child_protection_plans[].child_protection_plan_id", "ssd_cp_plans"),
        ("s47_enquiries", enquiry, "section_47_assessments[].section_47_assessment_id", "ssd_s47_enquiry"),
    ],
)
def test_long_or_malformed_id_holds_the_record_back(member: str, make: Any, path: str, table: str, key: str) -> None:
    (issue,) = withheld(rows(**{member: [make(key)]})).issues

    assert (issue.rule.value, issue.field, issue.where) == ("id_ill_formed", f"social_care_episodes[].{path}", table)


def test_an_id_of_36_characters_is_sent_whole() -> None:
    key = "aZ09_-" * 6

    assert only_episode(rows(cin_episodes=[episode(key)]))["social_care_episode_id"] == key


def test_an_ill_formed_id_outside_the_window_holds_nothing_back() -> None:
    assert built(rows(cin_plans=[cin_plan("a b", "2020-01-01", "2021-01-01")]))
