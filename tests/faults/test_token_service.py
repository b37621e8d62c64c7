"""Token services that drip, never end, or answer what nobody can read: the run ends in time, with the right code."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.hostile_receiver import HostileReceiver, Talk
from tests.support.world import World

GOOD = b'{"access_token": "invented-token-0001", "expires_in": 3600, "token_type": "Bearer"}'


@contextmanager
def token_service(body: bytes, *, status: int = 200, gap_s: float = 0.0, head: str = "") -> Iterator[HostileReceiver]:
    """Serve one answer, its head and body in bytes `gap_s` apart where that is not nought."""

    lines = f"Set-Cookie: session=invented; Path=/\r\n{head}"
    whole = f"HTTP/1.1 {status} Any\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body

    def reply(talk: Talk) -> None:
        if gap_s:
            talk.drip(whole, gap_s)
        else:
            talk.answer(body, status, lines)

    with HostileReceiver(token=reply) as service:
        yield service


def test_token_answer_that_drips_ends_the_run_in_time(world: World) -> None:
    persons = world.stage(2)
    began = time.monotonic()
    with token_service(GOOD, gap_s=0.05) as service:
        done = world.run(TOKEN_ENDPOINT=service.settings["TOKEN_ENDPOINT"], READ_TIMEOUT_S=0.4, MAX_ATTEMPTS=2)
    assert done.code == 5, done.text
    assert "token service" in done.text
    assert time.monotonic() - began < 7, "two tries of at most twice READ_TIMEOUT_S"
    assert len(service.heard) == 2
    world.check(dict.fromkeys(persons, "untouched"))


@pytest.mark.parametrize(
    ("body", "head", "code"),
    [
        (GOOD + b" " * 70_000, "", 5),
        # Compressed quickly: each process of the tests makes it when it collects them.
        (gzip.compress(GOOD + b" " * 50_000_000, compresslevel=1), "Content-Encoding: gzip\r\n", 5),
        (GOOD, "Content-Encoding: br\r\n", 5),
        (b"[" * 64_000, "", 5),
        (gzip.compress(GOOD), "Content-Encoding: gzip\r\n", 0),
    ],
    ids=["more than 64 KiB", "packed bomb", "packing not asked for", "64,000 levels", "packed token"],
)
def test_token_answer_is_bounded_and_unpacked(world: World, body: bytes, head: str, code: int) -> None:
    persons = world.stage(1)
    with token_service(body, head=head) as service:
        done = world.run(TOKEN_ENDPOINT=service.settings["TOKEN_ENDPOINT"], MAX_ATTEMPTS=1)
    if code == 5:
        assert done.code == 5, done.text
        world.check(dict.fromkeys(persons, "untouched"))
    else:
        # The embedded receiver does not know this token: it was read, sent and refused.
        assert "refused a fresh token" in done.text


def test_token_request_names_us_and_keeps_no_cookie(world: World) -> None:
    world.stage(1)
    with token_service(GOOD) as service:
        world.run(TOKEN_ENDPOINT=service.settings["TOKEN_ENDPOINT"], USER_AGENT="invented-council/7")
    assert len(service.heard) == 2, "the receiver refuses the first token, so that another is asked for"
    assert [heard.headers["user-agent"] for heard in service.heard] == ["invented-council/7"] * 2
    assert not any("cookie" in heard.headers for heard in service.heard)


def test_wrong_token_address_is_said_so(world: World) -> None:
    persons = world.stage(1)
    with token_service(b"<h1>Not Found</h1>", status=404) as service:
        done = world.run(TOKEN_ENDPOINT=service.settings["TOKEN_ENDPOINT"])
    assert done.code == 4, done.text
    assert "no token service at the address in TOKEN_ENDPOINT" in done.text
    world.check(dict.fromkeys(persons, "untouched"))
