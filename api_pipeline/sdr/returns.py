"""TEC's lists, read page by page under every reading of how TEC counts pages, and the return periods in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any, NamedTuple

from api_pipeline.common.null_characters import stored_text
from api_pipeline.sdr.nouns import ReturnPeriod

_LONGEST_WORD = 50
_MOST_PAGES = 10_000
# So many pages in turn may be alike without a count of results: after these, TEC gives the same page for ever.
_MOST_ALIKE = 10
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0+)?)?)?")
_FRACTION = re.compile(r"(\.\d{6})\d+")


class Listing(NamedTuple):
    """The results of a paged list, each once. `missing` is how many more TEC counts than it listed."""

    results: list[Any]
    missing: int


def read_all(ask: Callable[[int | None], Mapping[str, Any] | None], key: Callable[[int, int, Any], object]) -> Listing:
    """Return every result of a paged list, each once.

    `ask` returns the answer for a page (None: as TEC counts by itself), or None for a page behind the last. Whether the
    first page is 0 or 1 is TEC's to say: what follows is the answer's own page and one. `key` tells results apart, by
    the call, the place in its answer and the result. The number of calls is bounded.
    """
    found: dict[object, Any] = {}
    page: int | None = None
    last: object = None
    total: int | None = None
    call, most = 0, 2
    alike = certain = 0
    while call < min(most, _MOST_PAGES):
        call += 1
        answer = ask(page)
        results = answer.get("results") if answer else None
        if answer is None or not isinstance(results, list) or not results:
            total = whole(answer.get("totalCount")) if answer and total is None else total
            break
        own = whole(answer.get("page"))
        is_lacking = total is None or len(found) < total
        alike = alike + 1 if results == last else 0
        if alike > _MOST_ALIKE and total is None:
            found = dict(islice(found.items(), certain))
            break
        if alike and not (own == page and is_lacking):
            if own is not None or page != 1:
                # However it is asked, TEC gives the same page.
                break
            # The answers do not say which page they are: the first one was page 1, not 0.
            page, most = 2, most + 1
            continue
        before = len(found)
        for place, one in enumerate(results):
            found.setdefault(key(call, place, one), one)
        certain = certain if alike else len(found)
        total = whole(answer.get("totalCount"))
        if len(found) == before or (total is not None and len(found) >= total):
            break
        page = (own if own is not None else (page or 0)) + 1
        most = -(-total // max(1, len(results))) + 1 if total is not None else call + 1
        last = results
    return Listing(list(found.values()), max(0, (total or 0) - len(found)))


def period_of(entry: Mapping[str, Any]) -> ReturnPeriod | None:
    """Return the period of an entry in the list, None where it has no id."""
    number = whole(entry.get("returnId"), 2**63 - 1)
    if number is None:
        return None
    return ReturnPeriod(
        number,
        whole(entry.get("returnYear")),
        whole(entry.get("returnMonth")),
        stored_text(entry.get("returnStatus"), _LONGEST_WORD),
        stored_text(entry.get("returnType"), _LONGEST_WORD),
        time_of(entry.get("openWindowDate")),
        _end_of(entry.get("closeWindowDate")),
    )


def _end_of(value: object) -> datetime | None:
    """Return the time at which a window closes; one that is a day closes with its end, and not before it begins."""
    moment = time_of(value)
    is_day = isinstance(value, str) and _DAY.fullmatch(value.strip()) is not None
    return moment + timedelta(days=1, seconds=-1) if moment and is_day else moment


def time_of(value: object) -> datetime | None:
    """Return an ISO 8601 date-time with its zone; one without a zone is taken for UTC. None for anything else."""
    if not isinstance(value, str) or not value.strip():
        return None
    text = _FRACTION.sub(r"\1", value.strip())
    if text[-1] in "zZ":
        text = text[:-1] + "+00:00"
    # Python 3.10 reads three or six digits of a fraction alone.
    text = re.sub(r"\.(\d{1,5})(?=[+-]|$)", lambda found: "." + found[1].ljust(6, "0"), text)
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        # At the ends of the calendar a zone leads out of it.
        moment.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return moment


def whole(value: object, most: int = 2**31 - 1) -> int | None:
    """Return a whole number from 0 to `most` that may be written as text, None for anything else."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= most else None
