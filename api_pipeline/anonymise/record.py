"""One live record in, one invented record of the same structure out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, TypeAlias

import orjson

from api_pipeline.anonymise.child import Child, normalised, read_date
from api_pipeline.anonymise.fields import Field, FieldKind, Leaf, Members, record_fields
from api_pipeline.anonymise.keyed import RunKey
from api_pipeline.payload import PayloadError, parse_payload


@dataclass(frozen=True, slots=True)
class LiveRecord:
    """A row of the live table, as far as the invented row follows it; `row_state` in lower case."""

    id: int
    person_id: str | None = field(repr=False)
    legacy_id: str | None = field(repr=False)
    json_payload: str = field(repr=False)
    previous_json_payload: str | None = field(repr=False)
    row_state: str


@dataclass(frozen=True, slots=True)
class InventedRecord:
    """The invented row.

    `left_out` counts what the original had and this must not: members that the schema does not know, values that are
    not of its type, a previous payload that cannot be read.
    """

    person_id: str | None
    legacy_id: str | None
    json_payload: str
    previous_json_payload: str | None
    row_state: str
    left_out: int

    @property
    def current_hash(self) -> bytes:
        """The SHA-256 of the payload's text, 32 bytes."""
        return sha256(self.json_payload.encode("utf-8")).digest()

    @property
    def previous_hash(self) -> bytes | None:
        """The SHA-256 of the previous payload's text, None where there is none."""
        previous = self.previous_json_payload
        return None if previous is None else sha256(previous.encode("utf-8")).digest()


Anonymise: TypeAlias = "Callable[[LiveRecord, RunKey], InventedRecord]"

_LEFT_OUT: Final = object()


def anonymise(live: LiveRecord, key: RunKey) -> InventedRecord:
    """Return the invented record for a live one: structure, flags and sex kept, the rest invented by the run's key.

    Errors: PayloadError where `json_payload` is not a JSON object with a `la_child_id`; nothing is made of such a row.
    """
    payload = parse_payload(live.json_payload)
    previous = previous_data(live)
    taken: set[object] = {live.person_id, live.legacy_id}
    _collect(payload.data, taken)
    _collect(previous, taken)
    walk = _Walk(Child(key, payload.la_child_id, {normalised(value) for value in taken}))
    now = orjson.dumps(walk.members(record_fields(), payload.data)).decode()
    before = None if previous is None else orjson.dumps(walk.members(record_fields(), previous)).decode()
    is_previous_lost = previous is None and bool((live.previous_json_payload or "").strip())
    return InventedRecord(
        person_id=walk.identifier(live.person_id),
        legacy_id=walk.identifier(live.legacy_id),
        json_payload=now,
        previous_json_payload=before,
        row_state=_row_state(live, now, before),
        left_out=walk.left_out + is_previous_lost,
    )


def previous_data(live: LiveRecord) -> dict[str, Any] | None:
    """Gives the previous payload of a row, None where there is none or it cannot be read."""
    if not (live.previous_json_payload or "").strip():
        return None
    try:
        return parse_payload(str(live.previous_json_payload)).data
    except PayloadError:
        return None


def _collect(value: object, into: set[object]) -> None:
    """Puts every text and number of a payload into a set."""
    if isinstance(value, dict):
        for member in value.values():
            _collect(member, into)
    elif isinstance(value, list):
        for item in value:
            _collect(item, into)
    else:
        into.add(value)


def _row_state(live: LiveRecord, now: str, before: str | None) -> str:
    if live.row_state == "deleted":
        return "deleted"
    if before is None:
        return "new"
    return "unchanged" if before == now else "updated"


class _Walk:
    """Goes through a payload member by member, and counts what it leaves out."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.left_out = 0

    def identifier(self, value: str | None) -> str | None:
        """Gives what stands for an id in a column of the row."""
        return self._child.identifier(value, 0) if value else value

    def members(self, fields: Members, value: Mapping[str, Any]) -> dict[str, Any]:
        """Gives an object with the same known members."""
        made: dict[str, Any] = {}
        for name, member in value.items():
            known = fields.by_name.get(name)
            invented = _LEFT_OUT if known is None else self._value(known, member)
            if invented is _LEFT_OUT:
                self.left_out += 1
            else:
                made[name] = invented
        return made

    def _value(self, known: Field, value: Any) -> Any:
        if isinstance(known, Leaf):
            return self._leaf(known, value)
        if isinstance(known, Members):
            return self.members(known, value) if isinstance(value, dict) else _LEFT_OUT
        return self._items(known.each, value) if isinstance(value, list) else _LEFT_OUT

    def _items(self, each: Leaf | Members, values: list[Any]) -> list[Any]:
        """Gives as many items: one that is not of the right type becomes an empty one, or any code."""
        if isinstance(each, Leaf):
            texts = [value if isinstance(value, str) else str(value) for value in values]
            return self._child.codes(each.code_list, texts)
        self.left_out += sum(not isinstance(value, dict) for value in values)
        return [self.members(each, value if isinstance(value, dict) else {}) for value in values]

    def _leaf(self, leaf: Leaf, value: Any) -> Any:
        if leaf.kind is FieldKind.FLAG:
            return value if isinstance(value, bool) else _LEFT_OUT
        if leaf.kind is FieldKind.SCORE:
            return self._score(value)
        if leaf.kind is FieldKind.DATE:
            moved = None if (found := read_date(value)) is None else self._child.date(found)
            return _LEFT_OUT if moved is None else moved.isoformat()
        if not isinstance(value, str):
            return _LEFT_OUT
        return self._text(leaf, value) if value else value

    def _score(self, value: Any) -> Any:
        # A score of 5.0 is a whole number to the schema.
        is_whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value)
        return self._child.score(int(value)) if is_whole else _LEFT_OUT

    def _text(self, leaf: Leaf, value: str) -> str:
        match leaf.kind:
            case FieldKind.CODE:
                return self._child.code(leaf.code_list, value)
            case FieldKind.NAME:
                return self._child.name(value)
            case FieldKind.POSTCODE:
                return self._child.postcode(value)
            case FieldKind.UPN:
                return self._child.upn(value)
            case _:
                return self._child.identifier(value, leaf.length)
