"""Unaccompanied asylum-seeking children (mapping 4)."""

from __future__ import annotations

import pytest

from tests.support.ssd import DEFAULTS, When, details, rows, status


@pytest.mark.parametrize(
    "text",
    ["U", " u ", "UASC", "uasc (former)", "Is UASC", "Unaccompanied Asylum Seeking Child", "was unaccompanied asylum"],
)
def test_a_status_of_an_unaccompanied_child_is_known_by_the_default_values(text: str) -> None:
    assert details(rows(immigration=[status(text)]))["uasc_flag"] is True


@pytest.mark.parametrize("text", ["Refugee", "UK", "US citizen", "", None, "Asylum seeker"])
def test_other_statuses_are_none_of_an_unaccompanied_child(text: str | None) -> None:
    assert details(rows(immigration=[status(text)]))["uasc_flag"] is False
    assert details(rows())["uasc_flag"] is False


def test_the_statuses_of_an_unaccompanied_child_are_a_setting() -> None:
    chosen = DEFAULTS._replace(uasc_values=("Code 7", "*minor alone*"))

    assert details(rows(immigration=[status("code 7")]), chosen)["uasc_flag"] is True
    assert details(rows(immigration=[status("A Minor Alone here")]), chosen)["uasc_flag"] is True
    assert details(rows(immigration=[status("Code 77")]), chosen)["uasc_flag"] is False
    assert details(rows(immigration=[status("UASC")]), chosen)["uasc_flag"] is False
    assert details(rows(immigration=[status("")]), DEFAULTS._replace(uasc_values=()))["uasc_flag"] is False
    assert details(rows(immigration=[status("")]), DEFAULTS._replace(uasc_values=("",)))["uasc_flag"] is False


@pytest.mark.parametrize(("end", "flag"), [("2024-03-31", False), ("2024-04-01", True), (None, True)])
def test_a_status_that_ended_before_the_window_does_not_count(end: When, flag: bool) -> None:
    assert details(rows(immigration=[status(end=end)]))["uasc_flag"] is flag


@pytest.mark.parametrize(
    ("end", "sent"),
    [(None, None), ("2025-06-01", "2025-06-01"), ("2026-08-10 12:00", "2026-08-10"), ("2026-08-11", None)],
)
def test_the_end_date_is_sent_only_once_the_status_has_ended(end: When, sent: str | None) -> None:
    assert details(rows(immigration=[status(end=end)])).get("uasc_end_date") == sent


def test_the_end_date_is_of_the_newest_matching_status_and_of_no_other() -> None:
    found = [
        status("UASC", "2024-06-01", "2025-01-01", "I1"),
        status("UASC", "2025-02-01", "2025-08-01", "I2"),
        status("Refugee", "2025-09-01", "2026-01-01", "I3"),
        status("UASC", None, "2026-02-01", "I4"),
    ]

    assert details(rows(immigration=found))["uasc_end_date"] == "2025-08-01"


def test_an_open_status_newer_than_an_ended_one_has_no_end_date() -> None:
    found = [status(start="2024-06-01", end="2025-01-01", key="I1"), status(start="2025-02-01", key="I2")]

    assert "uasc_end_date" not in details(rows(immigration=found))


def test_of_two_statuses_of_one_day_that_with_the_first_key_is_taken() -> None:
    found = [status(end="2025-05-02", key="I2"), status(end="2025-05-01", key="I1")]

    assert details(rows(immigration=found))["uasc_end_date"] == "2025-05-01"
    assert details(rows(immigration=found[::-1]))["uasc_end_date"] == "2025-05-01"
