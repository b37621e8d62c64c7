"""What of an original survived in its invented record: found by comparing the two, whatever made the second.

An identifier, name or postcode may not stand anywhere in the invented record, alone or inside another text; a date or
score may not stand unmoved at its place, and all dates of a child must have moved alike; a code must be in its list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import orjson

from api_pipeline.anonymise.child import SCORES, day_of, listed, normalised
from api_pipeline.anonymise.fields import Field, FieldKind, Items, Leaf, Members, record_fields
from api_pipeline.anonymise.record import InventedRecord, LiveRecord, previous_data, read_payload
from api_pipeline.anonymise.walk import changed_parts, is_same
from api_pipeline.payloads.shape import UNKNOWN_MEMBER

# A shorter value stands in some invented identifier by chance; alone it is found whatever its length.
_SHORTEST_INSIDE = 10
_ROW_STATES = frozenset(("new", "updated", "unchanged", "deleted"))


_Look: TypeAlias = "Callable[[Any, _Comparison], None]"
_Judge: TypeAlias = "Callable[[Any, Any, str, _Comparison], list[str]]"


@dataclass(slots=True)
class _Comparison:
    """What is known of one row: identifying values, texts of the invented record, by how many days its dates moved."""

    identifying: set[object]
    marks: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    shifts: set[int] = field(default_factory=set)


def survivors(live: LiveRecord, invented: InventedRecord) -> list[str]:
    """Return the places (paths, never a value) of the invented record where something of the original survived.

    Errors: PayloadError where the original cannot be read, so that nothing should be invented from it.
    """
    now, before = read_payload(live.json_payload).data, previous_data(live)
    comparison = _Comparison({live.person_id or "", live.legacy_id or ""})
    _record_look()(now, comparison)
    if before is not None:
        _record_look()(changed_parts(before, now), comparison)
    comparison.marks = {normalised(value) for value in comparison.identifying} - {""}
    found = [] if invented.row_state in _ROW_STATES else ["row_state"]
    for name, value in (("person_id", invented.person_id), ("legacy_id", invented.legacy_id)):
        if value:
            found += _text(value, name, comparison)
    made = orjson.loads(invented.json_payload)
    found += _record_judge()(made, now, "json_payload", comparison)
    if invented.previous_json_payload is not None:
        previous = orjson.loads(invented.previous_json_payload)
        pair = (previous, before) if found else _changed_pair((previous, before), (made, now))
        found += _record_judge()(pair[0], pair[1], "previous_json_payload", comparison)
    if len(comparison.shifts) > 1:
        found.append("dates moved differently")
    inside = "\n".join(comparison.texts)
    found += ["inside another text"] * any(
        len(mark) >= _SHORTEST_INSIDE and mark in inside for mark in comparison.marks
    )
    return found


def _changed_pair(pair: tuple[Any, Any], other: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return two values without the parts that both have in common with two others, in which nothing survived."""
    if all(isinstance(one, dict) for one in (*pair, *other)):
        names = [name for name in pair[0] if not _are_same(_members_of(pair, name), _members_of(other, name))]
        changed = {name: _changed_pair(_members_of(pair, name), _members_of(other, name)) for name in names}
        return {name: one for name, (one, _) in changed.items()}, {name: one for name, (_, one) in changed.items()}
    if all(isinstance(one, list) and all(isinstance(item, dict) for item in one) for one in (*pair, *other)):
        count = min(map(len, (*pair, *other)))
        both = zip(pair[0][:count], pair[1][:count], other[0], other[1], strict=False)
        parts = [_changed_pair((made, old), (like, same)) for made, old, like, same in both]
        return [*(made for made, _ in parts), *pair[0][count:]], [*(old for _, old in parts), *pair[1][count:]]
    return pair


