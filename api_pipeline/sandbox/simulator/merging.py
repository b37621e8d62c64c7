"""What is held of a child once a record has been accepted, under both readings of the receiver (specification 5). Pure.

Written from the specification's field tables on their own, not from the code that plans what is sent, so that each can
be held against the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api_pipeline.sandbox.simulator.options import Reading

KEYS: Mapping[str, str] = {
    "social_care_episodes": "social_care_episode_id",
    "child_and_family_assessments": "child_and_family_assessment_id",
    "child_in_need_plans": "child_in_need_plan_id",
    "section_47_assessments": "section_47_assessment_id",
    "child_protection_plans": "child_protection_plan_id",
    "child_looked_after_placements": "child_looked_after_placement_id",
}
BLOCKS = frozenset({"child_details", "health_and_wellbeing", "adoption", "care_leavers"})


def held_after(held: Mapping[str, Any] | None, record: Mapping[str, Any], reading: Reading) -> dict[str, Any] | None:
    """Return what is held of a child after `record`, None where nothing is; neither argument is changed.

    What is given holds no purge flags, no nulls and no empty keyed arrays.
    """
    if _is_purged(record):
        return None
    if held is None or reading is Reading.REPLACE:
        return _onto({}, record)
    return _onto(held, record)


def _onto(held: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a held object after a record's members were set: what is left out stays."""
    result = dict(held)
    for name, value in record.items():
        if name == "purge" or value is None:
            continue
        if name in KEYS and isinstance(value, list):
            elements = _elements_onto(held.get(name), value, KEYS[name])
            _set_or_remove(result, name, elements or None)
        elif name in BLOCKS and isinstance(value, dict):
            _set_or_remove(result, name, None if _is_purged(value) else _onto(_object(held.get(name)), value))
        else:
            result[name] = _without_nulls(value)
    return result


def _elements_onto(held: Any, incoming: Iterable[Any], key: str) -> list[Any]:
    if not isinstance(held, list):
        return [_element_as_new(element) for element in incoming if not _is_purged(element)]
    result = list(held)
    for element in incoming:
        identity = _identity(element, key)
        if _is_purged(element):
            result = [other for other in result if identity is None or _identity(other, key) != identity]
            continue
        places = (place for place, other in enumerate(result) if _identity(other, key) == identity)
        place = None if identity is None else next(places, None)
        if place is None:
            result.append(_element_as_new(element))
        else:
            result[place] = _onto(result[place], element)
    return result


def _element_as_new(element: Any) -> Any:
    return _onto({}, element) if isinstance(element, dict) else element


def _identity(element: Any, key: str) -> str | None:
    value = element.get(key) if isinstance(element, dict) else None
    return value if isinstance(value, str) else None


def _is_purged(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("purge") is True


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _set_or_remove(target: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        target.pop(name, None)
    else:
        target[name] = value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
