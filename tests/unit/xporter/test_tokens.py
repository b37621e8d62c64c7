"""For how long a token of the School Data API is used, by the clock of the server that gave it."""

from __future__ import annotations

import pytest

from api_pipeline.xporter.wire.access import Access, Caller
from api_pipeline.xporter.wire.tokens import IdaasTokens
from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver
from tests.support.scripted import says


@pytest.mark.parametrize(
    ("date", "used_s"),
    [
        ("Fri, 27 Nov 2099 02:00:00 GMT", 900.0),
        ("Fri, 27 Nov 2099 03:00:00 +0100", 900.0),
        ("Fri, 27 Nov 2099 03:00:00 GMT", 600.0),
    ],
)
def test_token_is_used_until_a_little_before_its_end(date: str, used_s: float) -> None:
    assert _renewed_at(date) == pytest.approx(used_s)


def test_date_that_no_clock_has_is_passed_over() -> None:
    assert _renewed_at("Fri, 31 Dec 9999 23:59:59 -0100") > 900


def _renewed_at(date: str) -> float:
    body = b'{"token": "an-invented-token", "expires": "2099-11-27T02:16:40Z"}'
    with HostileReceiver() as server, scripted.session() as session:
        address = server.settings["TOKEN_ENDPOINT"]
        server.token = says(200, body, f"Date: {date}\r\n")
        origin = address.rpartition("/")[0]
        access = Access(session, origin, address, "app", "test", (2.0, 2.0), max_attempts=1, clock=lambda: 0.0)
        return IdaasTokens(Caller(access, "9990001", "invented")).token().renew_at
