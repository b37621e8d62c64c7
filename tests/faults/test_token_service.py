"""Token services that drip, never end, or answer what nobody can read: the run ends in time, with the right code."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.world import World

GOOD = b'{"access_token": "invented-token-0001", "expires_in": 3600, "token_type": "Bearer"}'


@contextmanager
def token_service(
    body: bytes, *, status: int = 200, gap_s: float = 0.0, headers: dict[str, str] | None = None
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve one answer, its head and body in bytes `gap_s` apart where that is not nought; yield URL and requests."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(dict(self.headers))
            lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {len(body)}", "Set-Cookie: session=invented; Path=/"]
            lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
            data = "\r\n".join([*lines, "", ""]).encode() + body
            try:
                for start in range(0, len(data), 1 if gap_s else len(data)):
                    self.wfile.write(data[start : start + (1 if gap_s else len(data))])
                    time.sleep(gap_s)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token", seen
    finally:
        server.shutdown()
        server.server_close()


def test_token_answer_that_drips_ends_the_run_in_time(world: World) -> None:
    persons = world.stage(2)
    began = time.monotonic()
    with token_service(GOOD, gap_s=0.05) as (url, seen):
        done = world.run(TOKEN_ENDPOINT=url, READ_TIMEOUT_S=0.4, MAX_ATTEMPTS=2)
    assert done.code == 5, done.text
    assert "token service" in done.text
    assert time.monotonic() - began < 2 * 2 * 0.4 + 2, "two tries of at most twice READ_TIMEOUT_S"
    assert len(seen) == 2
    world.check(dict.fromkeys(persons, "untouched"))


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (GOOD + b" " * 70_000, {}, 5),
        # Compressed quickly: each process of the tests makes it when it collects them.
        (gzip.compress(GOOD + b" " * 50_000_000, compresslevel=1), {"Content-Encoding": "gzip"}, 5),
        (GOOD, {"Content-Encoding": "br"}, 5),
        (b"[" * 64_000, {}, 5),
        (gzip.compress(GOOD), {"Content-Encoding": "gzip"}, 0),
    ],
    ids=["more than 64 KiB", "packed bomb", "packing not asked for", "64,000 levels", "packed token"],
)
def test_token_answer_is_bounded_and_unpacked(world: World, body: bytes, headers: dict[str, str], code: int) -> None:
    persons = world.stage(1)
    with token_service(body, headers=headers) as (url, _):
        done = world.run(TOKEN_ENDPOINT=url, MAX_ATTEMPTS=1)
    if code == 5:
        assert done.code == 5, done.text
        world.check(dict.fromkeys(persons, "untouched"))
    else:
        # The embedded receiver does not know this token: it was read, sent and refused.
        assert "refused a fresh token" in done.text


def test_token_request_names_us_and_keeps_no_cookie(world: World) -> None:
    world.stage(1)
    with token_service(GOOD) as (url, seen):
        world.run(TOKEN_ENDPOINT=url, USER_AGENT="invented-council/7")
    assert len(seen) == 2, "the receiver refuses the first token, so that another is asked for"
    assert [headers["User-Agent"] for headers in seen] == ["invented-council/7"] * 2
    assert not any("Cookie" in headers for headers in seen)


def test_wrong_token_address_is_said_so(world: World) -> None:
    persons = world.stage(1)
    with token_service(b"<h1>Not Found</h1>", status=404) as (url, _):
        done = world.run(TOKEN_ENDPOINT=url)
    assert done.code == 4, done.text
    assert "no token service at the address in TOKEN_ENDPOINT" in done.text
    world.check(dict.fromkeys(persons, "untouched"))
