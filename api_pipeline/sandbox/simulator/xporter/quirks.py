"""What may be odd about an answer of the simulated School Data API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Quirk:
    """Something odd about the next `times` data answers (None: all) of a school ("" any) and endpoint ("" any).

    Kinds: error_body, not_ready, html, cut, missing_table, empty_table, null_key, duplicate_key, extra_column,
    number_to_text, shrunk, unavailable, scope, token_refused, moved_between_pages, same_page (whichever is asked
    for), broken_gzip, wrapped. Endpoint `write` applies to what is written back; write_lost: taken, and never seen in
    the school.
    """

    kind: str
    estab: str = ""
    endpoint: str = ""
    times: int | None = 1


def spoilt(kind: str, tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of an answer with something odd about the first of them that has rows."""
    name = next((name for name, rows in tables.items() if rows), None)
    if name is None:
        return tables
    rows = [dict(row) for row in tables[name]]
    key = "Id" if "Id" in rows[0] else next(iter(rows[0]))
    match kind:
        case "missing_table":
            return {other: table for other, table in tables.items() if other != name}
        case "empty_table":
            rows = []
        case "null_key":
            rows.append({**rows[0], key: None})
        case "duplicate_key":
            rows.insert(0, {**rows[0], next(reversed(rows[0])): "an older value"})
        case "extra_column":
            rows = [{**row, "BrandNew": f"new {number}"} for number, row in enumerate(rows)]
        case "number_to_text":
            rows = [
                {member: str(value) if type(value) is int else value for member, value in row.items()} for row in rows
            ]
        case "shrunk":
            rows = rows[: len(rows) // 3]
    return {**tables, name: rows}
