"""A receiver, or a stuck proxy, whose answer comes a byte at a time: each wait is short, the whole is endless."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.world import World

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
RECEIPT = json.dumps([f"2026-11-21_02:00:00.00_{UUID}.json"]).encode()


@contextmanager
def receiver(body: bytes, headers: dict[str, str], gap_s: float) -> Iterator[str]:
    """Serve one answer to every POST, a byte at a time, and return its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(gap_s)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/1"
    finally:
        server.shutdown()
        server.server_close()


def test_dripping_answer_times_out_like_a_missing_one(world: World) -> None:
    persons = world.stage(1)
    began = time.monotonic()
    with receiver(b" " * 600, {}, 0.1) as url:
        assert world.run(API_ENDPOINT=url, READ_TIMEOUT_S=1, MAX_ATTEMPTS=1).code == 5
    assert time.monotonic() - began < 30, "the body alone takes a minute"
    world.check(dict.fromkeys(persons, "error: no answer within READ_TIMEOUT_S"))


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_comes_slowly_but_in_time_is_read_whole(world: World, packed: bool) -> None:
    world.stage(1)
    body, headers = (gzip.compress(RECEIPT), {"Content-Encoding": "gzip"}) if packed else (RECEIPT, {})
    with receiver(body, headers, 0.002) as url:
        assert world.run(API_ENDPOINT=url, READ_TIMEOUT_S=20).code == 0
    assert [row["api_response"] for row in world.rows().values()] == [UUID]


def test_truncated_answer_counts_as_lost(world: World) -> None:
    persons = world.stage(1)
    with receiver(RECEIPT[:20], {"Content-Length": "4000", "Connection": "close"}, 0.0) as url:
        assert world.run(API_ENDPOINT=url, READ_TIMEOUT_S=2, MAX_ATTEMPTS=1).code == 5
    world.check(dict.fromkeys(persons, "error: network error"))
