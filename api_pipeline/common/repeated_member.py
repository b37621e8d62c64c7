"""Find a member that an object of a JSON text has twice. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_ESCAPED_QUOTE = "\\u0022"


def path_of_repeat(text: str, without_repeats: str) -> tuple[str | int, ...] | None:
    """Return the path of a member that an object has twice: names, and places in arrays; None where none has.

    `without_repeats` is the text's value as JSON again, in which of a repeated member the last alone is left.
    """
    # Each name and each text has two quotes; an escaped one is written in one way by us.
    if text.count('"') == without_repeats.count('"') and _ESCAPED_QUOTE not in text:
        return None
    try:
        return _path_of_repeat(json.loads(text, object_pairs_hook=_Pairs), ())
    except (ValueError, RecursionError):
        return None


class _Pairs(list[tuple[str, Any]]):
    """An object's members in their order, repeated ones included."""


def _path_of_repeat(value: Any, path: Sequence[str | int]) -> tuple[str | int, ...] | None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, _ in value:
            if name in seen:
                return (*path, name)
            seen.add(name)
        inner: list[tuple[str | int, Any]] = list(value)
    elif isinstance(value, list):
        inner = list(enumerate(value))
    else:
        return None
    return next((found for step, item in inner if (found := _path_of_repeat(item, (*path, step)))), None)
