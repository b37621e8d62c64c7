"""Put rows together for one request: of one school, one kind and one date. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from api_pipeline.xporter.write_back.rows import Kind, OutboxRow, Part


def superseded(rows: Iterable[OutboxRow]) -> dict[int, int]:
    """Return the rows, by id, of which later rows say everything anew, each with the latest of these."""
    said: dict[tuple[str, ...], dict[Part, int]] = {}
    replaced: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: row.id, reverse=True):
        if row.place is None:
            continue
        later = said.setdefault(row.place, {})
        if row.parts <= later.keys():
            replaced[row.id] = max(later[part] for part in row.parts)
        for part in row.parts:
            later.setdefault(part, row.id)
    return replaced


def with_overtaken(rows: Iterable[OutboxRow], sent: Iterable[OutboxRow]) -> list[OutboxRow]:
    """Return rows with the parts that later rows, among those that were `sent`, say something of."""
    by_place: dict[tuple[str, ...] | None, list[OutboxRow]] = {}
    for row in sent:
        by_place.setdefault(row.place, []).append(row)
    found = []
    for row in rows:
        later = [one.parts for one in by_place.get(row.place, ()) if one.id > row.id and row.update_id is not None]
        found.append(replace(row, overtaken=row.parts.intersection(frozenset().union(*later))))
    return found


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
    body: dict[str, Any]
    match rows[0].kind:
        case Kind.CONDUCT:
            body = _records(rows, "Conduct", ("Participants", "Staff", "MediaFiles"))
        case Kind.DETENTION:
            body = _records(rows, "Detention", ("DetentionStudents", "DetentionStaff"))
        case Kind.ATTENDANCE | Kind.LESSON:
            body = {"Marks": [_mark(row) for row in rows]}
    if callback_url:
        body["Callback"] = {"Method": "POST", "Url": callback_url}
    return orjson.dumps(body)


def _mark(row: OutboxRow) -> dict[str, Any]:
    kind = "L" if row.kind is Kind.LESSON else "S"
    return {**row.body, "StudentId": str(row.body["StudentId"]), "MarkType": kind}


def _records(rows: Sequence[OutboxRow], head: str, lists: Iterable[str]) -> dict[str, Any]:
    """Return the arrays of incidents or detentions; the row's own id names its record in the answer."""
    bodies = [(row.id, row.body_to_send) for row in rows]
    body = {f"{head}s": [{"Id": row_id, **one[head]} for row_id, one in bodies]}
    for name in lists:
        body[name] = [{f"{head}Id": row_id, **entry} for row_id, one in bodies for entry in one.get(name) or ()]
    if "MediaFiles" in body:
        body["MediaFiles"] = [{"Id": number, **entry} for number, entry in enumerate(body["MediaFiles"], start=1)]
    return {name: entries for name, entries in body.items() if entries}
