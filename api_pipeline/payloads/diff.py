"""How two payloads of a child differ, in the terms that a record can express (contract 4). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from api_pipeline.payloads.content import CONTAINERS, Members, content, content_of, elements_content, what_is_said
from api_pipeline.payloads.shape import KeyedShape, ObjectShape, Shape

_TEXT = frozenset({str})
_NEITHER = None, None
_IDENTIFIER_ALONE = ["la_child_id"]
PURGED: Mapping[str, Any] = {"purge": True}


@dataclass(slots=True)
class Difference:
    """What leads from what is held to what is current, for one object.

    `changes`: members that are new or differ, elements with their key. `gone`: keyed elements and blocks that are
    held no longer, as purge markers. `first`: markers of what must be purged before, because something in it vanished
    that has no purge flag of its own. `is_whole`: that is this very object.
    """

    changes: Members = field(default_factory=dict)
    gone: Members = field(default_factory=dict)
    first: Members = field(default_factory=dict)
    is_whole: bool = False

    def __bool__(self) -> bool:
        return self.is_whole or bool(self.changes or self.gone or self.first)


_WHOLE = Difference(is_whole=True)


def compare(held: Mapping[str, Any], now: Mapping[str, Any], shape: ObjectShape, *, is_full: bool) -> Difference:
    """Return how what `held` and `now` say of one object differs (see `content`).

    `is_full` says that unchanged parts are sent as well, which an array with ambiguous keys does not allow. Otherwise
    parts that are equal in both are not examined: most are, from one night to the next.
    """
    result = Difference()
    differing = {}
    for name, value in now.items():
        before = held.get(name)
        if type(value) is str and value == before:
            continue
        if is_full or not _is_same(before, value):
            differing[name] = what_is_said(name, before, shape), what_is_said(name, value, shape)
    for name, value in held.items():
        before, left = differing.get(name, _NEITHER) if name in now else (what_is_said(name, value, shape), None)
        if left is None and before is not None and not _add_gone(result, name, before, shape):
            return _WHOLE
    for name, (before, value) in differing.items():
        if before is None and value is not None:
            if _is_ambiguous(value, shape.members.get(name)) and not _is_identifier_alone(held, shape):
                return _WHOLE
            result.changes[name] = content_of(value, shape.members.get(name))
        elif value is not None and not _add_change(result, name, before, value, shape, is_full=is_full):
            return _WHOLE
    return result


def _is_same(before: Any, now: Any) -> bool:
    """Return whether two values are the same as JSON: to Python, 1, 1.0 and True are equal."""
    if type(before) is not type(now):
        return False
    if type(now) not in CONTAINERS:
        return bool(before == now)
    try:
        return len(before) == len(now) and orjson.dumps(before) == orjson.dumps(now)
    except orjson.JSONEncodeError:
        # What is nested this deeply can be read, but not written.
        return False


def _is_equal(before: Any, now: Any) -> bool:
    """Return whether two values are the same as JSON, whatever the order of the members of an object."""
    if type(before) is not type(now) or before != now:
        return False
    try:
        return orjson.dumps(before, option=orjson.OPT_SORT_KEYS) == orjson.dumps(now, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        return False


def _is_identifier_alone(held: Mapping[str, Any], shape: ObjectShape) -> bool:
    return [name for name, value in held.items() if what_is_said(name, value, shape) is not None] == _IDENTIFIER_ALONE


def prune(held: Members, first: Members, shape: ObjectShape) -> Members:
    """Return what is left of `held` once the marked parts are purged."""
    result = dict(held)
    for name, marker in first.items():
        member = shape.members.get(name)
        if isinstance(member, ObjectShape):
            if marker.get("purge") is True:
                result.pop(name, None)
            else:
                result[name] = prune(held[name], marker, member)
        elif isinstance(member, KeyedShape):
            result[name] = _prune_elements(held[name], marker, member)
    return {name: value for name, value in result.items() if value != [] or name not in first}


def overlay(base: Members, markers: Members, shape: ObjectShape) -> Members:
    """Return `base` with purge markers put in where they belong; nothing that `base` has is changed."""
    result = dict(base)
    for name, marker in markers.items():
        member = shape.members.get(name)
        if name not in base:
            result[name] = marker
        elif isinstance(member, ObjectShape) and isinstance(base[name], dict):
            result[name] = overlay(base[name], marker, member)
        elif isinstance(member, KeyedShape) and isinstance(base[name], list):
            result[name] = _overlay_elements(base[name], marker, member)
    return result


def merged(held: Members, record: Members, shape: ObjectShape) -> Members:
    """Return a payload whose content a merging receiver holds after a record; `held` is content, a record may purge."""
    result = dict(held)
    for name, value in record.items():
        member, before = shape.members.get(name), held.get(name)
        if isinstance(member, ObjectShape) and isinstance(value, dict) and value.get("purge") is True:
            result.pop(name, None)
        elif isinstance(member, ObjectShape) and isinstance(before, dict) and isinstance(value, dict):
            result[name] = merged(before, value, member)
        elif isinstance(member, KeyedShape) and has_keys(before, member.key) and has_keys(value, member.key):
            result[name] = _merged_elements(before, value, member)
        else:
            result[name] = value
    return result


def _merged_elements(before: Any, value: list[Members], shape: KeyedShape) -> list[Members]:
    by_key: dict[str, Members] = {element[shape.key]: element for element in before}
    for element in value:
        key = element[shape.key]
        if element.get("purge") is True:
            by_key.pop(key, None)
        else:
            by_key[key] = merged(by_key.get(key, {}), element, shape.element)
    return list(by_key.values())


def _add_gone(result: Difference, name: str, before: Any, shape: ObjectShape) -> bool:
    """Add a member that is no longer there; False where only purging its object can take it away."""
    member = shape.members.get(name)
    if isinstance(member, ObjectShape) and isinstance(before, dict):
        result.gone[name] = dict(PURGED)
        return True
    if isinstance(member, KeyedShape) and has_keys(before, member.key):
        result.gone[name] = [{member.key: element[member.key], **PURGED} for element in before]
        return True
    return False


def _add_change(result: Difference, name: str, before: Any, value: Any, shape: ObjectShape, *, is_full: bool) -> bool:
    member = shape.members.get(name)
    if isinstance(member, ObjectShape) and isinstance(before, dict) and isinstance(value, dict):
        inner = compare(before, value, member, is_full=is_full)
        if inner.is_whole:
            result.first[name] = dict(PURGED)
        else:
            _take_in(result, name, inner)
        return True
    if isinstance(member, KeyedShape) and isinstance(before, list) and isinstance(value, list):
        if not (has_keys(before, member.key) and has_keys(value, member.key)):
            return not is_full and _is_equal(elements_content(before, member), elements_content(value, member))
        _compare_elements(result, name, before, value, member, is_full=is_full)
        return True
    if not _is_equal(before, value):
        result.changes[name] = content_of(value, member)
    return True


def _compare_elements(
    result: Difference, name: str, before: list[Members], value: list[Members], shape: KeyedShape, *, is_full: bool
) -> None:
    key = shape.key
    held = {element[key]: element for element in before}
    changes, gone, first = [], [], []
    for element in value:
        earlier = held.pop(element[key], None)
        if earlier is None:
            changes.append(content(element, shape.element))
            continue
        if not is_full and _is_same(earlier, element):
            continue
        inner = compare(earlier, element, shape.element, is_full=is_full)
        identity = {key: element[key]}
        if inner.is_whole:
            first.append({**identity, **PURGED})
            continue
        if inner.changes:
            changes.append({**identity, **inner.changes})
        if inner.gone:
            gone.append({**identity, **inner.gone})
        if inner.first:
            first.append({**identity, **inner.first})
    gone.extend({key: identifier, **PURGED} for identifier in held)
    for target, found in ((result.changes, changes), (result.gone, gone), (result.first, first)):
        if found:
            target[name] = found


def _take_in(result: Difference, name: str, inner: Difference) -> None:
    for target, found in ((result.changes, inner.changes), (result.gone, inner.gone), (result.first, inner.first)):
        if found:
            target[name] = found


def has_keys(elements: Any, key: str) -> bool:
    """Return whether each element of an array is an object with a key of its own."""
    if type(elements) is not list:
        return False
    try:
        # Only an object has a member by its name: a text has characters, by number.
        if len(elements) == 1:
            return type(elements[0][key]) is str
        keys = [element[key] for element in elements]
        return len(set(keys)) == len(keys) and _TEXT.issuperset(map(type, keys))
    except (TypeError, KeyError):
        return False


def has_ambiguous_keys(payload: Members, shape: ObjectShape) -> bool:
    """Return whether elements of one of the payload's own arrays lack a key; arrays within these are not looked at."""
    return any(_is_ambiguous(value, shape.members.get(name)) for name, value in payload.items())


