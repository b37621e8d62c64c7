"""Find which records of a batch the text of a 400 or 422 names (contract 4). Pure.

The exact form of these texts is not published (receiver facts 4.3). So only what clearly points at a record counts: a
path at the head of a message, or one that is called a record's. A missed record costs a few requests, since the
rest of the batch is halved; a record that is named wrongly would not be sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest

_INDEX = r"\[(?P<index>\d{1,5})\]"
_REST = r"(?:[\w$\-./]|\[\d+\])*"
# `[3].social_care_episodes[0]`, `$[3].purge`, `body[3]`: its first index is the record.
_PATH = re.compile(rf"\s*[\"'`(*\-]*\s*(?:\$\.?|#/?|body\.?)?{_INDEX}{_REST}", re.IGNORECASE)
_CALLED = r"records?(?:\(s\))?|items?|elements?|entry|entries|rows?|child|children|payloads?|index|position|path|body"
_WHERE = r"(?:at|for|in|with|on)"
_ERROR = rf"(?:failed|failure|fault|invalid|rejected|refused)(?:\s+{_WHERE})?|errors?\s+{_WHERE}"
_POINTED = re.compile(
    rf"(?<![\w.\]])(?:(?:{_CALLED}|{_ERROR})(?:\s+(?:number|no\.?|at))?[\s:='\"(]{{0,3}}\$?)\[(?P<called>\d{{1,5}})\]{_REST}"
    rf"|(?<![\w.\]])\$?\[(?P<with_member>\d{{1,5}})\](?:\.[A-Za-z]{_REST}|\s*:)",
    re.IGNORECASE,
)
# Further records: named directly after one, or with a member of theirs.
_NEXT_IN_LIST = re.compile(rf"\s*(?:,|and|&|\|)\s*(?:and\s+)?\$?{_INDEX}{_REST}", re.IGNORECASE)
_NEXT_WITH_MEMBER = re.compile(rf"(?:,|\band|\|)\s*\$?\[(?P<index>\d{{1,5}})\]\.[A-Za-z]{_REST}", re.IGNORECASE)
_PATH_LIMIT = 1000
# Enough for five errors in each of a hundred records; what is not read costs a few requests.
_BODY_LIMIT = 256 * 1024
_MOST_MESSAGES = 10_000
# The page of a gateway or firewall, as it is or within JSON. The brackets in its scripts name no record.
_PAGE = re.compile(r"<(?:!doctype\s+html|html|head|body|script|style)\b", re.IGNORECASE)
# A record that is listed under one of these words, or has one as its status, was not refused.
_NO_ERROR = re.compile(
    r"(?:valid|accepted|ok|2\d\d|success\w*|succeeded|passed|warn(?:ings?)?|info\w*)_?(?:records|items)?", re.IGNORECASE
)
_STATUS = ("status", "statusCode", "outcome", "result", "severity", "level")
_IS_SOUND = ("success", "valid", "isValid", "is_valid", "ok", "accepted")
# What stands behind the path of a record that was not refused: `[0]: OK`, `[0] is valid`.
_NAMED_SOUND = re.compile(rf"[\s:=,.\-]*(?:(?:is|was)\s+)?(?:{_NO_ERROR.pattern})[\s,.]*", re.IGNORECASE)
# `[0] to [9]` says which records were sent.
_RANGE = re.compile(r"\[\d+\]\s*(?:to|through|until|\.\.+|-|\u2013)\s*\$?\[\d+\]", re.IGNORECASE)
_LINES = re.compile(r"[\r\n;]+")


@dataclass(frozen=True, slots=True)
class _Message:
    """One text of an error body; `path` is the path under which it stood there, "" for none."""

    path: str
    text: str


def named_records(body: bytes, records: int, status: int, limit: int) -> dict[int, str]:
    """Return the reason for each record that an error text names as `[n]`, counted from 0.

    Only the first index of a path counts: `[3].social_care_episodes[0]` is record 3. A position that the batch of
    `records` records does not have is ignored. A reason has at most `limit` characters.
    """
    found: dict[int, list[str]] = {}
    for message in _messages(body[:_BODY_LIMIT]):
        for position, reason in _read(message):
            if position < records:
                found.setdefault(position, []).append(reason.strip(" \t,"))
    return {
        position: _storable(f"HTTP {status}: {'; '.join(dict.fromkeys(reasons))}")[:limit]
        for position, reasons in found.items()
    }


def _storable(text: str) -> str:
    """Return a text without what JSON can spell and no database takes: half a pair of surrogates, and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _read(message: _Message) -> Iterator[tuple[int, str]]:
    if message.path:
        index = _PATH.match(message.path.strip())
        if index:
            yield int(index["index"]), f"{message.path}: {message.text}" if message.text else message.path
        return
    if _PAGE.search(message.text):
        return
    for line in _LINES.split(message.text):
        # Long rows of blanks would make the search below slow.
        yield from _read_line(" ".join(line.split()))


