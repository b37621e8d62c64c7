"""Read the rows of an answer that is too large for memory from its file, one at a time."""

from __future__ import annotations

import json
import mmap
import re
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from api_pipeline.transport.bounded_json import read_json

# Half a letter, as of a text that was cut in the middle of one: JSON of other makers has it, and it means nothing.
_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_DIGITS = 18
_LONG_NUMBER = re.compile(rb":\s?-?[0-9]{19}")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]')
_WRAPPER = "dataset"
# What stands in an answer beside its rows, and each row, is read whole; the places of all rows are kept.
_LONGEST_VALUE = 8 * 1024 * 1024
_MOST_ROWS = 5_000_000
FRAME = frozenset(
    {
        *("meta", "__meta__", "__pagination__", "pagination", "__changedrows__", "changedrows"),
        *("__dbstatus__", "dbstatus"),
    }
)
"""What stands around the tables of an answer, in lower case. It is small, and is looked at as a whole."""


class BadJson(ValueError):
    """The text is not JSON, or not an object whose members can be found."""


class FileRows:
    """The rows of one table, read from the file each time they are gone through."""

    def __init__(self, path: Path, spans: array[int]) -> None:
        self._path = path
        self._spans = spans

    def __len__(self) -> int:
        return len(self._spans) // 2

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as file:
            for place in range(0, len(self._spans), 2):
                start, end = self._spans[place], self._spans[place + 1]
                file.seek(start)
                yield loads(file.read(end - start))


def loads(text: bytes) -> Any:
    """Return the value of a JSON text; half a surrogate pair becomes the replacement character. Errors: BadJson."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        text = _HALF.sub(rb"\\ufffd", text)
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise BadJson from None
    return _with_long_numbers(text) if _LONG_NUMBER.search(text) else found


def _with_long_numbers(text: bytes) -> Any:
    """Return the value of a JSON text with whole numbers beyond 64 bits as texts: as fractions two ids would be one."""
    try:
        return json.loads(text, parse_int=lambda digits: digits if len(digits) > _DIGITS else int(digits))
    except RecursionError:
        raise BadJson from None


def read_members(path: Path) -> Mapping[str, Any]:
    """Return the members of the object in a file: arrays of objects as FileRows, everything else as its value.

    The members of a DataSet wrapper stand beside those around it. Errors: BadJson.
    """
    members: dict[str, Any] = {}
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for name, start, end, spans in _members(data):
                is_table = spans and name.lower() not in FRAME
                members[name] = FileRows(path, spans) if is_table else _value(data, start, end)
    except (ValueError, IndexError) as error:
        raise BadJson from error
    return members


def _value(data: mmap.mmap, start: int, end: int) -> Any:
    if end - start > _LONGEST_VALUE:
        raise BadJson
    return read_json(data[start:end].strip().rstrip(b",").lstrip(b":"))


def _members(data: mmap.mmap) -> Iterator[tuple[str, int, int, array[int]]]:
    """Return name, start and end of each member's value, and the spans of the objects in it where it is an array."""
    base = 1
    depth = 0
    name: str | None = None
    value_from = row_from = 0
    spans: array[int] = array("Q")
    is_array = False
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first == 0x22:
            if depth == base and _is_name(data, token.end()):
                if name is not None:
                    yield name, value_from, token.start(), spans
                name = str(orjson.loads(token.group()))
                value_from, spans, is_array = token.end(), array("Q"), False
            continue
        if first in b"{[":
            depth += 1
            if first == 0x7B and depth == base + 1 and name is not None and name.lower() == _WRAPPER and base == 1:
                name, base = None, 2
            elif first == 0x5B and depth == base + 1:
                is_array = True
            elif first == 0x7B and depth == base + 2 and is_array:
                row_from = token.start()
            continue
        if first == 0x7D and depth == base + 2 and is_array:
            if token.end() - row_from > _LONGEST_VALUE or len(spans) >= 2 * _MOST_ROWS:
                raise BadJson
            spans.extend((row_from, token.end()))
        if depth == base and first == 0x7D:
            if name is not None:
                yield name, value_from, token.start(), spans
            name, spans, base = None, array("Q"), 1
        depth -= 1
    if depth != 0 or name is not None or not data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise BadJson


def _is_name(data: mmap.mmap, end: int) -> bool:
    while data[end : end + 1] in (b" ", b"\t", b"\r", b"\n"):
        end += 1
    return data[end : end + 1] == b":"