def ambiguous_at_any_depth(payload: Members, shape: ObjectShape) -> bool:
    """Return whether elements of any array in a payload lack a key of their own; purged and null parts count too."""
    return _any_ambiguous([payload], shape)


def _any_ambiguous(objects: list[Members], shape: ObjectShape) -> bool:
    """Return whether elements of any array in one of these objects, at any depth, lack a key of their own.

    It looks at one member in all objects at a time: a call for each object takes a third longer.
    """
    for name, array in shape.keyed:
        for one in objects:
            if name in one and type(one[name]) is list:
                elements = one[name]
                if not has_keys(elements, array.key):
                    return True
                if array.element.members and _any_ambiguous(elements, array.element):
                    return True
    for name, inner in shape.nested:
        if _any_ambiguous([one[name] for one in objects if isinstance(one.get(name), dict)], inner):
            return True
    return False


def _is_ambiguous(value: Any, member: Shape | None) -> bool:
    """Return whether a new array has ambiguous keys, so that the receiver cannot merge it even with an empty one."""
    return isinstance(member, KeyedShape) and isinstance(value, list) and not has_keys(value, member.key)


def _prune_elements(held: list[Members], markers: list[Members], shape: KeyedShape) -> list[Members]:
    by_key = {marker[shape.key]: marker for marker in markers}
    left = []
    for element in held:
        marker = by_key.get(element[shape.key])
        if marker is None:
            left.append(element)
        elif marker.get("purge") is not True:
            left.append(prune(element, marker, shape.element))
    return left


def _overlay_elements(base: list[Any], markers: list[Members], shape: KeyedShape) -> list[Any]:
    by_key = {marker[shape.key]: marker for marker in markers}
    result = []
    for element in base:
        key = element.get(shape.key) if isinstance(element, dict) else None
        marker = by_key.pop(key, None) if isinstance(key, str) else None
        result.append(overlay(element, marker, shape.element) if marker else element)
    return [*result, *by_key.values()]
