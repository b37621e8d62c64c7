"""The structure of a payload: which arrays have keys, which parts can be purged, which parts are plain values.

It is derived from the packaged schema here, and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

SCHEMA_FILE = "csc_payload.schema.json"


@dataclass(frozen=True)
class ObjectShape:
    """An object with its members that have a structure of their own, and whether it has a purge flag."""

    members: Mapping[str, Shape]
    can_be_purged: bool

    @cached_property
    def keyed(self) -> tuple[tuple[str, KeyedShape], ...]:
        """Return the members that are keyed arrays."""
        return tuple((name, shape) for name, shape in self.members.items() if isinstance(shape, KeyedShape))

    @cached_property
    def nested(self) -> tuple[tuple[str, ObjectShape], ...]:
        """Return the members that are objects which have a structure of their own within."""
        found = ((name, shape) for name, shape in self.members.items() if isinstance(shape, ObjectShape))
        return tuple((name, shape) for name, shape in found if shape.members)


class KeyedShape(NamedTuple):
    """An array whose elements are identified by the member `key`."""

    key: str
    element: ObjectShape


Shape: TypeAlias = "ObjectShape | KeyedShape"


@cache
def schema() -> dict[str, Any]:
    """Return the receiver's schema of one record, version 1.0.1 (specification 1)."""
    text = (files("api_pipeline") / "data" / SCHEMA_FILE).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


UNKNOWN_MEMBER = "(unknown member)"
"""What stands for the name of a member that the schema does not know: it may be anything, a name of a child too."""
_HARMLESS_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


def is_harmless(name: str) -> bool:
    """Return whether a member's name looks like one of a schema, so that it may be shown."""
    return _HARMLESS_NAME.fullmatch(name) is not None


@cache
def property_names() -> frozenset[str]:
    """Return every property name of the schema; any other member of a payload may be named after a child."""
    names: set[str] = set()
    waiting: list[object] = [schema()]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            properties = item.get("properties")
            names.update(properties if isinstance(properties, dict) else ())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return frozenset(names)


@cache
def record_shape() -> ObjectShape:
    """Return the structure of a whole record."""
    return _object_shape(schema())


def _object_shape(node: Mapping[str, Any]) -> ObjectShape:
    properties: Mapping[str, Any] = node["properties"]
    members = {name: shape for name, member in properties.items() if (shape := _shape(member)) is not None}
    return ObjectShape(members, "purge" in properties)


def _shape(node: Mapping[str, Any]) -> Shape | None:
    """Return the structure of a member, None where it is atomic: a value, or an array whose items have no key."""
    if node.get("type") == "object":
        return _object_shape(node)
    items = node.get("items", {})
    required = items.get("required", [])
    if items.get("type") == "object" and len(required) == 1:
        return KeyedShape(required[0], _object_shape(items))
    return None
