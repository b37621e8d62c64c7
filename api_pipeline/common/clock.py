"""The time as the tables keep it: UTC, without a zone, to the millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone


def utc_now() -> datetime:
    """Return the time in UTC, without a zone, to the millisecond that DATETIME keeps."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def latest_start() -> datetime:
    """Return the time (UTC) after which nothing in a journal can have begun unless a clock was wrong: a day from now.

    The clocks of machines that share a journal may differ a little.
    """
    return utc_now() + timedelta(days=1)


def as_utc(moment: datetime) -> datetime:
    """Return a time in UTC, without a zone; one that has no zone is in UTC already."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment


class Stopwatch:
    """The time in UTC when something began, and how it goes on from there whatever is done to the machine's clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.started_at = utc_now()
        self._clock = clock
        self._began = clock()

    def now(self) -> datetime:
        """Return the time at the beginning and what has passed since, to the millisecond."""
        return self.started_at + timedelta(milliseconds=round((self._clock() - self._began) * 1000))


def stored_time(value: object) -> object:
    """Return a time that was read from the database. SQLite gives it as text; other values are returned as they are."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
