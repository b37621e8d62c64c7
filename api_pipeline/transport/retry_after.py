"""How long a service asks to wait: in its `Retry-After` header (RFC 9110, 10.2.3), or in a gateway's sentence. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

# More than thirty years is a mistake, not a wait; such a value is passed over.
_MOST_S = 1e9
_TEXT_LIMIT = 4000
# Python compiles these patterns, and keeps them, when a service asks to wait: other runs are spared 2 ms.
# A date has a comma of its own behind the day of the week; several header values are joined by commas too.
_VALUE = r"(?i)(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,[^,;]+|[^,;]+"
_SECONDS = r"-?[0-9]{1,400}(?:\.[0-9]{0,20})?"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SENTENCE = (
    r"(?i)\b(?:try|retry)(?:\s+\w+){0,3}?\s+(?:in|after)\s+(?P<number>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>s|m|h)"
    r"(?:ec(?:ond)?s?|in(?:ute)?s?|(?:ou)?rs?)?\b"
    r"|\breplenished\s+in\s+(?:(?P<days>\d{1,5})\.)?(?P<hours>\d{1,3}):(?P<minutes>\d\d):(?P<seconds>\d\d)\b"
)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait, None where it says nothing usable.

    Each value is a number of seconds or an HTTP date, measured against `now` (with a zone); of several the longest
    wait counts.
    """
    return max((wait for item in _values(value) if (wait := _one(item, now)) is not None), default=None)


def is_date_among(value: str | None) -> bool:
    """Return whether a `Retry-After` header names a date, so that the wait depends on a clock."""
    return any(date_of(item) is not None for item in _values(value))


def _values(header: str | None) -> list[str]:
    """Return the values of a `Retry-After` header, which may be several in one."""
    return [item.strip() for item in re.findall(_VALUE, (header or "")[:_TEXT_LIMIT])]


def wait_in_sentence(body: bytes) -> float | None:
    """Return the seconds in a sentence such as "Try again in 30 seconds.", None where there is no such sentence."""
    found = re.search(_SENTENCE, body[:_TEXT_LIMIT].decode("utf-8", "replace"))
    if found is None:
        return None
    if found["number"]:
        wait = float(found["number"]) * _UNITS[found["unit"].lower()]
    else:
        hours = int(found["days"] or 0) * 24 + int(found["hours"])
        wait = hours * 3600.0 + int(found["minutes"]) * 60 + int(found["seconds"])
    return wait if wait <= _MOST_S else None


def date_of(value: str | None) -> datetime | None:
    """Return the moment that an HTTP date names, with a zone; None where it is not one."""
    try:
        moment = parsedate_to_datetime(value or "")
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _one(item: str, now: datetime) -> float | None:
    if re.fullmatch(_SECONDS, item):
        wait = max(0.0, float(item))
    else:
        moment = date_of(item)
        if moment is None:
            return None
        wait = max(0.0, (moment - now).total_seconds())
    return wait if wait <= _MOST_S else None
