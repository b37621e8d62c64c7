"""The change sets of the simulated API: snapshots of what an answer held, and what changed since one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Tables = dict[str, list[dict[str, Any]]]
_Snapshot = dict[str, dict[str, bytes]]


@dataclass(slots=True)
class Snapshots:
    """What was answered, by school, endpoint and parameters, and by the hash that names it."""

    kept: dict[tuple[str, str, str], dict[str, _Snapshot]] = field(default_factory=dict)

    def forget(self) -> None:
        """Forget every snapshot, as the API may at any time."""
        self.kept.clear()

    def answer(
        self, key: tuple[str, str, str], tables: Tables, asked: str, unknown: str
    ) -> tuple[Tables, dict[str, Any]] | None:
        """Return the tables of an answer since the snapshot `asked`, and its frame; None for an error.

        `unknown` says what a hash that is not kept gets: error, full, or lie (a full set that claims to build on it).
        """
        taken = {name: {str(row.get("Id")): orjson.dumps(row) for row in rows} for name, rows in tables.items()}
        name = hashlib.md5(orjson.dumps(tables), usedforsecurity=False).hexdigest()
        before = self.kept.get(key, {}).get(asked)
        if before is None and asked != "*" and unknown == "error":
            return None
        self.kept.setdefault(key, {})[name] = taken
        builds_on = asked if before is not None or (asked != "*" and unknown == "lie") else None
        frame = {"PreviousChangedRows": builds_on, "RequestedChangedRows": asked, "NextChangedRows": name}
        if before is None:
            return {**tables, **{f"{table}_deleted": [] for table in tables}}, frame
        return _changed(tables, taken, before), frame


def _changed(tables: Tables, taken: _Snapshot, before: _Snapshot) -> Tables:
    found: Tables = {}
    for table, rows in tables.items():
        known: Mapping[str, bytes] = before.get(table, {})
        found[table] = [row for row in rows if known.get(str(row.get("Id"))) != taken[table][str(row.get("Id"))]]
        found[f"{table}_deleted"] = [{"Id": key} for key in known if key not in taken[table]]
    return found
