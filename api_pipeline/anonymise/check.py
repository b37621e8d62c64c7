"""What of an original survived in its invented record: found by comparing the two, whatever made the second.

An identifier, name or postcode may not stand anywhere in the invented record, alone or inside another text; a date or
score may not stand unmoved at its place, and all dates of a child must have moved alike; a code must be in its list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

from api_pipeline.anonymise.fields import FieldKind
from api_pipeline.anonymise.pairs import Pair, Pairs, leaves_by_path, pairs_of
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
    texts = [*pairs.once("texts"), *(pair for pair in ids if pair[1])]
    codes, lists = pairs.once("codes"), _codes_by_path()
    # Most flags are what they should be.
    flags = [pair for pair in pairs.columns["flags"] if type(pair[1]) is not bool or type(pair[2]) is not bool]
    moves = [(_days_moved(new, old), (path, new, old)) for path, new, old in pairs.once("dates")]
    scores = pairs.columns["scores"]
    marks = _marks(
        [old for column in (texts, flags) for _, _, old in column]
        + [old for _, (_, _, old) in moves]
        + [old for path, _, old in codes if not _is_in(old, lists[path])]
        + [old for _, _, old in scores if old not in SCORES]
        + pairs.unpaired
        + others
    )
    invented_texts = all_normalised([value for _, value, _ in texts])
    bad = [
        *_bad_texts(texts, invented_texts, marks),
        *(pair for days, pair in moves if not days),
        *(pair for pair in codes if not _is_in(pair[1], lists[pair[0]]) and pair[1:] != ("", "")),
        *(pair for pair in scores if type(pair[1]) is not int or pair[1] not in SCORES or pair[1] == pair[2]),
        *(pair for pair in flags if type(pair[1]) is not bool),
    ]
    found = [] if invented.row_state in _ROW_STATES else ["row_state"]
    if bad or pairs.misplaced:
        found += [pair[0] for pair in bad if pair in ids]
        found += [name + path for name, payload in payloads.items() for path in _paths(pairs_of(payload), bad)]
    if len({days for days, _ in moves if days}) > 1:
        found.append("dates moved differently")
    inside = "\n".join(invented_texts)
    found += ["inside another text"] * any(len(mark) >= _SHORTEST_INSIDE and mark in inside for mark in marks)
    return found


def _payloads(live: LiveRecord, invented: InventedRecord) -> tuple[dict[str, tuple[Any, Any]], list[Any]]:
    """Return the invented payloads by column, each beside its original, and what of the original stands alone."""
    now, before = live.payload.data, None if live.previous is None else live.previous.data
    payloads: dict[str, tuple[Any, Any]] = {"json_payload": (invented.payload, now)}
    if invented.previous is None:
        return payloads, [live.person_id, live.legacy_id, before]
    payloads["previous_json_payload"] = (invented.previous, before)
    return payloads, [live.person_id, live.legacy_id]


def _marks(values: list[Any]) -> set[str]:
    """Return what identifies, as it is compared: every text and number within these values of the original."""
    texts: list[object] = [value for value in values if type(value) is str]
    if len(texts) < len(values):
        texts += _values([value for value in values if type(value) is not str])
    return all_normalised(texts)


def _values(value: Any) -> Iterator[object]:
    """Return every text and number within a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _values(one)
    elif value is not None and not isinstance(value, bool):
        yield value


def _is_in(value: Any, codes: Collection[str]) -> bool:
    return type(value) is str and value in codes


@cache
def _codes_by_path() -> dict[str, frozenset[str]]:
    return {path: listed(leaf.code_list) for path, leaf in leaves_by_path().items() if leaf.kind is FieldKind.CODE}


def _days_moved(new: Any, old: Any) -> int:
    """Return by how many days a date differs from the original's; none where one of them is no date."""
    if type(new) is not str or type(old) is not str:
        return 0
    day, before = day_of(new), day_of(old)
    return 0 if day is None or before is None else day - before


def _bad_texts(pairs: list[Pair], texts: set[str], marks: set[str]) -> list[Pair]:
    """Return those pairs of texts that are none, or in whose invented value something of the original survived."""
    if texts.isdisjoint(marks) and all(type(value) is str for _, value, _ in pairs):
        return []
    return [pair for pair in pairs if type(pair[1]) is not str or normalised(pair[1]) in marks]


def _paths(pairs: Pairs, bad: list[Pair]) -> list[str]:
    """Return the paths of a payload where its structure or a pair is bad."""
    return pairs.misplaced + [pair[0] for column in pairs.columns.values() for pair in column if pair in bad]
