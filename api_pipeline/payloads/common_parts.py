"""Find where two payloads of a child differ, without reading the parts that are the same text in both. Pure.

From one night to the next most parts are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import orjson

from api_pipeline.payloads.diff import Members, has_keys
from api_pipeline.payloads.shape import KeyedShape, ObjectShape, Shape

if TYPE_CHECKING:
    from msgspec import Raw

# Each side of a comparison: what is held, and what is current.
_Pair: TypeAlias = "tuple[Any, Any]"
# In both, for the members that they have in common: so neither looks like a payload of an identifier and nothing else.
_COMMON = ""


class _Reading(NamedTuple):
    """Read an object, or an array, into the texts of its parts; and the errors of that."""

    object: Callable[[Any], dict[str, Raw]]
    array: Callable[[Any], list[Raw]]
    errors: tuple[type[Exception], ...]


@cache
def _reading() -> _Reading:
    # A run that compares nothing need not load it: 20 milliseconds.
    import msgspec

    texts = msgspec.json.Decoder(dict[str, msgspec.Raw]), msgspec.json.Decoder(list[msgspec.Raw])
    return _Reading(texts[0].decode, texts[1].decode, (msgspec.MsgspecError, UnicodeEncodeError, RecursionError))


def differing_parts(text: str, now_text: str, now: Members, shape: ObjectShape) -> _Pair:
    """Return what a JSON text says and the payload `now`, each without what they have in common.

    `now` is the value of `now_text`, without null members. `diff.compare` finds the same between the two as between
    the whole ones. The key of an object stays, and one element of an array: it is empty only where it was. Errors:
    orjson.JSONDecodeError.
    """
    reading = _reading()
    try:
        parts, now_parts = reading.object(text), reading.object(now_text)
        if _COMMON in parts or _COMMON in now_parts:
            return orjson.loads(text), now
        held, left = _differing(parts, now_parts, now, shape, "la_child_id")
    except reading.errors:
        return orjson.loads(text), now
    if len(left) < len(now):
        held[_COMMON] = left[_COMMON] = True
    return held, left


def _differing(
    parts: Mapping[str, Raw], now_parts: Mapping[str, Raw], now: Members, shape: ObjectShape, key: str
) -> tuple[Members, Members]:
    """Return two objects without their common members; `key` stays, and what marks an object or an array as empty."""
    held, left = {}, dict(now)
    for name, part in parts.items():
        if name not in now:
            held[name] = orjson.loads(bytes(part))
        elif part != now_parts[name]:
            held[name], left[name] = _differing_part(bytes(part), now_parts[name], now[name], shape.members.get(name))
        elif name == key or name == "purge" or now[name] == []:
            held[name] = now[name]
        else:
            del left[name]
    return held, left


def _differing_part(text: bytes, now_part: Raw, now: Any, shape: Shape | None) -> _Pair:
    if isinstance(shape, ObjectShape) and type(now) is dict and text[:1] == b"{":
        parts = _reading().object(text)
        if not _is_purged(parts, now):
            return _differing(parts, _reading().object(now_part), now, shape, "")
    if isinstance(shape, KeyedShape) and has_keys(now, shape.key) and text[:1] == b"[":
        found = _differing_elements(_reading().array(text), _reading().array(now_part), now, shape)
        if found is not None:
            return found
    return orjson.loads(text), now


def _differing_elements(
    parts: Sequence[Raw], now_parts: Sequence[Raw], now: list[Members], shape: KeyedShape
) -> _Pair | None:
    """Return two arrays without their common elements; None where those that are held cannot be told apart."""
    key = shape.key
    places = {bytes(part): place for place, part in enumerate(now_parts)}
    held: list[Members] = []
    left: list[Members | None] = list(now)
    common: list[Members] = []
    for part in parts:
        place = places.get(text := bytes(part))
        if place is None:
            held.append(_differing_element(text, now_parts, now, left, shape))
        else:
            left[place] = None
            common.append({key: now[place][key]})
    if not has_keys([*common, *held], key):
        return None
    return [*common[:1], *held], [*common[:1], *(element for element in left if element is not None)]


def _differing_element(
    text: bytes, now_parts: Sequence[Raw], now: list[Members], left: list[Members | None], shape: KeyedShape
) -> Any:
    """Return an element that differs, and put what is left of its counterpart in the place of that."""
    if text[:1] == b"{":
        parts = _reading().object(text)
        key = orjson.loads(bytes(parts[shape.key])) if shape.key in parts else None
        for place, element in enumerate(now):
            if element[shape.key] == key:
                # Another element of this key has been there: they cannot be told apart.
                if left[place] is not element or _is_purged(parts, element):
                    break
                now_parts_of_it = _reading().object(now_parts[place])
                held, left[place] = _differing(parts, now_parts_of_it, element, shape.element, shape.key)
                return held
    return orjson.loads(text)


def _is_purged(parts: Mapping[str, Raw], now: Members) -> bool:
    """Return whether one of two parts that differ is purged: nothing is held of it, so they have nothing in common."""
    return now.get("purge") is True or ("purge" in parts and bytes(parts["purge"]) == b"true")
