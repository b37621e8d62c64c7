"""Which windows of time a dated endpoint is asked for: whole weeks and school years, never a moving one.

A window that moves by a day is another set of data each night, and the vendor's cache is made for whole weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from api_pipeline.xporter.catalogue import Endpoint

_SCHOOL_YEAR_BEGINS = 9


@dataclass(frozen=True, slots=True)
class AskedWindow:
    """A window by its name (its Monday, or its school year), and the parameters that ask for it.

    `closed_on` is the last day of a window that is asked for until it has been landed once after that day, and then
    never again; None where it is asked for every night.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    closed_on: date | None


def windows(endpoint: Endpoint, today: date, weeks_back: int, earliest: date | None) -> tuple[AskedWindow, ...]:
    """Return the windows of an endpoint as on `today`, the oldest first; () where it is not asked by window.

    The current week and `weeks_back` before it are asked every night; those before, from `earliest` on, once.
    """
    if endpoint.asking.startswith("window:"):
        names = [name.strip() for name in endpoint.asking.partition(":")[2].split(",")]
        first, last = sorted(names, key=lambda name: not name.lower().endswith("from") and "start" not in name.lower())
        return tuple(
            AskedWindow(
                *(monday.isoformat(), ((first, monday.isoformat()), (last, friday.isoformat()))),
                closed_on=friday if is_closed else None,
            )
            for monday, is_closed in _weeks(today, weeks_back, earliest)
            for friday in (monday + timedelta(days=4),)
        )
    if endpoint.asking == "school year":
        this = school_year(today)
        first_year = min(school_year(earliest) if earliest else this - 1, this)
        return tuple(
            AskedWindow(
                *(str(year), (("SchoolYear", str(year)),)),
                closed_on=date(year + 1, _SCHOOL_YEAR_BEGINS, 1) - timedelta(days=1) if year < this - 1 else None,
            )
            for year in range(first_year, this + 1)
        )
    return ()


def school_year(day: date) -> int:
    """Return the year in which the school year of a day began."""
    return day.year if day.month >= _SCHOOL_YEAR_BEGINS else day.year - 1


def _weeks(today: date, weeks_back: int, earliest: date | None) -> list[tuple[date, bool]]:
    monday = today - timedelta(days=today.weekday())
    oldest_open = monday - timedelta(weeks=weeks_back)
    first = min(earliest - timedelta(days=earliest.weekday()), oldest_open) if earliest else oldest_open
    count = (monday - first).days // 7 + 1
    weeks = [first + timedelta(weeks=number) for number in range(count)]
    return [(week, week < oldest_open) for week in weeks]
