from __future__ import annotations

from datetime import datetime, timezone

import pytest

from api_pipeline.transport.retry_after import retry_after_seconds, wait_in_sentence

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Sat, 21 Nov 2026 02:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 01:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
        ("inf", None),
    ],
)
def test_header_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3, 12, 5", 12.0),
        ("30,Sat, 21 Nov 2026 02:01:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 02:01:00 GMT, Saturday, 21-Nov-26 02:02:00 GMT", 120.0),
        ("soon, 4", 4.0),
        ("120; comment", 120.0),
        ("1_000", None),
        ("nan", None),
        ("Infinity", None),
        ("9" * 400, None),
        ("Sat, 99 Nov 2026 99:99:99 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -9999", None),
        (", ,", None),
        ("٣", None),
    ],
)
def test_longest_usable_value_of_the_header_counts(value: str, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('{"statusCode": 429, "message": "Rate limit is exceeded. Try again in 27 seconds."}', 27.0),
        ("Please try your request again in 2 minutes", 120.0),
        ("RETRY AFTER 1.5 s", 1.5),
        ("try again after 3 hours.", 10_800.0),
        ("Out of call volume quota. Quota will be replenished in 01:23:45.", 5025.0),
        ("Quota will be replenished in 2.00:00:10", 172_810.0),
        ("Try again in a while", None),
        ("try again in 99999999999999 seconds", None),
        ("country in 5 seconds", None),
        ("", None),
    ],
)
def test_sentence_of_a_gateway_is_understood(text: str, seconds: float | None) -> None:
    assert wait_in_sentence(text.encode()) == seconds
