"""Goes through a payload member by member, and invents one of the same structure.

What a member becomes is looked up in a tree of functions that is made from the schema once: a record has some 300
values, and asking at each of them what it is costs more than inventing it. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from typing import Any, Final, TypeAlias

import orjson

from api_pipeline.anonymise.child import Child
from api_pipeline.anonymise.fields import Field, FieldKind, Items, Leaf, Members, record_fields

_Object: TypeAlias = "Mapping[str, Any]"
# What is made of a value, given the walk, the value, and what a like value became before (`_Before`).
_Maker: TypeAlias = "Callable[[Walk, Any, Any, Any], Any]"

_LEFT_OUT: Final = object()
_NOTHING: Final[_Object] = {}
_NUMBERS = count()


class Walk:
    """Makes the payloads of one child, and counts in `left_out` what of them is left out."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.left_out = 0
        # What texts became already, by the kind of member: most stand in both payloads of a row.
        self.made: defaultdict[int, dict[str, Any]] = defaultdict(dict)

    def identifier(self, value: str | None) -> str | None:
        """Return what stands for an id in a column of the row."""
        return self.child.identifier(value, 0) if value else value

    def record(self, value: _Object) -> dict[str, Any]:
        """Return an invented record of the same structure as `value`."""
        return self.like(value, _NOTHING, _NOTHING)

    def like(self, value: _Object, other: _Object, made: _Object) -> dict[str, Any]:
        """Return the same, given another record and what was made of it: what the two have in common is taken from it.

        The same value of a child becomes the same invention, so this changes nothing but the time. Where something was
        left out, all is counted anew.
        """
        if self.left_out:
            other = made = _NOTHING
        found: dict[str, Any] = _record_maker()(self, value, other, made)
        return found


def is_same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are the same, the order of members too; 1 is neither true nor 1.0."""
    if type(one) is not type(other):
        return False
    return orjson.dumps(one) == orjson.dumps(other) if isinstance(one, (dict, list)) else bool(one == other)


def changed_parts(value: Any, other: Any) -> Any:
    """Return a JSON value without the parts that stand in `other` as well, at the same place."""
    if isinstance(value, dict) and isinstance(other, dict):
        return {
            name: changed_parts(member, other.get(name))
            for name, member in value.items()
            if name not in other or not is_same(member, other[name])
        }
    if isinstance(value, list) and isinstance(other, list):
        pairs = zip(value, other, strict=False)
        changed = [changed_parts(one, old) for one, old in pairs if not is_same(one, old)]
        return changed + value[len(other) :]
    return value


@cache
def _record_maker() -> _Maker:
    return _members(record_fields())


def _members(fields: Members) -> _Maker:
    makers = {name: _maker(field) for name, field in fields.by_name.items()}
    leaves = {name: _number_of(field) for name, field in fields.by_name.items() if isinstance(field, Leaf)}

    def make(walk: Walk, value: Any, other: Any, before: Any) -> Any:
        if not isinstance(value, dict):
            return _LEFT_OUT
        is_like = bool(before) and isinstance(other, dict)
        made: dict[str, Any] = {}
        for name, member in value.items():
            known: dict[str, Any] | None = None
            if type(member) is str and name in leaves:
                known = walk.made[leaves[name]]
                if member in known:
                    made[name] = known[member]
                    continue
            elif is_like and (old := other.get(name)) is not None and name in before and is_same(old, member):
                made[name] = before[name]
                continue
            maker = makers.get(name)
            like = (other.get(name), before.get(name)) if is_like else (None, None)
            invented = _LEFT_OUT if maker is None else maker(walk, member, *like)
            if invented is _LEFT_OUT:
                walk.left_out += 1
                continue
            made[name] = invented
            if known is not None:
                known[member] = invented
        return made

    return make


@cache
def _number_of(_leaf: Leaf) -> int:
    """Return the number of a kind of member, by which it is found faster than by itself."""
    return next(_NUMBERS)


def _items(each: Leaf | Members) -> _Maker:
    """Return what makes as many items: one that is not of the right type becomes an empty one, or any code."""
    if isinstance(each, Leaf):
        name = each.code_list

        def codes(walk: Walk, value: Any, _other: Any, _before: Any) -> Any:
            if not isinstance(value, list):
                return _LEFT_OUT
            return walk.child.codes(name, [one if isinstance(one, str) else str(one) for one in value])

        return codes
    maker = _members(each)

    def objects(walk: Walk, value: Any, other: Any, before: Any) -> Any:
        if not isinstance(value, list):
            return _LEFT_OUT
        walk.left_out += sum(not isinstance(one, dict) for one in value)
        old = list(zip(other, before, strict=False)) if before and isinstance(other, list) else []
        old += [(None, None)] * (len(value) - len(old))
        return [maker(walk, one if isinstance(one, dict) else {}, *like) for one, like in zip(value, old, strict=False)]

    return objects


def _maker(field: Field) -> _Maker:
    if isinstance(field, Members):
        return _members(field)
    if isinstance(field, Items):
        return _items(field.each)
    if field.kind is FieldKind.FLAG:
        return lambda _walk, value, _other, _before: value if isinstance(value, bool) else _LEFT_OUT
    if field.kind is FieldKind.SCORE:
        return _score
    if field.kind is FieldKind.DATE:
        return _date
    return _text(field)


def _score(walk: Walk, value: Any, _other: Any, _before: Any) -> Any:
    # A score of 5.0 is a whole number to the schema.
    is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value)
    return walk.child.score(int(value)) if is_whole else _LEFT_OUT


def _date(walk: Walk, value: Any, _other: Any, _before: Any) -> Any:
    moved = walk.child.date(value) if isinstance(value, str) else None
    return _LEFT_OUT if moved is None else moved


def _text(leaf: Leaf) -> _Maker:
    invent = _INVENTED.get(leaf.kind)
    if invent is None:
        invent = _code(leaf.code_list) if leaf.kind is FieldKind.CODE else _identifier(leaf.length)
    invented = invent

    def make(walk: Walk, value: Any, _other: Any, _before: Any) -> Any:
        if not isinstance(value, str):
            return _LEFT_OUT
        return invented(walk.child, value) if value else value

    return make


_INVENTED: Mapping[FieldKind, Callable[[Child, str], str]] = {
    FieldKind.NAME: Child.name,
    FieldKind.POSTCODE: Child.postcode,
    FieldKind.UPN: Child.upn,
}


def _code(name: str) -> Callable[[Child, str], str]:
    return lambda child, value: child.code(name, value)


def _identifier(length: int) -> Callable[[Child, str], str]:
    return lambda child, value: child.identifier(value, length)
