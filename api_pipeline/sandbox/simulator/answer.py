"""What the simulator answers, without any notion of how it travels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import orjson

_JSON = "application/json; charset=utf-8"


class Ending(str, Enum):
    """What the transport does with an answer: send it, or one of the ways in which none is ever seen."""

    ANSWER = "answer"
    DROP = "drop"
    HANG = "hang"
    DIE = "die"
    ANSWER_AND_DIE = "answer_and_die"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body; status 0 where none is ever seen.

    `records` is how many records the request carried, `retry_after_s` what its Retry-After asked for.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ending: Ending = Ending.ANSWER
    records: int = 0
    retry_after_s: float | None = None


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with a JSON body; sets are written as lists."""
    return Answer(status, {"Content-Type": _JSON, **(headers or {})}, orjson.dumps(value, default=sorted))


def text_answer(status: int, text: str, content_type: str = "text/plain") -> Answer:
    """Return an answer with a body of text."""
    return Answer(status, {"Content-Type": f"{content_type}; charset=utf-8"}, text.encode())


def error_answer(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error as the receiver's gateway words it."""
    return json_answer(status, {"statusCode": status, "message": message}, headers)


def page_answer(status: int, title: str) -> Answer:
    """Return an HTML page, as a firewall or a proxy answers."""
    return text_answer(
        status, f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>", "text/html"
    )
