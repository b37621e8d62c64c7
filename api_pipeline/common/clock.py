"""The time as the tables keep it: UTC, without a zone, to the millisecond."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_now() -> datetime:
    """Return the time in UTC, without a zone, to the millisecond that DATETIME keeps."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def stored_time(value: object) -> object:
    """Return a time that was read from the database. SQLite gives it as text; other values are returned as they are."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
