"""Which statuses are errors that pass, and how long such an answer asks to wait."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
import requests

from api_pipeline.transport.single_request import RawAnswer, Transient, ask, asked_wait_s, transient
from tests.support.hostile_receiver import HostileReceiver
from tests.unit.transport.asking import REACH, a_failure, an_answer, asking


@pytest.mark.parametrize(
    ("status", "passes", "may_have_arrived"),
    [
        (200, False, False),
        (400, False, False),
        (404, False, False),
        (499, False, False),
        (408, True, True),
        (425, True, False),
        (429, True, False),
        (500, True, True),
        (502, True, True),
        (503, True, False),
        (504, True, True),
        (599, True, True),
    ],
)
def test_status_says_whether_an_error_passes(status: int, passes: bool, may_have_arrived: bool) -> None:
    found = transient(RawAnswer(status, {}, b""), "why")
    assert found == (Transient(status, "why", None, may_have_arrived) if passes else None)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, b"", None),
        ({}, b"Rate limit is exceeded. Try again in 7 seconds.", 7.0),
        ({"retry-after": "30"}, b"Try again in 7 seconds.", 30.0),
        ({"retry-after": "0"}, b"Try again in 7 seconds.", 0.0),
        ({"retry-after": "soon"}, b"Try again in 7 seconds.", 7.0),
        ({"retry-after": "Sat, 31 Jan 2026 02:00:45 GMT"}, b"", 45.0),
    ],
)
def test_header_is_asked_for_a_wait_before_the_text(
    headers: dict[str, str], body: bytes, seconds: float | None
) -> None:
    now = datetime(2026, 1, 31, 2, tzinfo=timezone.utc)
    assert asked_wait_s(RawAnswer(503, headers, body), now) == seconds
    found = transient(RawAnswer(503, headers, body), "", now)
    assert found == Transient(
        503, "", seconds, may_have_arrived=False, is_by_own_clock="GMT" in headers.get("retry-after", "")
    )


@pytest.mark.parametrize("date", ["Fri, 27 Nov 2026 02:00:00 GMT", None])
def test_date_to_wait_for_is_compared_with_that_of_the_answer(date: str | None) -> None:
    headers = {"retry-after": "Fri, 27 Nov 2026 02:00:30 GMT", **({"date": date} if date else {})}
    wrong_clock = datetime(2026, 11, 27, 1, 0, tzinfo=timezone.utc)
    assert asked_wait_s(RawAnswer(503, headers, b""), wrong_clock) == (30.0 if date else 3630.0)
    asked = transient(RawAnswer(503, headers, b""), "", wrong_clock)
    assert asked is not None
    assert asked.is_by_own_clock is (date is None)


# A text that is damaged, one that breaks off, and one whose length is no length.
BROKEN = [
    b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbusy",
    b"Content-Length: 40\r\n\r\nbusy",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\nbusy",
]


@pytest.mark.parametrize("rest", BROKEN)
@pytest.mark.parametrize("status", [429, 503])
def test_wait_in_the_head_is_read_though_the_text_is_broken(
    server: HostileReceiver, session: requests.Session, status: int, rest: bytes
) -> None:
    answer = f"HTTP/1.1 {status} Busy\r\nRetry-After: 7\r\n".encode() + rest
    got = an_answer(ask(session, REACH, asking(server, lambda talk: talk.send(answer))))
    assert transient(got, "why") == Transient(status, "why", 7.0, may_have_arrived=False)


@pytest.mark.parametrize("rest", BROKEN)
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_answer_with_a_broken_text_is_none_where_the_text_decides(
    server: HostileReceiver, session: requests.Session, status: int, rest: bytes
) -> None:
    answer = f"HTTP/1.1 {status} Fine\r\nRetry-After: 7\r\n".encode() + rest
    got = a_failure(ask(session, REACH, asking(server, lambda talk: talk.send(answer))))
    assert (got.retry_after_s, got.may_have_arrived) == (None, True)
