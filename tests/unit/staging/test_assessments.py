"""Assessments and their factors (mapping 7)."""

from __future__ import annotations

import json

import pytest

from api_pipeline.payloads.schema_check import code_list, legacy_codes
from tests.support.ssd import ASSESSMENTS, When, assessment, factors, only_episode, rows, rules


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
