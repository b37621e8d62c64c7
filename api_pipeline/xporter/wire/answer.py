"""What an answer of the School Data API means: an error first, whatever its code; then tables, pages, state of data.

The API may answer an error with code 200, so that the body is looked at before the code (S 613).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

import orjson

from api_pipeline.common.null_characters import without_null_characters
from api_pipeline.xporter.values import lowered, read_time
from api_pipeline.xporter.wire.access import Outcome
from api_pipeline.xporter.wire.big_json import FRAME, FileRows

_ERROR_MEMBERS = ("exceptionmessage", "exceptiontype")
_STATE_MEMBERS = ("__dbstatus__", "dbstatus")
_DELETED = "_deleted"
# Whatever else stands there may quote a value, as a name of a pupil.
_TYPE_NAME = re.compile(r"[A-Za-z][\w.]*(Exception|Error)", re.ASCII)
_LONGEST_TYPE = 80
_OTHER_TOKENS = ("unexpected token", "snapshot", "changedrows", "changed rows")
_NOT_TABLES = FRAME | {"message", "exceptiontype", "exceptionmessage", "innerexception", "trackingid"}


class ErrorKind(Enum):
    """What an error of the API is about: the outcome of the request, and how it is said."""

    SECRET = Outcome.REFUSED, "the token service does not accept the school's secret"
    PAUSED = Outcome.PAUSED, "the school has paused its consent while it chooses people"
    SCOPE = Outcome.NO_SCOPE, "the school's consent does not cover this"
    FORBIDDEN = Outcome.NO_SCOPE, "the API forbids this; the school's consent may not cover it"
    TOKEN = Outcome.REFUSED, "a fresh token was refused"
    NOT_FOUND = Outcome.NOT_FOUND, "the API does not know this address"
    NOT_SUPPORTED = Outcome.NOT_SUPPORTED, "the school's system does not support this"
    NOT_READY = Outcome.NOT_READY, "the data are not ready"
    OTHER = Outcome.ERROR, "the API stated an error"


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error that the API states. `type_name` is its ExceptionType; the message itself may quote values."""

    kind: ErrorKind
    type_name: str
    http_code: int


