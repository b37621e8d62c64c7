"""Care workers (mapping 7.5, 10)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.window import window_for
from tests.support.ssd import WINDOW, When, cin_plan, involvement, only_episode, professional, rows, rules, withheld


def managed(*involvements: Any, **lists: Any) -> PersonRows:
    found = {"cin_plans": [cin_plan()], "professionals": [professional()], **lists}
    return rows(involvements=[*involvements] or [involvement()], **found)


def workers_of(of: PersonRows, on: date | None = None) -> list[dict[str, Any]]:
    window = WINDOW if on is None else window_for(on)
    found: list[dict[str, Any]] = only_episode(of, window=window).get("care_worker_details", [])
    return found


def test_a_care_worker_has_number_start_and_end() -> None:
    assert workers_of(managed(involvement(start="2025-02-01 09:00", end="2025-12-31 17:00"))) == [
        {"worker_id": "SW123456", "start_date": "2025-02-01", "end_date": "2025-12-31"}
    ]


def test_a_care_worker_of_brothers_and_sisters_stands_once_with_the_same_dates() -> None:
    found = workers_of(
        managed(involvement("I1"), involvement("I2", "2025-02-01 09:00"), involvement("I3", end="2025-12-31"))
    )

    assert found == [
        {"worker_id": "SW123456", "start_date": "2025-02-01"},
        {"worker_id": "SW123456", "start_date": "2025-02-01", "end_date": "2025-12-31"},
    ]


def test_a_referral_without_a_cin_plan_in_the_window_has_no_care_workers() -> None:
    assert workers_of(managed(cin_plans=[])) == []
    assert workers_of(managed(cin_plans=[cin_plan(start="2020-01-01", end="2024-03-31")])) == []
    assert workers_of(managed(cin_plans=[cin_plan(referral="R2")])) == []


@pytest.mark.parametrize("number", [None, "", "  "])
def test_a_care_worker_is_registered(number: str | None) -> None:
    assert workers_of(managed(professionals=[professional(number=number)])) == []
    assert rules(managed(professionals=[professional(number=number)])) == []


def test_a_care_worker_is_known_by_the_professional_id() -> None:
    assert workers_of(managed(involvement(worker="w1 ")))
    assert workers_of(managed(involvement(worker="W2"))) == []
    assert workers_of(managed(involvement(worker=None))) == []


@pytest.mark.parametrize(
    ("role", "counts"), [("CW", True), (" cw ", True), ("CWX", False), ("IRO", False), (None, False)]
)
def test_a_care_worker_has_the_role_cw(role: str | None, counts: bool) -> None:
    assert bool(workers_of(managed(involvement(role=role)))) is counts


@pytest.mark.parametrize(
    ("start", "end", "counts"),
    [
        ("2025-03-31", "2025-03-31", True),
        ("2025-03-31 00:01", "2026-03-30", False),
        ("2025-04-01", "2026-03-30", False),
        ("2025-04-01", "2026-03-31", True),
        ("2025-04-01", None, True),
        ("2026-04-01", None, False),
        ("2020-01-01", "2025-03-30", False),
        (None, None, False),
    ],
)
def test_a_care_worker_is_involved_on_a_31_march_in_the_window(start: When, end: When, counts: bool) -> None:
    assert bool(workers_of(managed(involvement(start=start, end=end)))) is counts


def test_care_workers_are_sent_in_winter_too() -> None:
    long_gone = managed(involvement(start="2025-01-10", end="2025-06-01"))

    assert workers_of(long_gone, on=date(2026, 2, 10))


def test_care_workers_of_another_referral_are_not_in_the_episode() -> None:
    assert workers_of(managed(involvement(referral="R2"), involvement(referral=None))) == []


def test_care_workers_are_ordered_by_start_then_number_then_key() -> None:
    found = [
        involvement("IN1", "2025-02-02", worker="W1"),
        involvement("IN3", "2025-02-01", worker="W2"),
        involvement("IN2", "2025-02-01", "2025-04-01", worker="W1"),
        involvement("IN4", "2025-02-01", "2026-04-01", worker="W1"),
    ]
    staff = [professional("W1", "SW1"), professional("W2", "SW2")]

    for order in (found, found[::-1]):
        workers = workers_of(managed(*order, professionals=staff))
        assert [(one["worker_id"], one["start_date"], one.get("end_date")) for one in workers] == [
            ("SW1", "2025-02-01", "2025-04-01"),
            ("SW1", "2025-02-01", "2026-04-01"),
            ("SW2", "2025-02-01", None),
            ("SW1", "2025-02-02", None),
        ]


@pytest.mark.parametrize("number", ["SW12345678901", "SW.1", "SW 1"])
def test_malformed_registration_number_holds_the_record_back(
    number: str,
) -> None:
    (issue,) = withheld(managed(professionals=[professional(number=number)])).issues

    assert (issue.rule.value, issue.field, issue.where) == (
        "id_ill_formed",
        "social_care_episodes[].care_worker_details[].worker_id",
        "ssd_professionals",
    )
    assert number not in repr(issue)


def test_a_registration_number_of_12_characters_is_sent_whole() -> None:
    assert workers_of(managed(professionals=[professional(number=" SW1234567890 ")]))[0]["worker_id"] == "SW1234567890"
