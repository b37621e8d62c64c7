"""What of an original survived in its invented record: found by comparing the two, whatever made the second.

An identifier, name or postcode may not stand anywhere in the invented record, alone or inside another text; a date or
score may not stand unmoved at its place, and all dates of a child must have moved alike; a code must be in its list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from operator import contains, sub
from typing import Any

from api_pipeline.anonymise.fields import FieldKind
from api_pipeline.anonymise.pairs import Column, Pair, Pairs, leaves_by_path, pairs_of
from api_pipeline.anonymise.record import InventedRecord, LiveRecord
from api_pipeline.anonymise.values import SCORES, all_normalised, day_of, listed, normalised

# A shorter value stands in some invented identifier by chance; alone it is found whatever its length.
_SHORTEST_INSIDE = 10
_ROW_STATES = frozenset(("new", "updated", "unchanged", "deleted"))


def survivors(live: LiveRecord, invented: InventedRecord) -> list[str]:
    """Return the places (paths, never a value) of the invented record where something of the original survived.

    Errors: PayloadError where the original cannot be read, so that nothing should be invented from it.
    """
    payloads, others = _payloads(live, invented)
    pairs = pairs_of(*payloads.values())
    ids = [("person_id", invented.person_id, None), ("legacy_id", invented.legacy_id, None)]
    texts, dates = pairs.once("texts"), pairs.once("dates")
    # Most flags are what they should be.
    flags = [pair for pair in pairs.columns["flags"] if type(pair[1]) is not bool or type(pair[2]) is not bool]
    odd_codes, scores = _unlisted(pairs.once("codes")), pairs.columns["scores"]
    marks = _marks(
        [*texts.originals, *dates.originals, *pairs.unpaired, *others]
        + [old for _, _, old in flags]
        + [old for path, _, old in odd_codes if not _is_listed(path, old)]
        + [old for _, _, old in scores if old not in SCORES]
    )
    all_texts = [*texts.pairs(), *(pair for pair in ids if pair[1])]
    invented_texts = all_normalised([value for _, value, _ in all_texts])
    moves = _days_moved(dates)
    bad = [
        *_bad_texts(all_texts, invented_texts, marks),
        *(pair for pair in (dates.pairs() if 0 in moves else ()) if not _days_between(*pair[1:])),
        *(pair for pair in odd_codes if not _is_listed(*pair[:2]) and pair[1:] != ("", "")),
        *(pair for pair in scores if type(pair[1]) is not int or pair[1] not in SCORES or pair[1] == pair[2]),
        *(pair for pair in flags if type(pair[1]) is not bool),
    ]
    found = [] if invented.row_state in _ROW_STATES else ["row_state"]
    if bad or pairs.misplaced:
        found += [pair[0] for pair in bad if pair in ids]
        found += [name + path for name, payload in payloads.items() for path in _paths(pairs_of(payload), bad)]
    if len(moves - {0}) > 1:
        found.append("dates moved differently")
    inside = "\n".join(invented_texts)
    found += ["inside another text"] * any(len(mark) >= _SHORTEST_INSIDE and mark in inside for mark in marks)
    return found


def _payloads(live: LiveRecord, invented: InventedRecord) -> tuple[dict[str, tuple[Any, Any]], list[Any]]:
    """Return the invented payloads by column, each beside its original, and what of the original stands alone."""
    now, before = live.payload.data, None if live.previous is None else live.previous.data
    payloads: dict[str, tuple[Any, Any]] = {"json_payload": (invented.payload, now)}
    alone: list[Any] = [live.person_id, live.legacy_id]
    if invented.previous is None:
        alone.append(before)
    else:
        payloads["previous_json_payload"] = (invented.previous, before)
    return payloads, [value for value in alone if value is not None]


def _are_texts(values: Iterable[Any]) -> bool:
    return {*map(type, values)} <= {str}


def _marks(values: list[Any]) -> set[str]:
    """Return what identifies, as it is compared: every text and number within these values of the original."""
    return all_normalised(values if _are_texts(values) else _values(values))


def _values(value: Any) -> Iterator[object]:
    """Return every text and number within a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _values(one)
    elif value is not None and not isinstance(value, bool):
        yield value


def _unlisted(codes: Column) -> list[Pair]:
    """Return those pairs of codes of which one is not in its list."""
    try:
        lists = [*map(_codes_by_path().__getitem__, codes.paths)]
        if all(map(contains, lists, codes.invented)) and all(map(contains, lists, codes.originals)):
            return []
    except TypeError:
        # An array or object where a code should stand has no hash.
        pass
    return [pair for pair in codes.pairs() if not all(_is_listed(pair[0], code) for code in pair[1:])]


def _is_listed(path: str, code: Any) -> bool:
    return type(code) is str and code in _codes_by_path()[path]


@cache
def _codes_by_path() -> dict[str, frozenset[str]]:
    return {path: listed(leaf.code_list) for path, leaf in leaves_by_path().items() if leaf.kind is FieldKind.CODE}


def _days_moved(dates: Column) -> set[int]:
    """Return by how many days dates differ from the original's; none where one of them is no date."""
    try:
        return set(map(sub, map(day_of, dates.invented), map(day_of, dates.originals)))
    except TypeError:
        return {_days_between(new, old) for _, new, old in dates.pairs()}


def _days_between(new: Any, old: Any) -> int:
    if type(new) is not str or type(old) is not str:
        return 0
    day, before = day_of(new), day_of(old)
    return 0 if day is None or before is None else day - before


def _bad_texts(pairs: list[Pair], texts: set[str], marks: set[str]) -> list[Pair]:
    """Return those pairs of texts that are none, or in whose invented value something of the original survived."""
    if texts.isdisjoint(marks) and _are_texts(value for _, value, _ in pairs):
        return []
    return [pair for pair in pairs if type(pair[1]) is not str or normalised(pair[1]) in marks]


def _paths(pairs: Pairs, bad: list[Pair]) -> list[str]:
    """Return the paths of a payload where its structure or a pair is bad."""
    return pairs.misplaced + [pair[0] for column in pairs.columns.values() for pair in column if pair in bad]
