"""A model of the receiver and a maker of payloads, both straight from the schema, for the law of what is sent.

Nothing here is shared with the code under test or with the embedded receiver.
"""

from __future__ import annotations

import copy
import json
import random
from importlib.resources import files
from typing import Any

Json = dict[str, Any]
SCHEMA: Json = json.loads((files("api_pipeline") / "data" / "csc_payload.schema.json").read_text(encoding="utf-8"))


def node_of(node: Json) -> Json:
    return SCHEMA["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node


def key_of(node: Json) -> str | None:
    items = node.get("items", {})
    return items["required"][0] if items.get("type") == "object" and len(items.get("required", [])) == 1 else None


def apply(held: Json | None, record: Json, node: Json = SCHEMA) -> Json | None:
    """Merge a record into what is held, member by member; None where nothing is held afterwards."""
    if record.get("purge") is True:
        return None
    after = dict(held or {})
    for name, value in record.items():
        if name == "purge":
            continue
        member = node["properties"].get(name, {})
        if member.get("type") == "object":
            merged = apply(after.get(name), value, member)
            after.pop(name, None)
            if merged is not None:
                after[name] = merged
        elif key_of(member):
            after[name] = apply_items(after.get(name), value, member)
        else:
            after[name] = value
    return after


def apply_items(held: list[Any] | None, items: list[Json], node: Json) -> list[Any]:
    key = key_of(node)
    if held is None:
        return [merged for item in items if (merged := apply(None, item, node["items"])) is not None]
    after = list(held)
    for item in items:
        place = next(
            (place for place, known in enumerate(after) if known.get(str(key)) == item.get(str(key))), len(after)
        )
        merged = apply(after[place] if place < len(after) else None, item, node["items"])
        after[place : place + 1] = [] if merged is None else [merged]
    return after


def content(value: Json | None, node: Json = SCHEMA) -> Json:
    """Return what a payload says in one form: no nulls, purge flags or empty keyed arrays; keyed items in order."""
    result: Json = {}
    for name, item in (value or {}).items():
        member = node["properties"].get(name, {})
        if item is None or name == "purge":
            continue
        if member.get("type") == "object":
            if item.get("purge") is not True:
                result[name] = content(item, member)
        elif key_of(member):
            items = [content(part, member["items"]) for part in item if part.get("purge") is not True]
            if items:
                result[name] = sorted(items, key=lambda part: json.dumps(part, sort_keys=True))
        else:
            result[name] = without_nulls(item)
    if node is SCHEMA:
        result.pop("la_child_id", None)
    return result


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


class Maker:
    """Makes payloads and next versions of them from a seed. `doubtful` lets ids repeat or be missing."""

    def __init__(self, seed: int, *, doubtful: bool) -> None:
        self.rng = random.Random(seed)
        self.doubtful = doubtful

    def payload(self) -> Json:
        return {**self.object(SCHEMA), "la_child_id": "C1"}

    def object(self, node: Json, key: str | None = None) -> Json:
        made: Json = {}
        for name, member in node["properties"].items():
            if name == "purge":
                if self.rng.random() < 0.5:
                    made[name] = False
            elif name == key:
                made[name] = self.rng.choice("abcd")
            elif self.rng.random() < 0.55:
                made[name] = self.value(node_of(member))
        if key and self.doubtful and self.rng.random() < 0.03:
            made.pop(key, None)
        return made

    def value(self, node: Json) -> Any:
        kind = node.get("type")
        if kind == "object":
            return self.object(node)
        if kind == "array":
            return self.array(node)
        if self.rng.random() < 0.03:
            return None
        if kind == "boolean":
            return self.rng.random() < 0.5
        if kind == "integer":
            return self.rng.randrange(3)
        return self.rng.choice(["2024-01-01", "2025-02-02"] if node.get("format") == "date" else ["A", "B", "Ż'\""])

    def array(self, node: Json) -> list[Any]:
        key = key_of(node)
        if key is None:
            return [self.value(node_of(node["items"])) for _ in range(self.rng.randrange(3))]
        items = [self.object(node["items"], key) for _ in range(self.rng.choice([0, 1, 1, 2, 3]))]
        if self.doubtful and self.rng.random() < 0.15:
            return items
        seen: dict[Any, Json] = {item.get(key, "e"): {**item, key: item.get(key, "e")} for item in items}
        return list(seen.values())

    def next_version(self, payload: Json) -> Json:
        """Return a version in which little or much changed, vanished, came or was put in another order."""
        if self.rng.random() < 0.15:
            return self.payload()
        return {**self.mutated(copy.deepcopy(payload), SCHEMA, self.rng.choice([0.0, 0.03, 0.1])), "la_child_id": "C1"}

    def mutated(self, value: Json, node: Json, share: float) -> Json:
        for name, reference in node["properties"].items():
            member = node_of(reference)
            chance = self.rng.random()
            if name == "purge" or name in node.get("required", ()):
                continue
            if name not in value:
                if chance < share:
                    value[name] = self.value(member)
            elif chance < share:
                del value[name]
            elif member.get("type") == "object":
                value[name] = self.mutated(value[name], member, share)
            elif key_of(member):
                value[name] = self.mutated_items(value[name], member, share)
            elif chance < 2 * share:
                value[name] = self.value(member)
        return value

    def mutated_items(self, items: list[Json], node: Json, share: float) -> list[Json]:
        kept = [self.mutated(item, node["items"], share) for item in items if self.rng.random() > share]
        if self.rng.random() < share:
            key = str(key_of(node))
            known = {item.get(key) for item in kept}
            kept += [item for item in self.array(node) if item.get(key) not in known]
        self.rng.shuffle(kept)
        return kept
