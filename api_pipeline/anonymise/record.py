"""One live record in, one invented record of the same structure out. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeAlias

import orjson

from api_pipeline.anonymise.child import Child
from api_pipeline.anonymise.keyed import RunKey
from api_pipeline.anonymise.walk import Walk
from api_pipeline.payloads.reading import Payload, PayloadError, parse_payload


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
        """Return the SHA-256 of the payload's text, 32 bytes."""
        return sha256(self.json_payload.encode("utf-8")).digest()

    @property
    def previous_hash(self) -> bytes | None:
        """Return the SHA-256 of the previous payload's text, None where there is none."""
        previous = self.previous_json_payload
        return None if previous is None else sha256(previous.encode("utf-8")).digest()


Anonymise: TypeAlias = "Callable[[LiveRecord, RunKey], InventedRecord]"


def anonymise(live: LiveRecord, key: RunKey) -> InventedRecord:
    """Return the invented record for a live one: structure, flags and sex kept, the rest invented by the run's key.

    Errors: PayloadError where `json_payload` is not a JSON object with a `la_child_id`; nothing is made of such a row.
    """
    payload = read_payload(live.json_payload)
    previous = previous_data(live)
    original = "\n".join(
        text
        for text in (live.person_id, live.legacy_id, live.json_payload, live.previous_json_payload)
        if text is not None
    )
    walk = Walk(Child(key, payload.la_child_id, original))
    now = orjson.dumps(walk.record(payload.data)).decode()
    # One text is read once, so that the rows that did not change are made once.
    if previous is payload.data:
        before: str | None = now
    else:
        before = None if previous is None else orjson.dumps(walk.record(previous)).decode()
    is_previous_lost = previous is None and bool((live.previous_json_payload or "").strip())
    return InventedRecord(
        person_id=walk.identifier(live.person_id),
        legacy_id=walk.identifier(live.legacy_id),
        json_payload=now,
        previous_json_payload=before,
        row_state=_row_state(live, now, before),
        left_out=walk.left_out + is_previous_lost,
    )


@lru_cache(maxsize=2)
def read_payload(text: str) -> Payload:
    """Return a payload; those of one row are read for its copy and for the comparison. Errors: PayloadError."""
    return parse_payload(text)


def previous_data(live: LiveRecord) -> dict[str, Any] | None:
    """Return the previous payload of a row, None where there is none or it cannot be read."""
    if not (live.previous_json_payload or "").strip():
        return None
    try:
        return read_payload(str(live.previous_json_payload)).data
    except PayloadError:
        return None


def _row_state(live: LiveRecord, now: str, before: str | None) -> str:
    if live.row_state == "deleted":
        return "deleted"
    if before is None:
        return "new"
    return "unchanged" if before == now else "updated"
