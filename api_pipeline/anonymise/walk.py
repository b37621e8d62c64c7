"""Goes through a payload member by member, and invents one of the same structure.

What a member becomes is looked up in a tree of functions that is made from the schema once. The same text of a child
becomes the same invention, so each is invented once, in whatever number of members and payloads it stands. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from api_pipeline.anonymise.child import Child
from api_pipeline.anonymise.fields import (
    Field,
    FieldKind,
    Leaf,
    Members,
    first_text,
    has_arrays_of_objects,
    leaf_kinds,
    record_fields,
)

_LONGEST_IDENTIFIER = 20
# What is made of a value: None where it is left out, as a payload has no null.
_Maker: TypeAlias = "Callable[[Walk, Any], Any]"
# What is invented for a text of a child, None where it is left out.
_Invent: TypeAlias = "Callable[[Child, str], str | None]"


class Walk:
    """Make the payloads of one child, and count in `left_out` what of them is left out."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.left_out = 0
        # What texts became, by the place of their kind in `leaf_kinds`.
        self.texts = [known.copy() for known in _known_at_first()]
        # What large objects became, by the text that is the first of their values: most stand in both payloads.
        self.objects: dict[str, tuple[Any, Any]] = {}

    def identifier(self, value: str | None) -> str | None:
        """Return what stands for an id in a column of the row; a blank one is none, and a CHAR column adds blanks."""
        text = (value or "").strip()
        return self.child.key.identifier(_LONGEST_IDENTIFIER, text) if text else value

    def record(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return an invented record of the same structure as `value`."""
        found: dict[str, Any] = _record_maker()(self, value)
        return found


def _identifier(leaf: Leaf) -> _Invent:
    # The same for whichever child: workers have many. It needs no look at the original: twelve letters and digits of a
    # keyed hash stand nowhere else.
    length = min(leaf.length or _LONGEST_IDENTIFIER, _LONGEST_IDENTIFIER)
    return lambda child, value: child.key.identifier(length, value)


def _code(leaf: Leaf) -> _Invent:
    name = leaf.code_list
    return lambda child, value: child.code(name, value)


_INVENT: Mapping[FieldKind, Callable[[Leaf], _Invent]] = {
    FieldKind.NAME: lambda _: Child.name,
    FieldKind.POSTCODE: lambda _: Child.postcode,
    FieldKind.UPN: lambda _: Child.upn,
    FieldKind.DATE: lambda _: Child.date,
    FieldKind.CODE: _code,
    FieldKind.IDENTIFIER: _identifier,
}


@cache
def _known_at_first() -> list[dict[str, str]]:
    """Return what is known of texts before any is invented: an empty one stays empty, but it is no date."""
    return [{} if leaf.kind is FieldKind.DATE else {"": ""} for leaf in leaf_kinds()]


@cache
def _record_maker() -> _Maker:
    return _members(record_fields())


def _members(fields: Members) -> _Maker:
    leaves = {name: field for name, field in fields.by_name.items() if isinstance(field, Leaf)}
    texts = {name: leaf_kinds().index(leaf) for name, leaf in leaves.items() if leaf.kind in _INVENT}
    inventors = {name: _INVENT[leaves[name].kind](leaves[name]) for name in texts}
    flags = {name for name, leaf in leaves.items() if leaf.kind is FieldKind.FLAG}
    makers = {name: maker for name, field in fields.by_name.items() if (maker := _maker(field))}

    def make(walk: Walk, value: Any) -> Any:
        if not isinstance(value, dict):
            return None
        made: dict[str, Any] = {}
        known = walk.texts
        for name, member in value.items():
            kind = type(member)
            # Most members: without a call for each.
            if kind is str and name in texts:
                same = known[texts[name]]
                invented = same.get(member)
                if invented is None and (invented := inventors[name](walk.child, member)) is not None:
                    same[member] = invented
            elif kind is bool and name in flags:
                invented = member
            else:
                invented = makers[name](walk, member) if name in makers else None
            if invented is None:
                walk.left_out += 1
            else:
                made[name] = invented
        return made

    return make


def _maker(field: Field) -> _Maker | None:
    """Return what makes a member that is neither a text nor a flag, None for those two."""
    if isinstance(field, Leaf):
        return _score if field.kind is FieldKind.SCORE else None
    if isinstance(field, Members):
        return _members(field)
    if isinstance(field.each, Leaf):
        return _codes(field.each.code_list)
    return _objects(_made_once(field.each) if has_arrays_of_objects(field.each) else _members(field.each))


def _codes(name: str) -> _Maker:
    """Return what makes as many codes: one that is not of the right type becomes any code."""
    return lambda walk, value: walk.child.codes(name, value) if isinstance(value, list) else None


def _objects(maker: _Maker) -> _Maker:
    """Return what makes as many objects: one that is none becomes an empty one."""

    def objects(walk: Walk, value: Any) -> Any:
        if not isinstance(value, list):
            return None
        made = [maker(walk, one) for one in value]
        if None in made:
            walk.left_out += made.count(None)
            made = [{} if one is None else one for one in made]
        return made

    return objects


def _made_once(each: Members) -> _Maker:
    """Return what makes an object, or takes what was made of the same one; what it leaves out is counted again."""
    maker = _members(each)

    def make(walk: Walk, value: Any) -> Any:
        first = first_text(value)
        same, made = walk.objects.get(first, (None, None))
        # 1 equals true here: the flag that is made of it says nothing of a child.
        if same is not None and same == value:
            return made
        before = walk.left_out
        made = maker(walk, value)
        if walk.left_out == before:
            walk.objects[first] = value, made
        return made

    return make


def _score(walk: Walk, value: Any) -> Any:
    # A score of 5.0 is a whole number to the schema.
    is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value)
    return walk.child.score(int(value)) if is_whole else None
