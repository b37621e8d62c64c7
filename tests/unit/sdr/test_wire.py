"""How TEC's answers to one call are met on the wire, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from api_pipeline.auth.token_provider import Credentials
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.sdr.nouns import Collection
from api_pipeline.sdr.opening import Access, make_receiver
from api_pipeline.sdr.receiver import TecReceiver
from api_pipeline.sdr.wire import Address, RequestOptions
from api_pipeline.transport.exchange import RetryPolicy
from api_pipeline.transport.single_request import Reach
from tests.support import scripted
from tests.support.hostile_receiver import HostileReceiver
from tests.support.scripted import in_turn, says


@contextmanager
def _tec(server: HostileReceiver, slept: list[float]) -> Iterator[TecReceiver]:
    """Yield a receiver whose clock stands still but for its sleeps."""
    endpoint = server.settings["TOKEN_ENDPOINT"]
    access = Access(
        Credentials(endpoint, "invented", "invented-secret", "invented", client_auth="basic"),
        Address(endpoint.rpartition("/")[0], "9999"),
        Reach((2.0, 2.0), peer="TEC"),
        RetryPolicy(1, 0.0),
        RequestOptions(wait_blocked_s=60.0, read_timeout_s=2.0),
    )
    with scripted.session() as session:
        yield make_receiver(session, access, clock=lambda: sum(slept), sleep=slept.append)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b'{"errorCode": "ZZ9", "title": "Forbidden"}', "refused a fresh access token"),
        (401, b'{"errorCode": "AU1", "title": "Unauthorised"}', "does not know this machine account"),
    ],
)
def test_refused_login_is_told_by_code_and_else_by_status(status: int, body: bytes, words: str) -> None:
    with HostileReceiver() as server, _tec(server, []) as tec:
        server.pages["/returns?includeIndicative=true"] = says(status, body)
        with pytest.raises(AuthenticationRefused, match=words):
            tec.returns()


def test_upload_that_is_blocked_waits_as_long_as_tec_asks() -> None:
    slept: list[float] = []
    with HostileReceiver() as server, _tec(server, slept) as tec:
        blocked = says(429, b'{"errorCode": "DS1"}', "Retry-After: 7\r\n")
        server.pages["/learners"] = in_turn(blocked, says(200, b"{}"))
        tec.put(Collection.LEARNERS, "an-invented-token", ["a"], [b"{}"])
    assert slept == [7.0]


def test_reset_is_taken_with_an_empty_answer_and_an_upload_is_not() -> None:
    with HostileReceiver() as server, _tec(server, []) as tec:
        server.pages["/token/t/delete"] = server.pages["/learners"] = says(204)
        tec.reset("t")
        with pytest.raises(ServiceUnavailable, match="in doubt"):
            tec.put(Collection.LEARNERS, "t", ["a"], [b"{}"])


@pytest.mark.parametrize("body", [b'{"title": "Unauthorised"}', b'\xef\xbb\xbf{"title": "Unauthorised"}'])
def test_403_of_tec_itself_is_about_the_login_and_no_record(body: bytes) -> None:
    with HostileReceiver() as server, _tec(server, []) as tec:
        server.pages["/learners"] = in_turn(says(200, b"{}"), says(403, body))
        tec.put(Collection.LEARNERS, "t", ["a"], [b"{}"])
        with pytest.raises(AuthenticationRefused):
            tec.put(Collection.LEARNERS, "t", ["b"], [b"{}"])


def test_page_of_a_proxy_in_place_of_the_list_puts_no_record_in_doubt() -> None:
    with HostileReceiver() as server, _tec(server, []) as tec:
        page = says(200, b"<html>Sign in</html>")
        server.pages["/returns?includeIndicative=true"] = server.pages["/validation/t"] = page
        with pytest.raises(
            ServiceUnavailable, match=r"^TEC's answer at /returns cannot be read \(.*; check SDR_API_ENDPOINT and"
        ):
            tec.returns()
        with pytest.raises(ServiceUnavailable, match=r"^TEC's answer at /validation/\*\*\* cannot be read"):
            tec.validation("t")
