"""What each member of a payload is to the anonymising: an identifier, a name, a date, a code ..., read from the schema.

A member that is not here is never copied: its text could be anybody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeAlias

from api_pipeline.payloads.schema_check import code_list
from api_pipeline.payloads.shape import schema


class FieldKind(Enum):
    """What a value is."""

    IDENTIFIER = "identifier"
    UPN = "unique pupil number"
    NAME = "name"
    POSTCODE = "postcode"
    DATE = "date"
    CODE = "code"
    FLAG = "flag"
    SCORE = "score"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value. `length` is the longest identifier the schema takes, `code_list` the name of a code's list."""

    kind: FieldKind
    length: int = 0
    code_list: str = ""


@dataclass(frozen=True, slots=True)
class Members:
    """An object with its known members."""

    by_name: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class Items:
    """An array of objects of one kind, or of codes of one list."""

    each: Leaf | Members


Field: TypeAlias = "Leaf | Members | Items"

_TEXTS = {
    "la_child_id": FieldKind.IDENTIFIER,
    "mis_child_id": FieldKind.IDENTIFIER,
    "worker_id": FieldKind.IDENTIFIER,
    "unique_pupil_number": FieldKind.UPN,
    "former_unique_pupil_number": FieldKind.UPN,
    "first_name": FieldKind.NAME,
    "surname": FieldKind.NAME,
    "postcode": FieldKind.POSTCODE,
}
# Codes that keep their meaning: "nothing", what must stand alone, "not of school age", and sex (specification 7).
_KEPT_CODES = {
    "code_sex": frozenset(("M", "F", "U")),
    "code_disability": frozenset(("NONE",)),
    "code_assessment_factor": frozenset(("21",)),
    "code_upn_unknown_reason": frozenset(("UN1",)),
}


@cache
def record_fields() -> Members:
    """Return what every member of a record is, from the packaged schema."""
    return _members(schema())


@cache
def leaf_kinds() -> tuple[Leaf, ...]:
    """Return the kinds of value that a record has, each once: a kind is known by its place here."""
    return tuple(dict.fromkeys(_leaves(record_fields())))


@cache
def code_lists() -> tuple[str, ...]:
    """Return the names of the code lists that a record has, each once."""
    return tuple(leaf.code_list for leaf in leaf_kinds() if leaf.kind is FieldKind.CODE)


def has_arrays_of_objects(known: Members) -> bool:
    """Return whether objects of a kind are large: they hold other objects in arrays."""
    return any(isinstance(one, Items) and isinstance(one.each, Members) for one in known.by_name.values())


def first_text(value: Any) -> str:
    """Return the first value of an object, an empty text where that is none; most objects begin with their id."""
    first = next(iter(value.values()), "") if isinstance(value, dict) else ""
    return first if isinstance(first, str) else ""


def _leaves(field: Field) -> Iterator[Leaf]:
    if isinstance(field, Leaf):
        yield field
        return
    for one in (field.each,) if isinstance(field, Items) else field.by_name.values():
        yield from _leaves(one)


def kept_codes(name: str) -> frozenset[str]:
    """Return the codes of a list that stay as they are."""
    return _KEPT_CODES.get(name, frozenset())


@cache
def drawn_codes(name: str) -> tuple[str, ...]:
    """Return the codes of a list that others are drawn from; all of them where every code keeps its meaning."""
    codes = code_list(name)
    return tuple(code for code in codes if code not in kept_codes(name)) or codes


def _members(node: Mapping[str, Any]) -> Members:
    found = {name: _field(name, member) for name, member in node["properties"].items()}
    return Members({name: field for name, field in found.items() if field is not None})


def _field(name: str, node: Mapping[str, Any]) -> Field | None:
    """Return what a member is, None for a text that is not listed here: a later schema may bring one."""
    if "$ref" in node:
        node = schema()["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        kind = FieldKind.DATE if node.get("format") == "date" else FieldKind.IDENTIFIER
        return Leaf(kind, length=node.get("maxLength", 0))
    if "x-codes" in node:
        return Leaf(FieldKind.CODE, code_list=node["x-codes"].rsplit("/", 1)[-1])
    match node["type"]:
        case "object":
            return _members(node)
        case "array":
            each = _field(name, node["items"])
            if isinstance(each, Members) or (isinstance(each, Leaf) and each.kind is FieldKind.CODE):
                return Items(each)
            return None
        case "boolean":
            return Leaf(FieldKind.FLAG)
        case "integer":
            return Leaf(FieldKind.SCORE)
        case _:
            return Leaf(_TEXTS[name], length=node.get("maxLength", 0)) if name in _TEXTS else None
