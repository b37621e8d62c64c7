"""Episodes, assessments, enquiries and plans (mapping 6, 7, 7.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_pipeline.payloads.schema_check import code_list, legacy_codes
from tests.support.ssd import (
    When,
    assessment,
    built,
    cin_plan,
    conference,
    cp_plan,
    enquiry,
    episode,
    episodes,
    factors,
    only_episode,
    rows,
    rules,
    withheld,
)

ASSESSMENTS = "child_and_family_assessments"
S47 = "section_47_assessments"


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


@pytest.mark.parametrize(
    ("start", "authorised", "is_in"),
    [
        ("2025-01-01", None, True),
        ("2020-01-01", "2024-04-01", True),
        ("2020-01-01", "2024-03-31", False),
        ("2020-01-01", None, False),
        ("2020-01-01", "2026-12-01", False),
        (None, "2025-01-01", True),
        (None, None, False),
    ],
)
def test_assessment_is_taken_by_start_or_authorisation_in_window(start: When, authorised: When, is_in: bool) -> None:
    found = only_episode(rows(assessments=[assessment(start=start, authorised=authorised)]))

    assert (ASSESSMENTS in found) is is_in


def test_an_assessment_has_its_id_and_dates() -> None:
    found = only_episode(rows(assessments=[assessment("CA-7", "2025-02-01 10:00", "2025-03-15 11:00")]))

    assert found[ASSESSMENTS] == [
        {
            "child_and_family_assessment_id": "CA-7",
            "start_date": "2025-02-01",
            "authorisation_date": "2025-03-15",
            "factors": [],
            "purge": False,
        }
    ]


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


def factors_of(*texts: str | None) -> list[str]:
    stored = [factors(text, key=f"F{key}") for key, text in enumerate(texts)]
    found: list[str] = only_episode(rows(assessments=[assessment()], factors=stored))[ASSESSMENTS][0]["factors"]
    return found


def factor_rules(*texts: str | None) -> list[str]:
    stored = [factors(text, key=f"F{key}") for key, text in enumerate(texts)]
    return rules(rows(assessments=[assessment()], factors=stored))


@pytest.mark.parametrize("text", [None, "", "  ", "null", " NULL ", "[]", "{}"])
def test_no_factors_are_an_empty_list(text: str | None) -> None:
    assert factors_of(text) == []
    assert factor_rules(text) == []


def test_factors_are_read_from_a_list_and_from_answers() -> None:
    assert factors_of('["2B", "1A"]') == ["2B", "1A"]
    assert factors_of('{"2B": "Yes", "1A": "yes ", "3A": "No", "3B": null, "3C": ""}') == ["2B", "1A"]
    assert factors_of('[" 1a ", 20]') == ["1A", "20"]


def test_repeated_factors_are_sent_once() -> None:
    assert factors_of('["1A", "2B", "1A"]') == ["1A", "2B"]


def test_several_factor_rows_are_merged_into_one_assessment() -> None:
    stored = [factors('["3A","1A"]', key="F2"), factors('["1A","2B"]', key="F1")]

    (found,) = only_episode(rows(assessments=[assessment()], factors=stored))[ASSESSMENTS]

    assert found["factors"] == ["1A", "2B", "3A"]


def test_factors_of_another_assessment_are_not_taken() -> None:
    of = rows(assessments=[assessment()], factors=[factors('["1A"]', "CA2"), factors('["2A"]', "ca1 ", "F2")])

    assert only_episode(of)[ASSESSMENTS][0]["factors"] == ["2A"]


def test_the_factor_21_stands_only_alone_and_is_listed_where_it_did_not() -> None:
    assert factors_of('["21"]') == ["21"]
    assert factors_of('["21","1A"]') == ["1A"]
    assert factor_rules('["21"]', '["1A"]') == ["factor_21_not_alone"]


def test_more_than_41_factors_are_cut_and_listed() -> None:
    name = "code_assessment_factor"
    every = [code for code in (*code_list(name), *legacy_codes(name)) if code != "21"]

    assert len(every) == 43
    assert factors_of(json.dumps(every)) == every[:41]
    assert factor_rules(json.dumps(every)) == ["factors_over_41"]
    assert factor_rules(json.dumps(every[:41])) == []


@pytest.mark.parametrize("text", ['["1A"', "1A", '"1A"', "7", "true"])
def test_factors_that_cannot_be_read_are_left_out_and_listed(text: str) -> None:
    assert factors_of(text) == []
    assert factor_rules(text) == ["factors_unreadable"]


def test_one_unreadable_row_does_not_lose_the_others() -> None:
    assert factors_of("oops", '["1A"]') == ["1A"]


def test_a_factor_that_is_not_in_the_list_is_left_out_and_listed() -> None:
    assert factors_of('["1A", "99Z", null, ["2B"], "Parental"]') == ["1A"]
    assert factor_rules('["1A", "99Z", null]') == ["code_not_listed"]


def test_factors_of_earlier_years_are_taken() -> None:
    assert factors_of('["18A","19A"]') == ["18A", "19A"]


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
