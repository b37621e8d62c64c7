"""Rows and acceptances made by hand, for tests that need no database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api_pipeline.model import Accepted, Receipt, Record, RecordKind, StagedRow
from api_pipeline.payloads.reading import sha256_hex

_UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
_AT = datetime(2026, 11, 27, 2, 0, 0)  # noqa: DTZ001 - the receiver gives no zone


def due_row(number: int, **changes: Any) -> StagedRow:
    """Return a new row that is due; `changes` are members of another value."""
    return StagedRow(number, f"P{number}", False, "pending", "{}", None, has_previous=False)._replace(**changes)


def accepted_row(number: int = 1, kind: RecordKind = RecordKind.FULL, *, at: datetime | None = _AT) -> Accepted:
    """Return the acceptance of a row with a payload of its own; its child has another id than its person."""
    row = due_row(number, is_deleted=kind is RecordKind.DELETION, json_payload=f'{{"n":{number}}}')
    record = Record(row, f"C{number}", kind, row.json_payload.encode(), sha256_hex(row.json_payload), row.json_payload)
    return Accepted(record, Receipt(_UUID, at), 201)
