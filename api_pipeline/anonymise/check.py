"""What of an original survived in its invented record: found by comparing the two, whatever made the second.

An identifier, name or postcode may not stand anywhere in the invented record, alone or inside another text; a date or
score may not stand unmoved at its place, and all dates of a child must have moved alike; a code must be in its list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from api_pipeline.anonymise.fields import FieldKind, Leaf, leaf_kinds
from api_pipeline.anonymise.pairs import Pair, by_kind, by_place, places
from api_pipeline.anonymise.record import InventedRecord, LiveRecord, previous_data, read_payload
from api_pipeline.anonymise.values import SCORES, all_normalised, day_of, listed, normalised

# A shorter value stands in some invented identifier by chance; alone it is found whatever its length.
_SHORTEST_INSIDE = 10
_ROW_STATES = frozenset(("new", "updated", "unchanged", "deleted"))


@dataclass(slots=True)
class _Comparison:
    """What is known of one row.

    `marks` are the identifying values of the original as they are compared, `texts` those of the invented record, and
    `shifts` the numbers of days by which its dates moved.
    """

    marks: set[str]
    texts: set[str] = field(default_factory=set)
    shifts: set[int] = field(default_factory=set)


def survivors(live: LiveRecord, invented: InventedRecord) -> list[str]:
    """Return the places (paths, never a value) of the invented record where something of the original survived.

    Errors: PayloadError where the original cannot be read, so that nothing should be invented from it.
    """
    now, before = read_payload(live.json_payload).data, previous_data(live)
    payloads: dict[str, Pair] = {"json_payload": (orjson.loads(invented.json_payload), now)}
    if invented.previous_json_payload is not None:
        payloads["previous_json_payload"] = (orjson.loads(invented.previous_json_payload), before)
    pairs = by_kind(*payloads.values())
    columns = [_distinct(leaf, column) for leaf, column in zip(leaf_kinds(), pairs.columns, strict=True)]
    others = [live.person_id, live.legacy_id, *pairs.unpaired]
    if invented.previous_json_payload is None:
        others.append(before)
    comparison = _Comparison(_marks(columns, others))
    found = [] if invented.row_state in _ROW_STATES else ["row_state"]
    for name, value in (("person_id", invented.person_id), ("legacy_id", invented.legacy_id)):
        found += [name] * bool(value and _bad_texts([(value, None)], comparison))
    bad = [_bad(leaf, column, comparison) for leaf, column in zip(leaf_kinds(), columns, strict=True)]
    if pairs.misplaced or any(bad):
        found += [name + path for name, payload in payloads.items() for path in _paths(payload, bad)]
    if len(comparison.shifts) > 1:
        found.append("dates moved differently")
    inside = "\n".join(comparison.texts)
    found += ["inside another text"] * any(
        len(mark) >= _SHORTEST_INSIDE and mark in inside for mark in comparison.marks
    )
    return found


def _distinct(leaf: Leaf, pairs: list[Pair]) -> Collection[Pair]:
    """Return each pair once; flags and scores as they are, because 1 is neither true nor 1.0."""
    if leaf.kind in (FieldKind.FLAG, FieldKind.SCORE):
        return pairs
    try:
        return set(pairs)
    except TypeError:
        # An array or object where a value should stand has no hash.
        return pairs


def _marks(columns: Iterable[Collection[Pair]], others: list[Any]) -> set[str]:
    """Return what identifies: every value of the original that is no code of its list, flag or score."""
    identifying: set[object] = set()
    for leaf, pairs in zip(leaf_kinds(), columns, strict=True):
        if not pairs:
            continue
        ordinary = listed(leaf.code_list) if leaf.kind is FieldKind.CODE else _ORDINARY.get(leaf.kind, frozenset())
        try:
            identifying |= {original for _, original in pairs} - ordinary
        except TypeError:
            others += [original for _, original in pairs]
    identifying.update(_values(others))
    return all_normalised([value for value in identifying if value is not None and type(value) is not bool])


_ORDINARY: dict[FieldKind, frozenset[object]] = {FieldKind.SCORE: frozenset(SCORES)}


def _values(value: Any) -> Iterator[object]:
    """Return every text and number within a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _values(one)
    elif not isinstance(value, bool):
        yield value


def _paths(payload: Pair, bad: list[list[Pair]]) -> list[str]:
    """Return the paths of a payload where its structure or a pair is bad."""
    pairs = by_place(*payload)
    columns = zip(places(), pairs.columns, strict=True)
    return pairs.misplaced + [place.path for place, column in columns if any(one in bad[place.kind] for one in column)]


def _bad(leaf: Leaf, pairs: Collection[Pair], comparison: _Comparison) -> list[Pair]:
    """Return those pairs of one kind in which the original survived, or whose invented value is not of the kind."""
    if not pairs:
        return []
    match leaf.kind:
        case FieldKind.FLAG:
            return [pair for pair in pairs if type(pair[0]) is not bool]
        case FieldKind.CODE:
            codes = listed(leaf.code_list)
            return [pair for pair in pairs if not (isinstance(pair[0], str) and pair[0] in codes) and pair != ("", "")]
        case FieldKind.SCORE:
            return [(new, old) for new, old in pairs if type(new) is not int or new not in SCORES or new == old]
        case FieldKind.DATE:
            return [pair for pair in pairs if not _is_moved(*pair, comparison.shifts)]
        case _:
            return _bad_texts(pairs, comparison)


def _is_moved(new: Any, old: Any, shifts: set[int]) -> bool:
    """Return whether a date is another than the original's; by how many days goes into `shifts`."""
    day = day_of(new) if type(new) is str else None
    before = day_of(old) if type(old) is str else None
    if day is None or before is None or day == before:
        return False
    shifts.add(day - before)
    return True


def _bad_texts(pairs: Collection[Pair], comparison: _Comparison) -> list[Pair]:
    texts = all_normalised([value for value, _ in pairs])
    comparison.texts |= texts
    if texts.isdisjoint(comparison.marks) and all(type(value) is str for value, _ in pairs):
        return []
    return [pair for pair in pairs if type(pair[0]) is not str or normalised(pair[0]) in comparison.marks]
