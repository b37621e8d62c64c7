"""Goes through an invented payload and its original side by side, and sorts their values. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import orjson

from api_pipeline.anonymise.fields import (
    Field,
    FieldKind,
    Items,
    Leaf,
    Members,
    has_arrays_of_objects,
    leaf_kinds,
    record_fields,
)
from api_pipeline.payloads.shape import UNKNOWN_MEMBER

# An invented value, and the original's at its place, None where the original has none there.
Pair: TypeAlias = "tuple[Any, Any]"
_Walk: TypeAlias = "Callable[[Any, Any, Pairs], None]"


@dataclass(frozen=True, slots=True)
class Pairs:
    """The values of two payloads, or of a row's four: by their kind's place in `leaf_kinds`, then by their path.

    Flags that are the same are left out, and so are large objects that were here before. `unpaired` are values of the
    original, of any structure, that have none beside them; `misplaced` the paths at which the invented payload has a
    structure that the schema has not.
    """

    columns: list[list[Pair]]
    unpaired: list[Any] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    seen: set[tuple[bytes, bytes]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its path within a payload, and its kind's place in `leaf_kinds`."""

    path: str
    kind: int


def by_kind(*payloads: Pair) -> Pairs:
    """Return the values of invented payloads and their originals by kind."""
    found = Pairs([[] for _ in leaf_kinds()])
    for invented, original in payloads:
        _by_kind()(invented, original, found)
    return found


def by_place(invented: Any, original: Any) -> Pairs:
    """Return the values of an invented payload and its original by their place in `places`."""
    found = Pairs([[] for _ in places()])
    _by_place()[0](invented, original, found)
    return found


def places() -> list[Place]:
    """Return every place of the schema where a value stands."""
    return _by_place()[1]


@cache
def _by_kind() -> _Walk:
    return _members(record_fields(), "", lambda _path, kind: kind)


@cache
def _by_place() -> tuple[_Walk, list[Place]]:
    found: list[Place] = []

    def number(path: str, kind: int) -> int:
        found.append(Place(path, kind))
        return len(found) - 1

    return _members(record_fields(), "", number), found


_Number: TypeAlias = "Callable[[str, int], int]"


def _walk(known: Field, path: str, number: _Number) -> _Walk:
    if isinstance(known, Members):
        return _members(known, path, number)
    return _items(known, path, number) if isinstance(known, Items) else _value(known, path, number)


def _value(leaf: Leaf, path: str, number: _Number) -> _Walk:
    column = number(path, leaf_kinds().index(leaf))
    return lambda value, original, into: into.columns[column].append((value, original))


def _members(known: Members, path: str, number: _Number) -> _Walk:
    leaves = {name: one for name, one in known.by_name.items() if isinstance(one, Leaf)}
    numbers = {name: number(f"{path}.{name}", leaf_kinds().index(leaf)) for name, leaf in leaves.items()}
    flags = {name for name, leaf in leaves.items() if leaf.kind is FieldKind.FLAG}
    walks = {name: _walk(one, f"{path}.{name}", number) for name, one in known.by_name.items() if name not in leaves}

    def walk(value: Any, original: Any, into: Pairs) -> None:
        if not isinstance(original, dict):
            into.unpaired.append(original)
            original = {}
        if not isinstance(value, dict):
            into.misplaced.append(path)
            into.unpaired.append(original)
            return
        columns = into.columns
        for name, member in value.items():
            old = original.get(name)
            # Most members: without a call for each.
            if name in numbers:
                if member is not old or name not in flags or type(member) is not bool:
                    columns[numbers[name]].append((member, old))
            elif name in walks:
                walks[name](member, old, into)
            else:
                into.misplaced.append(f"{path}.{UNKNOWN_MEMBER}")
                into.unpaired.append(old)
        if original.keys() != value.keys():
            into.unpaired.extend(member for name, member in original.items() if name not in value)

    return walk


def _items(known: Items, path: str, number: _Number) -> _Walk:
    inner = _walk(known.each, f"{path}[]", number)
    if isinstance(known.each, Members) and has_arrays_of_objects(known.each):
        inner = _seen_once(inner)

    def walk(value: Any, original: Any, into: Pairs) -> None:
        if not isinstance(original, list):
            into.unpaired.append(original)
            original = []
        if not isinstance(value, list):
            into.misplaced.append(path)
            into.unpaired.append(original)
            return
        missing = len(value) - len(original)
        for member, old in zip(value, original + [None] * missing if missing > 0 else original, strict=False):
            inner(member, old, into)
        into.unpaired.extend(original[len(value) :])

    return walk


def _seen_once(inner: _Walk) -> _Walk:
    """Return a walk that looks at two large objects once: most stand in both payloads of a row."""

    def walk(value: Any, original: Any, into: Pairs) -> None:
        texts = (orjson.dumps(value), orjson.dumps(original))
        if texts not in into.seen:
            into.seen.add(texts)
            inner(value, original, into)

    return walk
