"""What a payload says of a child, without what says nothing: nulls, purge flags, purged parts, empty arrays. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from api_pipeline.payloads.shape import KeyedShape, ObjectShape, Shape

Members: TypeAlias = "dict[str, Any]"
CONTAINERS = frozenset({dict, list})


def content(payload: Mapping[str, Any], shape: ObjectShape) -> Members:
    """Return what a payload says of a child: without null members, purge flags, purged parts and empty keyed arrays."""
    result: Members = {}
    for name, value in payload.items():
        if (said := what_is_said(name, value, shape)) is not None:
            result[name] = content_of(said, shape.members.get(name))
    return result


def without_nulls(value: Any) -> Any:
    """Return a JSON value without the null members of its objects, at any depth."""
    if isinstance(value, dict):
        return {
            name: without_nulls(item) if type(item) in CONTAINERS else item
            for name, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [without_nulls(item) if type(item) in CONTAINERS else item for item in value]
    return value


def what_is_said(name: str, value: Any, shape: ObjectShape) -> Any:
    """Return a member without its purged elements, None where nothing is left; objects within it stay as they are."""
    if name == "purge" and shape.can_be_purged:
        return None
    if type(value) not in CONTAINERS:
        return value
    member = shape.members.get(name)
    if isinstance(member, ObjectShape) and isinstance(value, dict):
        return None if value.get("purge") is True else value
    if isinstance(member, KeyedShape) and isinstance(value, list):
        return _not_purged(value) or None
    return without_nulls(value)


def content_of(value: Any, member: Shape | None) -> Any:
    """Return the content of a member that says something."""
    if isinstance(member, ObjectShape) and isinstance(value, dict):
        return content(value, member)
    return elements_content(value, member) if isinstance(member, KeyedShape) and isinstance(value, list) else value


def elements_content(value: list[Any], shape: KeyedShape) -> list[Any]:
    """Return the content of each element of an array that is not purged."""
    elements = _not_purged(value)
    return [content(one, shape.element) if isinstance(one, dict) else without_nulls(one) for one in elements]


def _not_purged(elements: list[Any]) -> list[Any]:
    return [one for one in elements if type(one) is not dict or one.get("purge") is not True]