@dataclass(frozen=True, slots=True)
class Page:
    """Where an answer stands among the pages of its round; each but `count` is None where the answer does not say.

    `rows` counts the rows of all pages, `size` those of a full page. Where there is an entry for each table,
    `table_rows` has their counts of rows, the smallest first.
    """

    number: int | None
    count: int
    rows: int | None
    size: int | None = None
    table_rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A data answer: rows by the name under which each table came. `meta` is as it came; its members are not published.

    `deleted` has rows with the keys of what a change set no longer holds; `previous_hash` is the snapshot that the
    answer builds on, `next_hash` that which it leads to.
    """

    tables: Mapping[str, Iterable[Mapping[str, Any]]]
    meta: Any = None
    page: Page | None = None
    next_hash: str | None = None
    previous_hash: str | None = None
    deleted: Mapping[str, Iterable[Mapping[str, Any]]] = field(default_factory=dict)
    received_bytes: int = 0
    unreadable: tuple[str, ...] = field(default=())

    @property
    def data_from(self) -> datetime | None:
        """Return the oldest time that `meta` names, as when the data were read from the school."""
        rows = self.meta if isinstance(self.meta, list) else [self.meta]
        values = (value for row in rows if isinstance(row, Mapping) for value in row.values())
        return min((moment for value in values if (moment := read_time(value))), default=None)

    @property
    def meta_text(self) -> str | None:
        """Return `meta` as the text that is kept with the state."""
        try:
            return None if self.meta is None else without_null_characters(orjson.dumps(self.meta).decode())
        except orjson.JSONEncodeError:
            # Nested deeper than the writer goes; nothing rests on it.
            return None


def read_error(body: Any, http_code: int) -> ApiError | None:
    """Return the error that a JSON body states, or that its code alone says; None where it is not an error."""
    members = lowered(body) if isinstance(body, Mapping) else {}
    message = " ".join(str(members[name]) for name in _ERROR_MEMBERS if members.get(name))
    if members.get("message") and (message or http_code >= 400):
        message += f" {members['message']}"
    if not message and http_code < 400:
        return None
    type_name = str(members.get("exceptiontype") or "")
    return ApiError(_kind(message.lower(), http_code), _word(type_name), http_code)


def _kind(message: str, http_code: int) -> ErrorKind:
    # The words are those of the reference; the codes decide where there are none.
    if "relying party not found" in message or "secret not correct" in message:
        return ErrorKind.SECRET
    if "currently paused" in message:
        return ErrorKind.PAUSED
    if "scope" in message or "not authorised for" in message or "not authorized for" in message:
        return ErrorKind.SCOPE
    if "not supported" in message:
        return ErrorKind.NOT_SUPPORTED
    if "not ready" in message or "not available yet" in message or "being retrieved" in message:
        return ErrorKind.NOT_READY
    # A JSON reader says "unexpected token" of a letter, and a snapshot may be called the token of a change set.
    is_access = "token" in message and not any(word in message for word in _OTHER_TOKENS)
    if http_code == 401 or is_access:
        return ErrorKind.TOKEN
    if http_code == 403:
        return ErrorKind.FORBIDDEN
    return ErrorKind.NOT_FOUND if http_code == 404 else ErrorKind.OTHER


def _word(type_name: str) -> str:
    """Return an ExceptionType where it is the name of one, which says nothing of a person."""
    return type_name if len(type_name) <= _LONGEST_TYPE and _TYPE_NAME.fullmatch(type_name) else ""


def unwrapped(body: Any) -> Any:
    """Return the members of an answer, out of a DataSet wrapper where there is one."""
    if isinstance(body, Mapping):
        for name, value in body.items():
            if name.lower() == "dataset" and isinstance(value, Mapping):
                return value
    return body


def is_not_ready(body: Mapping[str, Any]) -> bool:
    """Return whether an answer says that the data are still being fetched: a status other than OK, and no table."""
    members = lowered(body)
    status = next((members[name] for name in _STATE_MEMBERS if name in members), None)
    if status is None:
        return False
    words = _status_words(status)
    if not words:
        # The members of a status are not published: without a word of it, data that came are what it says.
        return not members.keys() - _NOT_TABLES
    return not all(word.lower() == "ok" for word in words)


def _status_words(status: Any) -> list[str]:
    if isinstance(status, str):
        return [status]
    rows = status if isinstance(status, list) else [status]
    words: list[str] = []
    for row in rows:
        if isinstance(row, str):
            words.append(row)
        elif isinstance(row, Mapping):
            words.extend(str(value) for name, value in row.items() if "status" in name.lower())
    return words


def read_answer(body: Mapping[str, Any], received_bytes: int) -> Answer:
    """Return the tables and the frame of a data answer. A member that is not an array of objects is not a table."""
    members = {name: value for name, value in body.items() if name.lower() not in _NOT_TABLES}
    tables: dict[str, Iterable[Mapping[str, Any]]] = {}
    deleted: dict[str, Iterable[Mapping[str, Any]]] = {}
    unreadable: list[str] = []
    for name, value in members.items():
        if isinstance(value, FileRows) or (isinstance(value, list) and all(type(row) is dict for row in value)):
            if name.lower().endswith(_DELETED):
                deleted[name[: -len(_DELETED)]] = value
            else:
                tables[name] = value
        elif value is not None:
            unreadable.append(name)
    named = lowered(body)
    changes = _first(named, "__changedrows__", "changedrows")
    return Answer(
        tables,
        named.get("meta"),
        _page(named.get("__pagination__") or named.get("pagination")),
        _text(changes.get("nextchangedrows")),
        _text(changes.get("previouschangedrows")),
        deleted,
        received_bytes,
        tuple(unreadable),
    )


def _first(members: Mapping[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = members.get(name)
        row = value[0] if isinstance(value, list) and value else value
        if isinstance(row, Mapping):
            return lowered(row)
    return {}


def _page(entries: Any) -> Page | None:
    """Return where an answer stands; of several entries, one for each table, that of the longest table says it."""
    rows = entries if isinstance(entries, list) else [entries]
    pages = [page for row in rows if isinstance(row, Mapping) and (page := _page_of(lowered(row))) is not None]
    if not pages:
        return None
    longest = max(pages, key=lambda page: (page.count, page.rows or 0))
    counts = sorted(page.rows for page in pages if page.rows is not None)
    return replace(longest, table_rows=tuple(counts)) if len(counts) == len(pages) > 1 else longest


def _page_of(members: Mapping[str, Any]) -> Page | None:
    count, rows = _number(members.get("pagecount")), _number(members.get("rowcount"))
    size = _number(members.get("pagesize"))
    if count is None and rows is not None and size:
        count = -(-rows // size)
    if count is None and members.get("nextpage"):
        # There are more pages, and their number is not known: such an answer is never a whole one.
        count = sys.maxsize
    return None if count is None else Page(_number(members.get("pagenumber")), count, rows, size)


def _number(value: Any) -> int | None:
    """Return a whole number, also from a text; None where the value is not one."""
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    return None if value is None else without_null_characters(str(value))
