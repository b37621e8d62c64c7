"""Put rows together for one request: of one school, one kind and one date. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from api_pipeline.xporter.write_back.rows import Kind, OutboxRow


def superseded(rows: Iterable[OutboxRow]) -> dict[int, int]:
    """Return the rows, by id, that a later row of the same pupil, day and session replaces, each with the later one."""
    newest: dict[tuple[str, ...], int] = {}
    replaced: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: row.id):
        slot = row.slot
        if slot is None:
            continue
        if slot in newest:
            replaced[newest[slot]] = row.id
        newest[slot] = row.id
    return replaced


def batches(rows: Iterable[OutboxRow], size: int) -> list[list[OutboxRow]]:
    """Return rows in batches of at most `size`, in the order of their ids; lesson marks travel apart from sessions."""
    groups: dict[tuple[str, str, str, int], list[OutboxRow]] = {}
    changes: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: row.id):
        # The API takes both incident types in one request, but reads them in two places.
        part = row.body["Conduct"]["IncidentType"] if row.kind is Kind.CONDUCT else ""
        turn = 0
        if row.update_id is not None:
            # One request may name a record once, and changes travel apart from new records.
            changes[row.update_id] += 1
            turn = changes[row.update_id]
        groups.setdefault((row.kind.value, row.day, part, turn), []).append(row)
    return [group[first : first + size] for group in groups.values() for first in range(0, len(group), size)]


def request_body(rows: Sequence[OutboxRow], callback_url: str) -> bytes:
    """Return the body of the request that writes rows of one kind."""
    match rows[0].kind:
        case Kind.CONDUCT:
            body = _conducts(rows)
        case Kind.DETENTION:
            body = _detentions(rows)
        case Kind.ATTENDANCE | Kind.LESSON:
            body = {"Marks": [_mark(row) for row in rows]}
    if callback_url:
        body["Callback"] = {"Method": "POST", "Url": callback_url}
    return orjson.dumps(body)


def _mark(row: OutboxRow) -> dict[str, Any]:
    kind = "L" if row.kind is Kind.LESSON else "S"
    return {**row.body, "StudentId": str(row.body["StudentId"]), "MarkType": kind}


def _detentions(rows: Sequence[OutboxRow]) -> dict[str, Any]:
    body: dict[str, list[dict[str, Any]]] = {"Detentions": [], "DetentionStudents": [], "DetentionStaff": []}
    for row in rows:
        body["Detentions"].append({"Id": row.id, **row.body["Detention"]})
        for name in ("DetentionStudents", "DetentionStaff"):
            body[name].extend({"DetentionId": row.id, **entry} for entry in row.body.get(name) or ())
    return {name: entries for name, entries in body.items() if entries}


def _conducts(rows: Sequence[OutboxRow]) -> dict[str, Any]:
    """Return the four arrays; the row's own id names its incident in the answer."""
    body: dict[str, list[dict[str, Any]]] = {"Conducts": [], "Participants": [], "Staff": [], "MediaFiles": []}
    for row in rows:
        body["Conducts"].append({"Id": row.id, **row.body["Conduct"]})
        for name in ("Participants", "Staff"):
            body[name].extend({"ConductId": row.id, **entry} for entry in row.body.get(name) or ())
        for number, entry in enumerate(row.body.get("MediaFiles") or (), start=len(body["MediaFiles"]) + 1):
            body["MediaFiles"].append({"Id": number, "ConductId": row.id, **entry})
    return {name: entries for name, entries in body.items() if entries}
