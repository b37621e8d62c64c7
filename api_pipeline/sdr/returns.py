"""The list of returns: read page by page under every reading of how TEC counts pages, and matched to a period."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from api_pipeline.errors import PipelineError, ReceiverDeclined, SettingsError
from api_pipeline.sdr.nouns import ReturnPeriod

_PERIOD = re.compile(r"(\d{4})-?(\d{2})")
_LONGEST_WORD = 50
_MOST_PAGES = 10_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0+)?)?)?")
_FRACTION = re.compile(r"(\.\d{6})\d+")


def read_all(
    ask: Callable[[int | None], Mapping[str, Any] | None], key: Callable[[int, int, Any], object]
) -> list[Any]:
    """Return every result of a paged list, each once.

    `ask` returns the answer for a page (None: as TEC counts by itself), or None for a page behind the last. Whether the
    first page is 0 or 1 is TEC's to say: what follows is the answer's own page and one. `key` tells results apart, by
    the call, the place in its answer and the result. The number of calls is bounded.
    """
    found: dict[object, Any] = {}
    page: int | None = None
    last: object = None
    is_told = False
    call, most = 0, 2
    while call < min(most, _MOST_PAGES):
        call += 1
        answer = ask(page)
        results = answer.get("results") if answer else None
        if answer is None or not isinstance(results, list) or not results:
            break
        if results == last:
            if is_told or page != 1:
                break
            # The answers do not say which page they are: the first one was page 1, not 0.
            page, most = 2, most + 1
            continue
        before = len(found)
        for place, one in enumerate(results):
            found.setdefault(key(call, place, one), one)
        total = whole(answer.get("totalCount"))
        if len(found) == before or (total is not None and len(found) >= total):
            break
        own = whole(answer.get("page"))
        is_told = own is not None
        page = (own if own is not None else (page or 0)) + 1
        most = -(-total // max(1, len(results))) + 1 if total is not None else call + 1
        last = results
    return list(found.values())


def period_of(entry: Mapping[str, Any]) -> ReturnPeriod | None:
    """Return the period of an entry in the list, None where it has no id."""
    number = whole(entry.get("returnId"), 2**63 - 1)
    if number is None:
        return None
    return ReturnPeriod(
        number,
        whole(entry.get("returnYear")),
        whole(entry.get("returnMonth")),
        str(entry.get("returnStatus") or "")[:_LONGEST_WORD],
        str(entry.get("returnType") or ""),
        time_of(entry.get("openWindowDate")),
        _end_of(entry.get("closeWindowDate")),
    )


def _end_of(value: object) -> datetime | None:
    """Return the time at which a window closes; one that is a day closes with its end, and not before it begins."""
    moment = time_of(value)
    is_day = isinstance(value, str) and _DAY.fullmatch(value.strip()) is not None
    return moment + timedelta(days=1, seconds=-1) if moment and is_day else moment


def find(wanted: str, periods: Iterable[ReturnPeriod], *, indicative: bool = False) -> ReturnPeriod:
    """Return the period that the command line names: by id, else by year and month.

    Errors: SettingsError for what is not a period or may be two; ReceiverDeclined for one that TEC does not list.
    """
    periods = list(periods)
    text = wanted.strip()
    match = _PERIOD.fullmatch(text)
    if not match and not text.isdigit():
        raise SettingsError(f"PERIOD: expected a return period such as 202608 or 2026-08, got {wanted!r}.")
    by_id = [one for one in periods if str(one.return_id) == text and (not indicative or one.is_indicative)]
    if len(by_id) == 1:
        return by_id[0]
    year, month = (int(match[1]), int(match[2])) if match else (0, 0)
    found = [one for one in periods if (one.year, one.month) == (year, month)]
    if indicative:
        found = [one for one in found if one.is_indicative]
    if len(found) == 1:
        return found[0]
    if found:
        names = "; ".join(one.name for one in found)
        raise SettingsError(f"PERIOD: {text} may be more than one return ({names}); name the return by its id.")
    kind = "indicative return" if indicative else "return"
    listed = ", ".join(str(one.return_id) for one in periods if one.is_indicative or not indicative) or "none"
    raise ReceiverDeclined(
        f"TEC lists no {kind} {text}; nothing was sent. It lists: {listed} (see: d2i-csc-api sdr returns)."
    )


def find_begun(wanted: str, periods: Iterable[ReturnPeriod]) -> ReturnPeriod:
    """Return the period that the command line names among those that the tables know, which keep no kind of return.

    Errors: SettingsError for what is not a period or may be two; PipelineError for one that was never begun.
    """
    periods = list(periods)
    try:
        return find(wanted, periods)
    except ReceiverDeclined:
        begun = ", ".join(str(one.return_id) for one in periods) or "none"
        raise PipelineError(
            f"The return {wanted.strip()} was not begun with these tables yet, so nothing is known of it here (begun: "
            f"{begun}). Begin it: d2i-csc-api sdr submit {wanted.strip()}"
        ) from None


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
