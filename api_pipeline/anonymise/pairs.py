"""Goes through an invented payload and its original side by side, and sorts their values. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
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
# Every other kind of value is a text.
_COLUMN_OF = {FieldKind.DATE: "dates", FieldKind.CODE: "codes", FieldKind.SCORE: "scores", FieldKind.FLAG: "flags"}
# Objects of one kind have few sets of members.
_LAYOUTS = 100


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
    """The values of payloads and their originals.

    `unpaired` are values of the original, of any structure, that have none beside them; `misplaced` the paths at which
    the invented payload has a structure that the schema has not. Large objects are looked at once: `seen` are those of
    both payloads of a row so far, by the first text of the original's.
    """

    pairs: list[Pair] = field(default_factory=list)
    unpaired: list[Any] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    seen: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def by_column(self) -> Mapping[str, Column]:
        """Return the pairs by what they are, each once; texts are identifiers, names and postcodes.

        That 1 equals true here says nothing of a child.
        """
        found: dict[str, list[Pair]] = {name: [] for name in _COLUMNS}
        columns = _column_of_path()
        try:
            pairs: Collection[Pair] = set(self.pairs)
        except TypeError:
            # An array or object where a value should stand has no hash.
            pairs = self.pairs
        for pair in pairs:
            found[columns[pair[0]]].append(pair)
        return {name: Column(*(zip(*pairs, strict=True) if pairs else ((), (), ()))) for name, pairs in found.items()}


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
def _column_of_path() -> dict[str, str]:
    return {path: _COLUMN_OF.get(leaf.kind, "texts") for path, leaf in leaves_by_path().items()}


@cache
def _schema_walk() -> tuple[_Walk, dict[str, Leaf]]:
    leaves: dict[str, Leaf] = {}
    return _members(record_fields(), "", leaves), leaves


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the members of an object are: values with their paths, what holds others, and how many are unknown."""

    values: Sequence[str]
    paths: Sequence[str]
    walks: Sequence[tuple[str, _Walk]]
    unknown: Sequence[str]


def _members(known: Members, path: str, leaves: dict[str, Leaf]) -> _Walk:
    inner = {name: f"{path}.{name}" for name in known.by_name}
    leaves.update((inner[name], one) for name, one in known.by_name.items() if isinstance(one, Leaf))
    walks = {name: _walk(one, inner[name], leaves) for name, one in known.by_name.items() if not isinstance(one, Leaf)}

    @lru_cache(maxsize=_LAYOUTS)
    def layout(*names: str) -> _Layout:
        values = [name for name in names if inner.get(name) in leaves]
        return _Layout(
            values,
            paths=[inner[name] for name in values],
            walks=[(name, walks[name]) for name in names if name in walks],
            unknown=[name for name in names if name not in inner],
        )

    def walk(value: Any, original: Any, into: Pairs) -> None:
        if not isinstance(original, dict):
            into.unpaired.append(original)
            original = {}
        if not isinstance(value, dict):
            into.misplaced.append(path)
            into.unpaired.append(original)
            return
        members = layout(*value)
        # Most members: all values of an object at once.
        values = members.values
        into.pairs.extend(zip(members.paths, map(value.get, values), map(original.get, values), strict=True))
        for name, inside in members.walks:
            inside(value[name], original.get(name), into)
        for name in members.unknown:
            into.misplaced.append(f"{path}.{UNKNOWN_MEMBER}")
            into.unpaired.append(original.get(name))
        if original.keys() != value.keys():
            into.unpaired.extend(member for name, member in original.items() if name not in value)

    return walk


def _walk(known: Members | Items, path: str, leaves: dict[str, Leaf]) -> _Walk:
    return _members(known, path, leaves) if isinstance(known, Members) else _items(known, path, leaves)


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
    leaves[path] = leaf
    return lambda values, originals, into: into.pairs.extend(zip(repeat(path), values, originals, strict=False))


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
