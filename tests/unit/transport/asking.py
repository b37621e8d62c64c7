"""One request to a server of the test's own, and what came of it."""

from __future__ import annotations

from api_pipeline.transport.single_request import RawAnswer, Reach, Request, Transient
from tests.support.hostile_receiver import HostileReceiver, Reply

REACH = Reach((2.0, 2.0), "csc/1.0")
SECRET = "Zq7-secret-in-an-address"


def asking(server: HostileReceiver, reply: Reply) -> Request:
    """Return a request for a page of the server, which has this reply."""
    path = f"/page?key={SECRET}"
    server.pages[path] = reply
    origin = server.settings["TOKEN_ENDPOINT"].removesuffix("/token")
    return Request("GET", origin + path, "page")


def an_answer(got: RawAnswer | Transient) -> RawAnswer:
    assert isinstance(got, RawAnswer), got
    return got


def a_failure(got: RawAnswer | Transient) -> Transient:
    assert isinstance(got, Transient), got
    return got
