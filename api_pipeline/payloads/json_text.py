"""Say what is wrong with a text that is not a JSON object, or not safely one: where and what, without a value. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from api_pipeline.common.repeated_member import path_of_repeat
from api_pipeline.payloads.schema_check import json_path

_BYTE_ORDER_MARK = "\ufeff"
_CONSTANT = r"[:\[,]\s*(-?Infinity|NaN|undefined|None|True|False)\b"
_NUMBER = r"[:\[,]\s*(-?\d+(?:\.\d+)?(?:[eE]\+?\d+)?)"
_HALF = r"\\u[dD][89a-fA-F]|[\ud800-\udfff]"
_JSON_BLANKS = " \t\r\n"


def explain_invalid(text: str) -> str:
    """Return where a text stops being JSON and what is there, in words that a data team can act on."""
    if text.startswith(_BYTE_ORDER_MARK):
        return "it begins with a byte order mark, position 1; store the text without it"
    if text[:1].isspace() and text[0] not in _JSON_BLANKS:
        return "it begins with a kind of blank that JSON does not know, position 1"
    try:
        json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return _explain_at(text, error)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError:
        found = re.search(_CONSTANT, text)
        if found is None:
            return "a number beyond all bounds"
        return f"NaN or Infinity is not a JSON value{_where(text, found.start(1))}"
    for number in re.finditer(_NUMBER, text):
        if math.isinf(float(number[1])):
            return f"a number beyond all bounds{_where(text, number.start(1))}"
    found = re.search(_HALF, text)
    return f"half of a character (half an emoji, say){_where(text, found.start())}" if found else "it cannot be read"


def explain_other(value: Any) -> str:
    """Return what a JSON text is that is not an object."""
    if isinstance(value, str):
        return "but a text in a text: it was made JSON twice"
    if isinstance(value, list):
        return f"but an array of {len(value)}: stage the object without the array around it"
    return "but a single value"


def repeated_member(text: str, without_repeats: str) -> str | None:
    """Return the path of a member that an object has twice, None where none has; see `path_of_repeat`.

    It is not known what a receiver does with the first, and the checks do not see it.
    """
    path = path_of_repeat(text, without_repeats)
    return None if path is None else json_path(path)


def _explain_at(text: str, error: json.JSONDecodeError) -> str:
    where = _where(text, error.pos)
    if error.msg.startswith("Extra data"):
        more = "a kind of blank that JSON does not know" if text[error.pos :].isspace() else "something more"
        return f"{more} follows after its end{where}"
    if error.msg.startswith(("Unterminated string", "Invalid \\escape")) or error.pos >= len(text.rstrip()):
        if error.msg.startswith("Invalid"):
            return f"a backslash before a character that JSON does not escape{where}"
        return f"it is cut off: it ends in the middle, after {len(text)} characters{where}"
    if error.msg.startswith("Invalid control"):
        return f"a line break, tab or control character inside a text, which has to be escaped{where}"
    sign = text[error.pos]
    if sign == "'":
        return f"single quotes where JSON has double quotes{where}"
    # Since Python 3.13 the module says it, with the position of the comma; before, with that of what follows.
    if error.msg.startswith("Illegal trailing comma") or sign in "}]":
        return f"a comma with nothing after it{where}"
    if text.startswith(("/", "#"), error.pos):
        return f"a comment{where}"
    if error.msg.startswith("Expecting ',' delimiter"):
        return f"a comma or the end is missing{where}"
    return f"something else than JSON allows{where}"


def _where(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return f" (line {line}, column {column})"


def _refuse(_: str) -> None:
    raise ValueError
