"""The parts of a payload, and how two payloads differ, as paths; values are shown only on demand. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api_pipeline.payloads.content import content
from api_pipeline.payloads.shape import UNKNOWN_MEMBER, KeyedShape, ObjectShape, property_names, record_shape

RETAINED = "retained"
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a payload: its path, and either its members with values, or how many items an array without keys has.

    `values` pairs each plain member with its value as JSON text.
    """

    path: str
    members: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StructureChange:
    """One difference: the path, what happened, and both values as JSON text ("" for none).

    `change` is new, changed or gone, or `RETAINED` for what is gone from the payload and not to be purged.
    """

    path: str
    change: str
    before: str
    now: str


def parts_of(payload: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a payload, each object and keyed element with its plain members."""
    shape = record_shape()
    return list(_parts("", content(payload, shape), shape))


def changes_between(held: Mapping[str, Any], now: Mapping[str, Any]) -> list[StructureChange]:
    """Return how two payloads differ: each plain member, and each part that is new or gone as a whole."""
    shape = record_shape()
    return list(_changes("", content(held, shape), content(now, shape), shape))


def _parts(path: str, value: Mapping[str, Any], shape: ObjectShape) -> Iterator[Part]:
    plain = {name: member for name, member in value.items() if not _has_parts(member, shape.members.get(name))}
    yield Part(path or "(record)", tuple(map(_named, plain)), tuple(_text(member) for member in plain.values()))
    for name, member in value.items():
        if name in plain:
            continue
        inner = shape.members[name]
        if isinstance(inner, ObjectShape):
            yield from _parts(_joined(path, name), member, inner)
        elif isinstance(inner, KeyedShape):
            for element in member:
                yield from _parts(f"{_joined(path, name)}[{element[inner.key]}]", element, inner.element)


def _changes(
    path: str, held: Mapping[str, Any], now: Mapping[str, Any], shape: ObjectShape
) -> Iterator[StructureChange]:
    for name in dict.fromkeys([*held, *now]):
        member, place = shape.members.get(name), _joined(path, name)
        before, after = held.get(name, _ABSENT), now.get(name, _ABSENT)
        if isinstance(member, KeyedShape) and all(
            _has_parts(one, member) for one in (before, after) if one is not _ABSENT
        ):
            # An array that is there on one side alone: of its elements, some may be retained and others purged.
            elements = [[] if one is _ABSENT else one for one in (before, after)]
            yield from _element_changes(place, elements[0], elements[1], member)
        elif isinstance(member, ObjectShape) and _has_parts(before, member) and _has_parts(after, member):
            yield from _changes(place, before, after, member)
        elif _text(before) != _text(after):
            yield _change(place, before, after)


def _element_changes(path: str, held: list[Any], now: list[Any], shape: KeyedShape) -> Iterator[StructureChange]:
    before = {element[shape.key]: element for element in held}
    after = {element[shape.key]: element for element in now}
    for key in dict.fromkeys([*before, *after]):
        place = f"{path}[{key}]"
        if key in before and key in after:
            yield from _changes(place, before[key], after[key], shape.element)
        else:
            yield _change(place, before.get(key, _ABSENT), after.get(key, _ABSENT))


def _change(path: str, before: Any, after: Any) -> StructureChange:
    kind = "new" if before is _ABSENT else "gone" if after is _ABSENT else "changed"
    return StructureChange(path, kind, _text(before), _text(after))


def _has_parts(value: Any, shape: ObjectShape | KeyedShape | None) -> bool:
    """Return whether a member has a structure that can be walked: an object, or elements that all have their key."""
    if isinstance(shape, ObjectShape):
        return isinstance(value, dict)
    if isinstance(shape, KeyedShape):
        return isinstance(value, list) and all(
            isinstance(element, dict) and isinstance(element.get(shape.key), str) for element in value
        )
    return False


def _text(value: Any) -> str:
    return "" if value is _ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _joined(path: str, name: str) -> str:
    return f"{path}.{_named(name)}" if path else _named(name)


def _named(name: str) -> str:
    """Return a member's name; one that the schema does not know may be anything, a child's name too, and is hidden."""
    return name if name in property_names() else UNKNOWN_MEMBER
