"""The time window of a staging run, worked out from its day (mapping 1). Pure."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta


@dataclass(frozen=True, slots=True)
class Window:
    """What dates count. `start` and `end` are midnights, both included, so `end` takes in all of the run's day.

    `census_dates` are all the 31 Marches in the window, at which care workers are counted (mapping 7.5, 10).
    """

    run_date: date
    start: datetime
    end: datetime
    census_dates: tuple[datetime, ...]

    def holds(self, moment: datetime | None) -> bool:
        """Return whether a date is in the window; an unknown one is not."""
        return moment is not None and self.start <= moment <= self.end

    def overlaps(self, start: datetime | None, end: datetime | None) -> bool:
        """Return whether a spell touches the window; one without an end goes on, one without a start is out."""
        return start is not None and start <= self.end and (end is None or end >= self.start)


def window_for(run_date: date, months_back: int = 24, year_start_month: int = 4) -> Window:
    """Return the window of a run: from the first day of the reporting year `months_back` months ago, to tomorrow.

    `months_back` is COHORT_MONTHS_BACK, `year_start_month` COHORT_YEAR_START_MONTH (1 to 12).
    """
    anchor = _months_before(run_date, months_back)
    year = anchor.year if anchor.month >= year_start_month else anchor.year - 1
    start = datetime(year, year_start_month, 1)  # noqa: DTZ001 - the SSD's dates have no zone
    end = datetime.combine(run_date + timedelta(days=1), time())
    marches = (datetime(year, 3, 31) for year in range(start.year, end.year + 1))  # noqa: DTZ001 - as above
    return Window(run_date, start, end, tuple(day for day in marches if start <= day <= end))


def years_after(moment: datetime, years: int) -> datetime:
    """Return the same day some years on; 29 February becomes 28 February where there is none."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, day=28)


def _months_before(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