def _read_line(line: str) -> Iterator[tuple[int, str]]:
    places = _places(line)
    for place, following in zip_longest(places, places[1:]):
        end = following.start() if following else len(line)
        if not _NAMED_SOUND.fullmatch(line, place.end(), end):
            yield next(int(index) for index in place.groups() if index), line[place.start() : end]


def _places(line: str) -> list[re.Match[str]]:
    """Return where a line names a record, each with its index."""
    first = _PATH.match(line) or _POINTED.search(line)
    if first is None or _RANGE.search(line):
        return []
    places = [first]
    while following := _NEXT_IN_LIST.match(line, places[-1].end()):
        places.append(following)
    return [*places, *_NEXT_WITH_MEMBER.finditer(line, places[-1].end())]


def _messages(body: bytes) -> list[_Message]:
    """Return the texts of an error body: the strings of a JSON document, each with the path it stands under."""
    text = body.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [_Message("", text)]
    try:
        return list(islice(_strings(value, ""), _MOST_MESSAGES))
    except RecursionError:
        return [_Message("", text)]


def _strings(value: object, path: str) -> Iterator[_Message]:
    # A list of what is still to be read, not recursion: each text would pass through every level above it.
    waiting: list[tuple[object, str]] = [(value, path)]
    while waiting:
        item, under = waiting.pop()
        if isinstance(item, str):
            yield _Message(under, item)
        elif isinstance(item, list):
            waiting.extend((inner, under) for inner in reversed(item))
        elif isinstance(item, dict) and not _is_of_sound(item):
            item = {key: inner for key, inner in item.items() if not (_says_no_error(key) or _is_sound(key, inner))}
            own = next((item[key] for key in ("path", "field", "location", "loc") if _is_path(item.get(key))), "")
            own = own or _only_path(item)
            if own:
                others = [inner for inner in item.values() if inner != own]
                yield _Message(own, "; ".join(message.text for message in _strings(others, "")))
                continue
            waiting.extend((inner, key if _is_path(key) else under) for key, inner in reversed(item.items()))


def _only_path(item: Mapping[str, object]) -> str:
    """Return the member that says of which record the others speak: nothing but a path, whatever its name.

    There is none where more than one begins with a path: then each is about a record of its own.
    """
    paths = [inner for inner in item.values() if isinstance(inner, str) and _is_path(inner)]
    return paths[0] if len(paths) == 1 and _PATH.fullmatch(paths[0][:_PATH_LIMIT].strip()) else ""


def _is_of_sound(item: Mapping[str, object]) -> bool:
    """Return whether an object says of itself that it is about something that was not refused."""
    return any(_says_no_error(item.get(key)) for key in _STATUS) or any(item.get(key) is True for key in _IS_SOUND)


def _is_sound(path: str, said: object) -> bool:
    return (said == "" or _says_no_error(said)) and _is_path(path)


def _says_no_error(value: object) -> bool:
    if type(value) is int:
        return value // 100 == 2
    return isinstance(value, str) and _NO_ERROR.fullmatch(value[:_PATH_LIMIT].strip()) is not None


def _is_path(value: object) -> bool:
    return isinstance(value, str) and _PATH.match(value[:_PATH_LIMIT].strip()) is not None
