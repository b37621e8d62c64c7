"""When two payloads mean the same, and how a payload is written (mapping 9, 10). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from api_pipeline.payloads.content import without_nulls

# Ids that case-management systems renumber without a change; a care worker's is not one of them.
VOLATILE: frozenset[str] = frozenset(
    {
        "la_child_id",
        "mis_child_id",
        "social_care_episode_id",
        "child_and_family_assessment_id",
        "child_in_need_plan_id",
        "section_47_assessment_id",
        "child_protection_plan_id",
        "child_looked_after_placement_id",
    }
)
_LEFT_OUT = VOLATILE | {"purge"}
# Most members: they mean what they are.
_PLAIN = frozenset({str, bool, int, float, type(None)})


def meaning_hash(payload: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of what a payload says: without record and block ids and purge flags, arrays in any order."""
    return sha256(orjson.dumps(_meaning(payload), option=orjson.OPT_SORT_KEYS)).digest()


def meaning_of(text: str) -> bytes | None:
    """Return the hash of what a stored payload means; None where it is not a JSON object."""
    payload = parsed(text)
    return None if payload is None else meaning_hash(without_nulls(payload))


def parsed(text: str) -> dict[str, Any] | None:
    """Return a stored payload, None where it is not a JSON object."""
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict) else None


def payload_text(payload: Mapping[str, Any]) -> str:
    """Return a payload as it is staged: compact JSON with its members in the order they have, letters unescaped."""
    return orjson.dumps(payload).decode()


def _meaning(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: item if type(item) in _PLAIN else _meaning(item)
            for name, item in value.items()
            if name not in _LEFT_OUT
        }
    if isinstance(value, list):
        texts = [
            orjson.dumps(item if type(item) in _PLAIN else _meaning(item), option=orjson.OPT_SORT_KEYS)
            for item in value
        ]
        texts.sort()
        return orjson.Fragment(b"[" + b",".join(texts) + b"]")
    return value
