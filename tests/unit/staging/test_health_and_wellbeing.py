"""Strengths and difficulties questionnaires (mapping 5)."""

from __future__ import annotations

import pytest

from tests.support.ssd import built, rows, rules, sdq


@pytest.mark.parametrize(("day", "is_in"), [("2024-03-31", False), ("2024-04-01", True), ("2026-08-12", False)])
def test_an_sdq_counts_only_in_the_window(day: str, is_in: bool) -> None:
    assert ("health_and_wellbeing" in built(rows(sdq=[sdq(12, day)])).payload) is is_in


def test_the_health_block_is_left_out_without_an_sdq() -> None:
    assert "health_and_wellbeing" not in built(rows()).payload
    assert "health_and_wellbeing" not in built(rows(sdq=[sdq(12, None)])).payload


@pytest.mark.parametrize(
    ("stored", "sent"),
    [(0, 0), (40, 40), ("12", 12), (" 7 ", 7), ("+3", 3), ("-1", -1), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31))],
)
def test_a_score_is_an_integer_whether_it_is_stored_as_number_or_text(stored: str | int, sent: int) -> None:
    assert built(rows(sdq=[sdq(stored)])).payload["health_and_wellbeing"]["sdq_assessments"] == [
        {"date": "2025-05-01", "score": sent}
    ]


@pytest.mark.parametrize("stored", ["12.5", "twelve", "1e1", "9999999999", 2**31, -(2**31) - 1, "12 13"])
def test_an_sdq_whose_score_is_no_integer_is_left_out_whole_and_listed(stored: str | int) -> None:
    of = rows(sdq=[sdq(stored, key="S9")])

    assert "health_and_wellbeing" not in built(of).payload
    assert [(i.rule.value, i.where) for i in built(of).issues] == [("score_not_integer", "ssd_sdq_scores S9")]


@pytest.mark.parametrize("stored", [None, "", "  "])
def test_an_sdq_without_a_score_is_left_out_and_is_no_issue(stored: str | None) -> None:
    assert "health_and_wellbeing" not in built(rows(sdq=[sdq(stored)])).payload
    assert rules(rows(sdq=[sdq(stored)])) == []


def test_sdqs_are_ordered_by_date_then_key() -> None:
    found = [sdq(3, "2025-09-01", "S3"), sdq(2, "2025-05-01", "S2"), sdq(1, "2025-05-01", "S1")]

    block = built(rows(sdq=found)).payload["health_and_wellbeing"]
    assert [item["score"] for item in block["sdq_assessments"]] == [1, 2, 3]
