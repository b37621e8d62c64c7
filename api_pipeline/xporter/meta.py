"""The `meta` of an answer: as of when its data were read from the school. Its members are not published. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from api_pipeline.common.null_characters import without_null_characters
from api_pipeline.xporter.consent import read_time


def meta_text(meta: Any) -> str | None:
    """Return it as the text that is kept with the state."""
    try:
        return None if meta is None else without_null_characters(orjson.dumps(meta).decode())
    except orjson.JSONEncodeError:
        # Nested deeper than the writer goes; nothing rests on it.
        return None


def as_of(meta: Any) -> str | None:
    """Return the oldest time that an answer's meta names, as when its data were read from the school."""
    rows = meta if isinstance(meta, list) else [meta]
    times = [
        moment for row in rows if isinstance(row, Mapping) for value in row.values() if (moment := read_time(value))
    ]
    return min(times).isoformat(sep=" ", timespec="seconds") if times else None
