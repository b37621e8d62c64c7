"""The time window (mapping 1), and the census dates in it (mapping 7.5, 10)."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from api_pipeline.staging.window import window_for, years_after
from tests.support.ssd import WINDOW, at


@pytest.mark.parametrize(
    ("run_date", "start", "end"),
    [
        ("2026-08-10", "2024-04-01", "2026-08-11"),
        ("2025-12-31", "2023-04-01", "2026-01-01"),
        ("2026-03-31", "2023-04-01", "2026-04-01"),
        ("2026-04-01", "2024-04-01", "2026-04-02"),
        ("2028-02-29", "2025-04-01", "2028-03-01"),
    ],
)
def test_window_runs_from_1_april_two_years_back_to_tomorrow(run_date: str, start: str, end: str) -> None:
    window = window_for(date.fromisoformat(run_date))

    assert (window.start, window.end) == (at(start), at(end))


def test_the_anchor_of_a_29_february_is_the_28th_where_there_is_none() -> None:
    window = window_for(date(2028, 2, 29), months_back=12, year_start_month=2)

    assert window.start == at("2027-02-01")


def test_months_back_and_the_month_of_the_year_start_are_settings() -> None:
    assert window_for(date(2026, 8, 10), months_back=6).start == at("2025-04-01")
    assert window_for(date(2026, 8, 10), months_back=0).start == at("2026-04-01")
    assert window_for(date(2026, 8, 10), year_start_month=9).start == at("2023-09-01")
    assert window_for(date(2026, 8, 10), year_start_month=8).start == at("2024-08-01")


@pytest.mark.parametrize(
    ("moment", "is_in"),
    [
        ("2024-03-31 23:59:59", False),
        ("2024-04-01", True),
        ("2026-08-10 23:59:59", True),
        ("2026-08-11", True),
        ("2026-08-11 00:00:01", False),
        (None, False),
    ],
)
def test_date_is_in_window_from_start_to_midnight_of_tomorrow(moment: str | None, is_in: bool) -> None:
    assert WINDOW.holds(at(moment)) is is_in


@pytest.mark.parametrize(
    ("start", "end", "does"),
    [
        ("2020-01-01", None, True),
        ("2020-01-01", "2024-04-01", True),
        ("2020-01-01", "2024-03-31 23:59", False),
        ("2026-08-11", None, True),
        ("2026-08-11 00:01", None, False),
        ("2025-01-01", "2025-02-01", True),
        (None, None, False),
        (None, "2025-02-01", False),
    ],
)
def test_a_spell_overlaps_the_window_by_its_start_and_end(start: str | None, end: str | None, does: bool) -> None:
    assert WINDOW.overlaps(at(start), at(end)) is does


@pytest.mark.parametrize(
    ("run_date", "dates"),
    [
        (date(2026, 2, 10), ["2024-03-31", "2025-03-31"]),
        (date(2026, 3, 29), ["2024-03-31", "2025-03-31"]),
        (date(2026, 3, 30), ["2024-03-31", "2025-03-31", "2026-03-31"]),
        (date(2026, 3, 31), ["2024-03-31", "2025-03-31", "2026-03-31"]),
        (date(2026, 8, 10), ["2025-03-31", "2026-03-31"]),
    ],
)
def test_every_31_march_in_the_window_is_a_census_date(run_date: date, dates: list[str]) -> None:
    assert window_for(run_date).census_dates == tuple(at(day) for day in dates)


def test_years_are_added_to_a_29_february_as_the_28th() -> None:
    assert years_after(datetime(2008, 2, 29), 26) == datetime(2034, 2, 28)  # noqa: DTZ001 - the SSD has no zone
    assert years_after(datetime(2008, 2, 29), 16) == datetime(2024, 2, 29)  # noqa: DTZ001 - as above
