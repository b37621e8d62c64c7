"""What an error answer of TEC's says: its status, codes and words, and the records it names. Pure (facts 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api_pipeline.common.null_characters import without_null_characters
from api_pipeline.logs.masking import mask_values
from api_pipeline.transport.bounded_json import read_json

_PLACES = re.compile(r"content[.\[\"']*\[?(\d{1,9})\]?", re.IGNORECASE)
LONGEST_TEXT = 1000
# What is read of an answer that says more than anybody needs to know.
_LONGEST_CODE = 50
_MOST_CODES = 10
_MOST_TEXTS = 1000
# A status with the codes that TEC has published.
_CODE = r"(?:AM|AU|CV|DS|GM|MP|PR|R|SC)\d{1,3}"
_OWN_CODES = re.compile(rf"HTTP \d{{3}}(?: {_CODE}(?:, {_CODE})*)?(?:: |$)")


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error answer says: HTTP status, the codes in it in capitals, its words, and the records it names.

    `named` is by position in the request; `named_ids` by localId.
    """

    status: int
    codes: tuple[str, ...] = ()
    text: str = ""
    named: Mapping[int, str] = field(default_factory=dict)
    named_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Status, codes and words on one line, as they are kept in the database."""
        codes = f" {', '.join(self.codes)}" if self.codes else ""
        return f"HTTP {self.status}{codes}{': ' if self.text else ''}{self.text}"

    @property
    def code(self) -> str:
        """Return the first code, else the HTTP status: what an operator looks up."""
        return self.codes[0] if self.codes else f"HTTP {self.status}"


def read_problem(status: int, body: bytes) -> Problem:
    """Return what an error answer says, from an RFC 7807 problem or any text."""
    try:
        content = read_json(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return Problem(status, text=_plain(body))
    errors = content.get("errors")
    inner: Mapping[str, Any] = errors if isinstance(errors, dict) else {}
    codes = [
        code.strip().upper()[:_LONGEST_CODE]
        for holder in (content, inner)
        for name in ("errorCode", "errorCodes")
        for code in texts_of(holder.get(name))
    ]
    words = [text for name in ("title", "detail") for text in texts_of(content.get(name))[:1]]
    words += [
        text for name, value in inner.items() if name not in ("errorCode", "errorCodes") for text in texts_of(value)
    ]
    named, named_ids = named_in(inner)
    text = " ".join("; ".join(dict.fromkeys(words)).split())[:LONGEST_TEXT]
    return Problem(status, tuple(dict.fromkeys(codes))[:_MOST_CODES], text, named, named_ids)


def named_in(errors: Mapping[str, Any]) -> tuple[dict[int, str], dict[str, str]]:
    """Return the records that the errors of an answer name, by their place in the request and by localId."""
    named: dict[int, str] = {}
    named_ids: dict[str, str] = {}
    for name, value in errors.items():
        place = _PLACES.search(name)
        if place:
            named[int(place[1])] = "; ".join(texts_of(value))[:LONGEST_TEXT] or name
    content = errors.get("content")
    if isinstance(content, dict):
        for name, value in content.items():
            reason = "; ".join(texts_of(value))[:LONGEST_TEXT]
            place = name.strip("[]")
            if place.isdecimal() and len(place) < 10:
                named[int(place)] = reason
            # A number may be the place of a record, or its id.
            named_ids[name] = reason
    elif isinstance(content, list):
        for entry in content:
            if isinstance(entry, dict) and isinstance(entry.get("localId"), str):
                named_ids[entry["localId"]] = "; ".join(texts_of(entry.get("errors")))[:LONGEST_TEXT]
    return named, named_ids


def named_keys(problem: Problem, keys: Sequence[str]) -> dict[str, str]:
    """Return the records of a request that a problem names, with their reasons; what it names beyond it is left out."""
    known = set(keys)
    ids = {key: reason for key, reason in problem.named_ids.items() if key in known}
    places = {place: reason for place, reason in problem.named.items() if place < len(keys)}
    for key in ids:
        place = key.strip("[]")
        if place.isdecimal() and len(place) < 10 and int(place) in places and keys[int(place)] != key:
            # It is one record's place and another's id: halved, the right one is found.
            return {}
    return {**{keys[place]: reason for place, reason in places.items()}, **ids}


def masked(reason: str, body: bytes) -> str:
    """Return a reason for the audit trail: status and TEC's own codes stay, and no value of the record, its `body`."""
    own = _OWN_CODES.match(reason)
    known = own[0] if own else ""
    return known + mask_values(reason[len(known) :], body.decode("utf-8", "replace") or None)


def status_of(reason: str) -> str:
    """Return the beginning of a reason, which quotes nothing of the answer's text."""
    return reason.split(":", 1)[0]


def texts_of(value: Any) -> list[str]:
    """Return the texts in a value in their order, however deep they stand; the first thousand at most."""
    found: list[str] = []
    waiting = [iter((value,))]
    while waiting and len(found) < _MOST_TEXTS:
        item = next(waiting[-1], None)
        if item is None:
            waiting.pop()
        elif isinstance(item, str):
            found.append(without_null_characters(item))
        elif isinstance(item, list):
            waiting.append(iter([one for one in item if one is not None]))
        elif isinstance(item, dict):
            waiting.append(iter([one for one in item.values() if one is not None]))
    return found


def _plain(body: bytes) -> str:
    text = re.sub(r"<[^>]*>", " ", body[:4000].decode("utf-8", "replace"))
    return " ".join(text.split())[:200]
