"""A receiver, or a stuck proxy, whose answer comes a byte at a time: each wait is short, the whole is endless."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.hostile_receiver import HostileReceiver, Reply, Talk
from tests.support.world import World

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
RECEIPT = json.dumps([f"2026-11-21_02:00:00.00_{UUID}.json"]).encode()


def answer(body: bytes, head: str = "", gap_s: float = 0.0) -> Reply:
    """Return a reply whose body comes a byte at a time; `head` are its header lines but for its length."""

    def reply(talk: Talk) -> None:
        length = "" if "Content-Length" in head else f"Content-Length: {len(body)}\r\n"
        talk.send(f"HTTP/1.1 200 OK\r\n{length}{head}\r\n".encode())
        talk.drip(body, gap_s)

    return reply


@contextmanager
def receiver(reply: Reply) -> Iterator[str]:
    """Serve this answer to every record, and yield the receiver's URL."""
    with HostileReceiver(otherwise=reply) as running:
        yield running.settings["API_ENDPOINT"]


def test_dripping_answer_times_out_like_a_missing_one(world: World) -> None:
    persons = world.stage(1)
    began = time.monotonic()
    with receiver(answer(b" " * 600, gap_s=0.1)) as url:
        assert world.run(API_ENDPOINT=url, READ_TIMEOUT_S=1, MAX_ATTEMPTS=1).code == 5
    assert time.monotonic() - began < 30, "the body alone takes a minute"
    world.check(dict.fromkeys(persons, "error: no answer within READ_TIMEOUT_S"))


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_that_comes_slowly_but_in_time_is_read_whole(world: World, packed: bool) -> None:
    world.stage(1)
    body, head = (gzip.compress(RECEIPT), "Content-Encoding: gzip\r\n") if packed else (RECEIPT, "")
    with receiver(answer(body, head, 0.002)) as url:
        assert world.run(API_ENDPOINT=url, READ_TIMEOUT_S=20).code == 0
    assert [row["api_response"] for row in world.rows().values()] == [UUID]


def test_truncated_answer_counts_as_lost(world: World) -> None:
    persons = world.stage(1)
    with receiver(answer(RECEIPT[:20], "Content-Length: 4000\r\nConnection: close\r\n")) as url:
        assert world.run(API_ENDPOINT=url, READ_TIMEOUT_S=2, MAX_ATTEMPTS=1).code == 5
    world.check(dict.fromkeys(persons, "error: network error"))
