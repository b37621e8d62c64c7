"""Goes through an invented payload and its original side by side, and sorts their values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

from api_pipeline.anonymise.fields import (
    FieldKind,
    Items,
    Leaf,
    Members,
    first_text,
    has_arrays_of_objects,
    record_fields,
)
from api_pipeline.payloads.shape import UNKNOWN_MEMBER

# The path of a value within a payload, the invented value, and the original's at its place, None where none is there.
Pair: TypeAlias = "tuple[str, Any, Any]"
_Walk: TypeAlias = "Callable[[Any, Any, Pairs], None]"
_COLUMNS = ("texts", "dates", "codes", "scores", "flags")


class Column(NamedTuple):
    """Pairs taken apart: their paths, the invented values, and the original's."""

    paths: Sequence[str]
    invented: Sequence[Any]
    originals: Sequence[Any]

    def pairs(self) -> Iterator[Pair]:
        """Return the pairs."""
        return zip(*self, strict=True)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The values of payloads and their originals, by what they are; texts are identifiers, names and postcodes.

    `unpaired` are values of the original, of any structure, that have none beside them; `misplaced` the paths at which
    the invented payload has a structure that the schema has not. Large objects are looked at once: `seen` are those of
    both payloads of a row so far, by the first text of the original's.
    """

    columns: dict[str, list[Pair]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})
    unpaired: list[Any] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    seen: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def once(self, column: str) -> Column:
        """Return each pair of a column once. That 1 equals true here says nothing of a child."""
        pairs: Collection[Pair] = self.columns[column]
        # An array or object where a value should stand has no hash.
        with suppress(TypeError):
            pairs = set(pairs)
        return Column(*zip(*pairs, strict=True)) if pairs else Column((), (), ())


# Every other kind of value is a text.
_COLUMN_OF = {FieldKind.DATE: "dates", FieldKind.CODE: "codes", FieldKind.SCORE: "scores", FieldKind.FLAG: "flags"}


def pairs_of(*payloads: tuple[Any, Any]) -> Pairs:
    """Return the values of invented payloads, each beside the original's."""
    found = Pairs()
    for invented, original in payloads:
        _schema_walk()[0](invented, original, found)
    return found


def leaves_by_path() -> Mapping[str, Leaf]:
    """Return what stands at each path of the schema."""
    return _schema_walk()[1]


@cache
def _schema_walk() -> tuple[_Walk, dict[str, Leaf]]:
    leaves: dict[str, Leaf] = {}
    return _members(record_fields(), "", leaves), leaves


def _column(leaf: Leaf, path: str, leaves: dict[str, Leaf]) -> str:
    leaves[path] = leaf
    return _COLUMN_OF.get(leaf.kind, "texts")


def _members(known: Members, path: str, leaves: dict[str, Leaf]) -> _Walk:
    inner = {name: f"{path}.{name}" for name in known.by_name}
    places = {
        name: (_column(one, inner[name], leaves), inner[name])
        for name, one in known.by_name.items()
        if isinstance(one, Leaf)
    }
    walks: dict[str, _Walk] = {}
    for name, one in known.by_name.items():
        if isinstance(one, Members):
            walks[name] = _members(one, inner[name], leaves)
        elif isinstance(one, Items):
            walks[name] = _items(one, inner[name], leaves)

    def walk(value: Any, original: Any, into: Pairs) -> None:
        if not isinstance(original, dict):
            into.unpaired.append(original)
            original = {}
        if not isinstance(value, dict):
            into.misplaced.append(path)
            into.unpaired.append(original)
            return
        values = into.columns
        for name, member in value.items():
            # Most members: without a call for each.
            if name in places:
                column, place = places[name]
                values[column].append((place, member, original.get(name)))
            elif name in walks:
                walks[name](member, original.get(name), into)
            else:
                into.misplaced.append(f"{path}.{UNKNOWN_MEMBER}")
                into.unpaired.append(original.get(name))
        if original.keys() != value.keys():
            into.unpaired.extend(member for name, member in original.items() if name not in value)

    return walk


def _items(known: Items, path: str, leaves: dict[str, Leaf]) -> _Walk:
    each = known.each
    inside = _codes(each, f"{path}[]", leaves) if isinstance(each, Leaf) else _objects(each, f"{path}[]", leaves)

    def walk(value: Any, original: Any, into: Pairs) -> None:
        if not isinstance(original, list):
            into.unpaired.append(original)
            original = []
        if not isinstance(value, list):
            into.misplaced.append(path)
            into.unpaired.append(original)
            return
        if len(value) != len(original):
            into.unpaired.extend(original[len(value) :])
            original = original + [None] * (len(value) - len(original))
        inside(value, original, into)

    return walk


def _codes(leaf: Leaf, path: str, leaves: dict[str, Leaf]) -> _Walk:
    column = _column(leaf, path, leaves)
    return lambda values, originals, into: into.columns[column].extend(
        zip(repeat(path), values, originals, strict=False)
    )


def _objects(known: Members, path: str, leaves: dict[str, Leaf]) -> _Walk:
    inner = _members(known, path, leaves)
    if not has_arrays_of_objects(known):

        def walk_each(values: Any, originals: Any, into: Pairs) -> None:
            for value, original in zip(values, originals, strict=False):
                inner(value, original, into)

        return walk_each

    def walk(values: Any, originals: Any, into: Pairs) -> None:
        for pair in zip(values, originals, strict=False):
            # Most large objects stand in both payloads of a row. That 1 equals true here says nothing of a child.
            first = first_text(pair[1])
            if into.seen.get(first) != pair:
                into.seen[first] = pair
                inner(*pair, into)

    return walk