def _are_same(pair: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    return is_same(pair[0], other[0]) and is_same(pair[1], other[1])


def _members_of(pair: tuple[Any, Any], name: str) -> tuple[Any, Any]:
    return pair[0].get(name), pair[1].get(name)


@cache
def _record_look() -> _Look:
    return _look(record_fields())


@cache
def _record_judge() -> _Judge:
    return _judge(record_fields())


def _look(known: Field | None) -> _Look:
    """Return what puts every value of an original into a set, but codes of its list, flags and scores.

    Those of unknown members are put in too. Made once for each member of the schema, as in `walk`.
    """
    names = {name: _look(one) for name, one in known.by_name.items()} if isinstance(known, Members) else {}
    each = _look(known.each) if isinstance(known, Items) else None
    codes = listed(known.code_list) if isinstance(known, Leaf) and known.kind is FieldKind.CODE else frozenset()
    is_score = isinstance(known, Leaf) and known.kind is FieldKind.SCORE

    codes_of = _codes_of(known)

    def look(value: Any, comparison: _Comparison) -> None:
        if isinstance(value, str):
            if value not in codes:
                comparison.identifying.add(value)
        elif isinstance(value, dict):
            for name, member in value.items():
                kind = type(member)
                if kind is str:
                    # Most members: without a call for each.
                    if name not in codes_of or member not in codes_of[name]:
                        comparison.identifying.add(member)
                elif kind is not bool:
                    (names.get(name) or _look_anywhere)(member, comparison)
        elif isinstance(value, list):
            inner = each or _look_anywhere
            for item in value:
                inner(item, comparison)
        elif not (value is None or isinstance(value, bool) or (is_score and value in SCORES)):
            comparison.identifying.add(value)

    return look


def _leaves(known: Field | None) -> Iterator[tuple[str, Leaf]]:
    if isinstance(known, Members):
        yield from ((name, one) for name, one in known.by_name.items() if isinstance(one, Leaf))


def _codes_of(known: Field | None) -> dict[str, frozenset[str]]:
    return {name: listed(one.code_list) for name, one in _leaves(known) if one.kind is FieldKind.CODE}


def _look_anywhere(value: Any, comparison: _Comparison) -> None:
    _look_at_unknown()(value, comparison)


@cache
def _look_at_unknown() -> _Look:
    return _look(None)


def _judge(known: Field | None) -> _Judge:
    """Return what compares an invented value with the original's and returns the places where it survived."""
    if isinstance(known, Members):
        return _members(known)
    if isinstance(known, Items):
        return _items(known.each)
    return _leaf(known) if isinstance(known, Leaf) else lambda _value, _original, path, _comparison: [path]


def _members(known: Members) -> _Judge:
    judges = {name: _judge(one) for name, one in known.by_name.items()}
    codes_of = _codes_of(known)
    flags = {name for name, one in _leaves(known) if one.kind is FieldKind.FLAG}
    dates = {name for name, one in _leaves(known) if one.kind is FieldKind.DATE}

    def judge(value: Any, original: Any, path: str, comparison: _Comparison) -> list[str]:
        if not isinstance(value, dict):
            return [path]
        there = original if isinstance(original, dict) else {}
        found: list[str] = []
        for name, member in value.items():
            # Most members: without a call for each.
            if type(member) is str:
                if name in codes_of and member in codes_of[name]:
                    continue
                if name in dates and (moved := _moved(member, there.get(name))):
                    comparison.shifts.add(moved)
                    continue
            elif type(member) is bool and name in flags:
                continue
            inner = judges.get(name)
            if inner is None:
                found.append(f"{path}.{UNKNOWN_MEMBER}")
            elif places := inner(member, there.get(name), name, comparison):
                found += [f"{path}.{place}" for place in places]
        return found

    return judge


def _items(each: Leaf | Members) -> _Judge:
    inner = _judge(each)

    def judge(value: Any, original: Any, path: str, comparison: _Comparison) -> list[str]:
        if not isinstance(value, list):
            return [path]
        old = original if isinstance(original, list) else []
        padded = [*old, *[None] * (len(value) - len(old))]
        return [
            place
            for member, before in zip(value, padded, strict=False)
            for place in inner(member, before, f"{path}[]", comparison)
        ]

    return judge


def _leaf(leaf: Leaf) -> _Judge:
    match leaf.kind:
        case FieldKind.FLAG:
            return lambda value, _original, path, _comparison: [] if isinstance(value, bool) else [path]
        case FieldKind.CODE:
            return _code(listed(leaf.code_list))
        case FieldKind.SCORE:
            return _score
        case FieldKind.DATE:
            return _date
        case _:
            return lambda value, _original, path, comparison: _text(value, path, comparison) if value != "" else []


def _code(codes: frozenset[str]) -> _Judge:
    def judge(value: Any, original: Any, path: str, _comparison: _Comparison) -> list[str]:
        is_well = (isinstance(value, str) and value in codes) or value == original == ""
        return [] if is_well else [path]

    return judge


def _score(value: Any, original: Any, path: str, _comparison: _Comparison) -> list[str]:
    return [] if type(value) is int and value in SCORES and value != original else [path]


def _date(value: Any, original: Any, path: str, comparison: _Comparison) -> list[str]:
    moved = _moved(value, original)
    if not moved:
        return [path]
    comparison.shifts.add(moved)
    return []


def _moved(value: Any, original: Any) -> int:
    """Return by how many days a date moved, 0 where one of the two is none."""
    if not (isinstance(value, str) and isinstance(original, str)):
        return 0
    new, old = day_of(value), day_of(original)
    return 0 if new is None or old is None else new - old


def _text(value: Any, path: str, comparison: _Comparison) -> list[str]:
    text = normalised(value)
    comparison.texts.append(text)
    return [path] if not isinstance(value, str) or text in comparison.marks else []
