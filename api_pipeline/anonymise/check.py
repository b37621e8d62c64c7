"""What of an original survived in its invented record: found by comparing the two, whatever made the second.

An identifier, name or postcode may not stand anywhere in the invented record, alone or inside another text; a date or
score may not stand unmoved at its place, and all dates of a child must have moved alike; a code must be in its list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from api_pipeline.anonymise.child import SCORES, is_listed, normalised, read_date
from api_pipeline.anonymise.fields import Field, FieldKind, Items, Leaf, Members, record_fields
from api_pipeline.anonymise.record import InventedRecord, LiveRecord, previous_data
from api_pipeline.payload import parse_payload

# A shorter value stands in some invented identifier by chance; alone it is found whatever its length.
_SHORTEST_INSIDE = 10
_ROW_STATES = frozenset(("new", "updated", "unchanged", "deleted"))


@dataclass(slots=True)
class _Comparison:
    """What is known of one row: identifying values, texts of the invented record, by how many days its dates moved."""

    marks: set[str]
    texts: list[str] = field(default_factory=list)
    shifts: set[int] = field(default_factory=set)


def survivors(live: LiveRecord, invented: InventedRecord) -> list[str]:
    """Return the places (paths, never a value) of the invented record where something of the original survived.

    Errors: PayloadError where the original cannot be read, so that nothing should be invented from it.
    """
    now, before = parse_payload(live.json_payload).data, previous_data(live)
    identifying: set[object] = {live.person_id or "", live.legacy_id or ""}
    for data in (now, before):
        _collect(record_fields(), data, identifying)
    comparison = _Comparison({normalised(value) for value in identifying} - {""})
    found = [] if invented.row_state in _ROW_STATES else ["row_state"]
    for name, value in (("person_id", invented.person_id), ("legacy_id", invented.legacy_id)):
        if value:
            found += _text(value, name, comparison)
    found += _compare(record_fields(), orjson.loads(invented.json_payload), now, "json_payload", comparison)
    if invented.previous_json_payload is not None:
        previous = orjson.loads(invented.previous_json_payload)
        found += _compare(record_fields(), previous, before, "previous_json_payload", comparison)
    if len(comparison.shifts) > 1:
        found.append("dates moved differently")
    inside = "\n".join(comparison.texts)
    found += ["inside another text"] * any(
        len(mark) >= _SHORTEST_INSIDE and mark in inside for mark in comparison.marks
    )
    return found


def _collect(known: Field | None, value: Any, into: set[object]) -> None:
    """Put every value of an original that is not a code of its list, flag or score into a set; unknown members' too."""
    if isinstance(value, dict):
        names: Mapping[str, Field] = known.by_name if isinstance(known, Members) else {}
        for name, member in value.items():
            _collect(names.get(name), member, into)
    elif isinstance(value, list):
        for item in value:
            _collect(known.each if isinstance(known, Items) else None, item, into)
    elif not _is_harmless(known, value):
        into.add(value)


def _is_harmless(known: Field | None, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if not isinstance(known, Leaf):
        return False
    return (known.kind is FieldKind.CODE and is_listed(known.code_list, value)) or (
        known.kind is FieldKind.SCORE and value in SCORES
    )


def _compare(known: Field | None, value: Any, original: Any, path: str, comparison: _Comparison) -> list[str]:
    if isinstance(known, Members) and isinstance(value, dict):
        there = original if isinstance(original, dict) else {}
        return [
            place
            for name, member in value.items()
            for place in _compare(
                known.by_name.get(name), member, there.get(name), _step(path, known, name), comparison
            )
        ]
    if isinstance(known, Items) and isinstance(value, list):
        old = original if isinstance(original, list) else []
        padded = [*old, *[None] * (len(value) - len(old))]
        return [
            place
            for member, before in zip(value, padded, strict=False)
            for place in _compare(known.each, member, before, f"{path}[]", comparison)
        ]
    return _leaf(known, value, original, path, comparison) if isinstance(known, Leaf) else [path]


def _step(path: str, known: Members, name: str) -> str:
    return f"{path}.{name if name in known.by_name else '(unknown member)'}"


def _leaf(leaf: Leaf, value: Any, original: Any, path: str, comparison: _Comparison) -> list[str]:
    match leaf.kind:
        case FieldKind.FLAG:
            is_well = isinstance(value, bool)
        case FieldKind.CODE:
            is_well = is_listed(leaf.code_list, value) or value == original == ""
        case FieldKind.SCORE:
            is_well = type(value) is int and value in SCORES and value != original
        case FieldKind.DATE:
            is_well = _has_moved(value, original, comparison)
        case _:
            return _text(value, path, comparison) if value != "" else []
    return [] if is_well else [path]


def _has_moved(value: Any, original: Any, comparison: _Comparison) -> bool:
    new, old = read_date(value), read_date(original)
    if new is None or old is None or new == old:
        return False
    comparison.shifts.add((new - old).days)
    return True


def _text(value: Any, path: str, comparison: _Comparison) -> list[str]:
    text = normalised(value)
    comparison.texts.append(text)
    return [path] if not isinstance(value, str) or text in comparison.marks else []
