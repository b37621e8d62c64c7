"""Replies for the server of `hostile_receiver`, given one after another, and the session to ask it with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from api_pipeline.transport.session import TransportOptions, make_session
from tests.support.hostile_receiver import Reply, Talk


def says(status: int, body: bytes = b"", head: str = "") -> Reply:
    """Return the same whole answer every time; `head` are further header lines, each with its line end."""
    return lambda talk: talk.answer(body, status, head)


def hangs_up(talk: Talk) -> None:
    """End the connection without a word."""


def in_turn(*replies: Reply) -> Reply:
    """Return each reply once, and the last for ever after."""
    left = list(replies)

    def reply(talk: Talk) -> None:
        chosen = left.pop(0) if len(left) > 1 else left[0]
        chosen(talk)

    return reply


def token(value: str, lifetime_s: object = 3600) -> Reply:
    """Return a token."""
    return says(200, json.dumps({"access_token": value, "token_type": "Bearer", "expires_in": lifetime_s}).encode())


@contextmanager
def session() -> Iterator[requests.Session]:
    """Open the product's own session."""
    with make_session(TransportOptions(connections=4)) as made:
        yield made
