"""Make faults and conditions from JSON, so that another process can program them."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_Made = TypeVar("_Made")


def made(kind: type[_Made], value: Any) -> _Made:
    """Return a dataclass of `kind` from a JSON object. Errors: ValueError, naming the member and what is expected."""
    return kind(**members(kind, value))


def members(kind: type, value: Any) -> dict[str, Any]:
    """Return the members of a dataclass that a JSON object names, each in its type. Errors: ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"expected an object for {kind.__name__}")  # noqa: TRY004 - the value is the client's
    hints = get_type_hints(kind)
    for name in value:
        if name not in hints:
            raise ValueError(f"{name} is not a member of {kind.__name__}; known are {', '.join(sorted(hints))}")
    return {name: _converted(name, hints[name], member) for name, member in value.items()}


def _converted(name: str, hint: Any, value: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None else _converted(name, inner[0], value)
    if origin in (tuple, frozenset):
        if not isinstance(value, list):
            raise ValueError(f"{name}: expected a list")
        return origin(_converted(name, inner[0], item) for item in value)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{name}: expected an object of texts")
        return {str(key): _converted(name, str, item) for key, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return made(hint, value)
    if issubclass(hint, Enum):
        return _choice(name, hint, value)
    return _plain(name, hint, value)


def _choice(name: str, hint: type[Enum], value: Any) -> Enum:
    try:
        return hint(value)
    except ValueError:
        known = ", ".join(str(choice.value) for choice in hint)
        raise ValueError(f"{name}: expected one of {known}") from None


def _plain(name: str, hint: type, value: Any) -> Any:
    # In Python true is an int; here it is not.
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {bool: isinstance(value, bool), int: is_number and isinstance(value, int), float: is_number}
    if not fits.get(hint, isinstance(value, hint)):
        raise ValueError(f"{name}: expected a value of type {hint.__name__}")
    return value
