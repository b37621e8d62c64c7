"""From the row of an answer to what is landed: key, hash, and the values of the columns as texts."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from api_pipeline.common.null_characters import without_null_characters
from api_pipeline.xporter.layout import Landing
from api_pipeline.xporter.schema import ID_LENGTH, KEY_LENGTH

# Part of every hash: rows that were landed under other rules are written anew.
_RULES = b"1"
_LOOSE = "sha:"
"""What the key of a row without an Id begins with, in a table whose columns are not published."""
_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def is_loose(key: str) -> bool:
    """Return whether a key is that of a row without an Id, which nothing names but the row itself."""
    return key.startswith(_LOOSE) or f"|{_LOOSE}" in key


class TooDeep(ValueError):
    """A row is nested more deeply than it can be written as JSON again."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where one shape of row has what is landed: members by a column's place, key members, members without a column."""

    found: tuple[tuple[int, str], ...]
    keys: tuple[str | None, ...]
    extra: tuple[str, ...]


class RowReader:
    """Read the rows of one landing table. `withheld` are columns that the school's consent does not cover.

    Without `keeps_unknown` members that the catalogue does not know are neither landed nor compared, but in the table
    that is for them.
    """

    def __init__(self, landing: Landing, withheld: Collection[str] = (), *, keeps_unknown: bool = True) -> None:
        self._landing = landing
        self._withheld = frozenset(name.lower() for name in withheld)
        self._columns = [name.lower() for name in landing.columns]
        self._width = len(self._columns)
        self._ids = [place for place, field in enumerate(landing.table.fields) if field.type == "id"]
        self._key = [name.lower() for name in landing.table.key]
        self._has_loose_key = not landing.table.is_published
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._keeps_unknown = keeps_unknown = keeps_unknown or landing.is_for_unknown
        layout = [landing.name, landing.columns, sorted(self._withheld), *([] if keeps_unknown else ["known"])]
        self._salt = _RULES + orjson.dumps(layout)

    def key(self, row: Mapping[str, Any]) -> str | None:
        """Return the row's key within its school, None where a part of it is missing.

        A table whose columns are not published may have rows without an Id: such a row is its own key.
        """
        keys = self._plan(row).keys
        if len(keys) == 1 and keys[0] is not None and (text := (_text(row[keys[0]]) or "").strip()):
            return self._prefixed(row, text)
        parts = [_text(row[member]) if member is not None else None for member in keys]
        texts = [(part or "").strip() for part in parts]
        if all(texts):
            return self._prefixed(row, "|".join(_escaped(text) for text in texts))
        if self._has_loose_key:
            return self._prefixed(row, _LOOSE + hashlib.sha256(_dumped(row)).hexdigest()[:32])
        return None

    def sha(self, row: Mapping[str, Any]) -> str:
        """Return the hash by which a row is compared with the landed one, in whatever order its members come."""
        if not self._keeps_unknown and (unknown := self._plan(row).extra):
            row = {member: value for member, value in row.items() if member not in unknown}
        return hashlib.sha256(self._salt + _dumped(row)).hexdigest()[:32]

    def values(self, row: Mapping[str, Any]) -> list[str | None]:
        """Return the values of the table's columns and of `extra`, as texts."""
        plan = self._plan(row)
        values: list[str | None] = [None] * self._width
        for place, member in plan.found:
            values[place] = _text(row[member])
        for place in self._ids:
            value = values[place]
            if value is not None and len(value) > ID_LENGTH:
                values[place] = value[:ID_LENGTH]
        kept = plan.extra if self._keeps_unknown else ()
        extra = {member: row[member] for member in kept if row[member] is not None} if kept else None
        values.append(without_null_characters(_dumped(extra).decode()) if extra else None)
        return values

    def unknown_seen(self) -> list[str]:
        """Return the members without a column of all rows that were read."""
        return sorted({member for plan in self._plans.values() for member in plan.extra})

    def _prefixed(self, row: Mapping[str, Any], key: str) -> str:
        if self._landing.is_for_unknown:
            key = f"{_text(row.get('source_table'))}|{key}"
        if len(key) > KEY_LENGTH:
            return key[: KEY_LENGTH - 33] + "~" + hashlib.sha256(key.encode()).hexdigest()[:32]
        return key

    def _plan(self, row: Mapping[str, Any]) -> _Plan:
        shape = tuple(row)
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plans[shape] = self._planned(shape)
        return plan

    def _planned(self, shape: tuple[str, ...]) -> _Plan:
        found = {name.lower(): name for name in shape}
        members = tuple(
            (place, found[column])
            for place, column in enumerate(self._columns)
            if column in found and column not in self._withheld
        )
        # A row's key is needed to keep it in step, whatever the consent says of the column that shows it.
        keys = tuple(found.get(column) for column in self._key)
        known = set(self._columns)
        extra = tuple(name for name in shape if name.lower() not in known and name.lower() not in self._withheld)
        return _Plan(members, keys, extra)


def _text(value: Any) -> str | None:
    """Return a JSON value as the text that is landed: flags as 1 and 0, nothing lost of ids of either kind."""
    if value is None:
        return None
    if isinstance(value, str):
        return without_null_characters(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (int, float)):
        return repr(value)
    return without_null_characters(_dumped(value, 0).decode())


def _dumped(value: Any, option: int = _SORTED) -> bytes:
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError:
        raise TooDeep from None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
