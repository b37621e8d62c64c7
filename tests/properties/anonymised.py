"""Payloads made from the schema, by nothing of the code under test, for the laws of the anonymised copy."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from api_pipeline.anonymise.keyed import RunKey
from api_pipeline.anonymise.record import InventedRecord, LiveRecord
from tests.properties.model import SCHEMA, Json, node_of
from tests.support.effort import examples

# No invented identifier holds 0 or X.
MARK = "ZZ0X"


TODAY = date(2026, 11, 21)


Path = tuple[str | int, ...]


many = settings(max_examples=examples(25, 300), deadline=None, suppress_health_check=list(HealthCheck))


seeds = st.integers(0, 2**32)


def key_of(seed: int) -> RunKey:
    """Return a key that follows from the seed, so that a broken law can be looked at again."""
    return RunKey(seed.to_bytes(32, "big"))


class Maker:
    """Makes payloads that the schema takes, however odd; `broken` also ones that it does not."""

    def __init__(self, seed: int, *, broken: bool = False, listed: bool = False) -> None:
        self.rng = random.Random(seed)
        self.broken = broken
        self.listed = listed

    def record(self) -> LiveRecord:
        now = {**self.value("", SCHEMA), "la_child_id": f"{MARK}{self.rng.randrange(99)}"}
        before = self.changed(copy.deepcopy(now), SCHEMA) if self.rng.random() < 0.7 else None
        return LiveRecord(
            id=1,
            person_id=self.rng.choice([now["la_child_id"], None, f"{MARK}other"]),
            legacy_id=self.rng.choice([f"{MARK}-legacy", None]),
            json_payload=json.dumps(now),
            previous_json_payload=None if before is None else json.dumps(before),
            row_state=self.rng.choice(["new", "updated", "deleted", ""]),
        )

    def value(self, name: str, reference: Json) -> Any:
        node = node_of(reference)
        if self.broken and name and self.rng.random() < 0.06:
            return self.nonsense()
        match node.get("type"):
            case "object":
                return self.members(node)
            case "array":
                return self.items(name, node)
            case "boolean":
                return self.rng.random() < 0.5
            case "integer":
                return self.rng.choice([self.rng.randrange(41), self.rng.randrange(41), 41, -5, 31415926, 5.0])
            case _:
                return self.text(name, reference, node)

    def members(self, node: Json) -> Json:
        wanted = node.get("required", ())
        made = {
            name: self.value(name, member)
            for name, member in node["properties"].items()
            if name in wanted or self.rng.random() < 0.6
        }
        if self.broken and self.rng.random() < 0.1:
            made[f"{MARK} of Quillfeather"] = self.nonsense()
        return made

    def items(self, name: str, node: Json) -> list[Any]:
        counts = (0, 1, 3, 12) if "maxItems" in node else (0, 1, 1, 2, 2, 3)
        made = [self.value(name, node["items"]) for _ in range(self.rng.choice(counts))]
        return made if self.broken or "maxItems" not in node else list(dict.fromkeys(made))

    def text(self, name: str, reference: Json, node: Json) -> str:
        if node.get("format") == "date":
            return self.day()
        if "x-codes" in reference:
            codes = SCHEMA["$defs"][reference["x-codes"].rsplit("/", 1)[-1]]["enum"]
            odd = ["x", "q"] if reference["maxLength"] < 3 else ["x", "q", "qx7"]
            return str(self.rng.choice(codes if self.listed or self.rng.random() < 0.8 else odd))
        if self.rng.random() < 0.05 and "minLength" not in node and name != "la_child_id":
            return ""
        length = node.get("minLength") or min(node.get("maxLength", 14), 14)
        return f"{MARK}{self.rng.randrange(10**12):012d}"[:length] if length > 8 else f"{MARK}{self.rng.randrange(99)}"

    def day(self) -> str:
        if self.rng.random() < 0.02:
            return self.rng.choice(["9999-12-31", "1900-02-28", "2024-02-29", "0002-01-01"])
        return (TODAY - timedelta(days=self.rng.randrange(-200, 6000))).isoformat()

    def nonsense(self) -> Any:
        name = f"{MARK} Quillfeather"
        return self.rng.choice([name, 31415926, 2.5, None, True, [name], [], {}, {name: name}, [[name]], [{}, name, 7]])

    def changed(self, payload: Json, node: Json) -> Json:
        for name, member in node["properties"].items():
            if name == "la_child_id":
                continue
            if self.rng.random() < 0.2:
                payload.pop(name, None)
            elif isinstance(payload.get(name), dict) and node_of(member).get("type") == "object":
                payload[name] = self.changed(payload[name], node_of(member))
            elif self.rng.random() < 0.2:
                payload[name] = self.value(name, member)
        return payload


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if parts is None:
        yield path, value
    else:
        for step, part in parts:
            yield from leaves(part, (*path, step))


def payloads(live: LiveRecord | InventedRecord) -> list[Json]:
    texts = (live.json_payload, live.previous_json_payload)
    return [json.loads(text) for text in texts if text is not None]


def node_at(path: Path) -> tuple[Json, Json]:
    """Return a member of the schema as it is written and as it is meant."""
    reference: Json = SCHEMA
    for step in path:
        node = node_of(reference)
        reference = node["items"] if isinstance(step, int) else node["properties"][step]
    return reference, node_of(reference)


def dates(payload: Json) -> list[date]:
    return [date.fromisoformat(value) for path, value in leaves(payload) if node_at(path)[1].get("format") == "date"]
