"""One live record in, one invented record of the same structure out. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeAlias

import orjson

from api_pipeline.anonymise.child import Child
from api_pipeline.anonymise.keyed import RunKey
from api_pipeline.anonymise.walk import Walk
from api_pipeline.payloads.reading import Payload, parse_payload, payload_of


# Without slots: it keeps what was read of it.
@dataclass(frozen=True)
class LiveRecord:
    """A row of the live table, as far as the invented row follows it; `row_state` in lower case."""

    id: int
    person_id: str | None = field(repr=False)
    legacy_id: str | None = field(repr=False)
    json_payload: str = field(repr=False)
    previous_json_payload: str | None = field(repr=False)
    row_state: str

    @cached_property
    def payload(self) -> Payload:
        """Return the row's payload. Errors: PayloadError where it is not a JSON object with a `la_child_id`."""
        return parse_payload(self.json_payload)

    @cached_property
    def previous(self) -> Payload | None:
        """Return the previous payload, None where there is none or it cannot be read; one text is read once."""
        text = self.previous_json_payload
        if text == self.json_payload:
            return self.payload
        return payload_of(text) if text and not text.isspace() else None

    @property
    def is_previous_lost(self) -> bool:
        """Return whether the row has a previous payload that cannot be read."""
        return self.previous is None and bool((self.previous_json_payload or "").strip())

    def text(self) -> bytes:
        """Return all text of the row in UTF-8."""
        previous = self.previous
        read = self.previous_json_payload if previous is None else None
        texts = [text.encode("utf-8", "replace") for text in (self.person_id, self.legacy_id, read) if text]
        return b"\n".join([*texts, self.payload.encoded, b"" if previous is None else previous.encoded])


# Without slots: it keeps the texts that were made of it.
@dataclass(frozen=True)
class InventedRecord:
    """The invented row; its texts are made of `payload` and `previous`, so that what is checked is what is written.

    `left_out` counts what the original had and this must not: members that the schema does not know, values that are
    not of its type, a previous payload that cannot be read.
    """

    person_id: str | None
    legacy_id: str | None
    payload: dict[str, Any]
    previous: dict[str, Any] | None
    row_state: str
    left_out: int

    @property
    def json_payload(self) -> str:
        """Return the payload's text."""
        return self._encoded.decode()

    @property
    def previous_json_payload(self) -> str | None:
        """Return the previous payload's text, None where there is none."""
        return None if self._previous_encoded is None else self._previous_encoded.decode()

    @property
    def current_hash(self) -> bytes:
        """Return the SHA-256 of the payload's text, 32 bytes."""
        return sha256(self._encoded).digest()

    @property
    def previous_hash(self) -> bytes | None:
        """Return the SHA-256 of the previous payload's text, None where there is none."""
        return None if self._previous_encoded is None else sha256(self._previous_encoded).digest()

    @cached_property
    def _encoded(self) -> bytes:
        return orjson.dumps(self.payload)

    @cached_property
    def _previous_encoded(self) -> bytes | None:
        return None if self.previous is None else orjson.dumps(self.previous)


Anonymise: TypeAlias = "Callable[[LiveRecord, RunKey], InventedRecord]"


def anonymise(live: LiveRecord, key: RunKey) -> InventedRecord:
    """Return the invented record for a live one: structure, flags and sex kept, the rest invented by the run's key.

    Errors: PayloadError where `json_payload` is not a JSON object with a `la_child_id`; nothing is made of such a row.
    """
    payload, previous = live.payload, live.previous
    walk = Walk(Child(key, payload.la_child_id, live.text()))
    now = walk.record(payload.data)
    # Rows that did not change are made once.
    if previous is payload:
        before: dict[str, Any] | None = now
    else:
        before = None if previous is None else walk.record(previous.data)
    return InventedRecord(
        person_id=walk.identifier(live.person_id),
        legacy_id=walk.identifier(live.legacy_id),
        payload=now,
        previous=before,
        row_state=_row_state(live, now, before),
        left_out=walk.left_out + live.is_previous_lost,
    )


def _row_state(live: LiveRecord, now: dict[str, Any], before: dict[str, Any] | None) -> str:
    if live.row_state == "deleted":
        return "deleted"
    if before is None:
        return "new"
    # As its hash, a text follows the order of its members, so that a row with two hashes is not unchanged.
    is_same = before is now or (before == now and orjson.dumps(before) == orjson.dumps(now))
    return "unchanged" if is_same else "updated"
