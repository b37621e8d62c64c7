"""Return periods: how they are listed, found, and open for data."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.errors import ReceiverDeclined, SettingsError
from api_pipeline.sdr import periods, returns
from api_pipeline.sdr.nouns import ReturnPeriod, State, state_of

_PERIODS = [
    ReturnPeriod(11, 2026, 3, kind="Indicative"),
    ReturnPeriod(12, 2026, 3, kind="Full"),
    ReturnPeriod(202608, 2026, 8),
]


@pytest.mark.parametrize("wanted", ["202608", "2026-08", " 202608 "])
def test_a_period_is_found_by_id_or_month(wanted: str) -> None:
    assert periods.find(wanted, _PERIODS).return_id == 202608


def test_two_periods_of_a_month_are_not_guessed() -> None:
    with pytest.raises(SettingsError, match=r"11, 2026-03, indicative; 12"):
        periods.find("2026-03", _PERIODS)
    assert periods.find("2026-03", _PERIODS, indicative=True).return_id == 11
    with pytest.raises(ReceiverDeclined):
        periods.find("2025-01", _PERIODS)
    with pytest.raises(ReceiverDeclined, match=r"no indicative return 202608; nothing was sent. It lists: 11 \("):
        periods.find("202608", _PERIODS, indicative=True)


@given(st.integers(0, 25), st.integers(1, 7), st.sampled_from([0, 1]), st.booleans(), st.booleans(), st.booleans())
def test_every_entry_is_read_once_however_pages_count(
    count: int, size: int, base: int, tells_total: bool, repeats_last: bool, tells_page: bool
) -> None:
    entries = [{"returnId": number} for number in range(count)]
    calls = []

    def ask(page: int | None) -> dict[str, Any] | None:
        calls.append(page)
        number = base if page is None else page
        start = (number - base) * size
        if start >= count and number != base:
            if not repeats_last:
                return None
            start = max(0, (count - 1) // size * size)
        total = {"totalCount": count} if tells_total else {}
        own = {"page": number} if tells_page else {}
        return {**own, "results": entries[start : start + size], **total}

    found = returns.read_all(ask, lambda _call, _place, entry: entry["returnId"])
    assert found == (entries, 0)
    assert len(calls) <= count // size + 4


@pytest.mark.parametrize(
    ("pages", "own", "listed", "missing"),
    [
        ([["same"], ["same"], ["other"]], [1, 2, 3], ["same", "same", "other"], 0),
        ([["same"], ["same"], ["same"]], [1, 1, 1], ["same"], 2),
        ([["same"], ["same"], ["same"]], [None, None, None], ["same"], 2),
        ([["one"], ["two"], []], [1, 2, 3], ["one", "two"], 1),
        ([[]], [1], [], 3),
    ],
)
def test_page_like_the_one_before_is_one_by_its_number_and_what_is_not_listed_is_counted(
    pages: list[list[str]], own: list[int | None], listed: list[str], missing: int
) -> None:
    answers = ({"results": page, "page": number, "totalCount": 3} for page, number in zip(pages, own, strict=True))
    assert returns.read_all(lambda _page: next(answers), lambda call, place, _: (call, place)) == (listed, missing)


@pytest.mark.parametrize("is_last_page_repeated", [False, True])
def test_pages_without_a_count_may_be_alike_but_not_for_ever(is_last_page_repeated: bool) -> None:
    pages = ["same", "same", "other", "last", "last"]

    def ask(page: int | None) -> dict[str, Any] | None:
        number = page or 1
        if number > len(pages) and not is_last_page_repeated:
            return None
        return {"results": [pages[min(number, len(pages)) - 1]], "page": number}

    found, missing = returns.read_all(ask, lambda call, place, _: (call, place))
    # A page that comes again and again is one page, however it is numbered.
    assert (found, missing) == (pages[:4] if is_last_page_repeated else pages, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-01T00:00:00Z", datetime(2026, 8, 1, tzinfo=timezone.utc)),
        ("2026-08-01T00:00:00", datetime(2026, 8, 1, tzinfo=timezone.utc)),
        ("2026-08-01T12:00:00.1234567+12:00", datetime(2026, 8, 1, 0, 0, 0, 123456, tzinfo=timezone.utc)),
        ("soon", None),
        (None, None),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: object, expected: datetime | None) -> None:
    assert returns.time_of(text) == expected


@pytest.mark.parametrize(
    ("closes", "is_open"),
    [
        ("2026-08-31", True),
        ("2026-08-31T00:00:00", True),
        ("2026-08-31T00:00:00Z", False),
        ("2026-08-30", False),
    ],
)
def test_window_is_open_to_the_end_of_its_last_day(closes: str, is_open: bool) -> None:
    period = returns.period_of({"returnId": 202608, "closeWindowDate": closes})
    assert period is not None
    assert (not period.why_not_open(datetime(2026, 8, 31, 23, 0, tzinfo=timezone.utc))) is is_open


@pytest.mark.parametrize("word", ["Closed", "Submitted"])
def test_return_that_takes_nothing_is_not_open_within_its_window(word: str) -> None:
    assert ReturnPeriod(202608, 2026, 8, word).why_not_open(datetime(2026, 8, 1, tzinfo=timezone.utc))


def test_words_of_tec_have_a_state_and_others_are_unknown() -> None:
    assert state_of("InProgress") is State.VALIDATING
    assert state_of("rejected ") is State.FAILED
    assert state_of("SomethingNew") is State.UNKNOWN
