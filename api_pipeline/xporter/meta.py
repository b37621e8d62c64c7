"""The `meta` of an answer: as of when its data were read from the school. Its members are not published. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from api_pipeline.xporter.consent import read_time


def meta_text(meta: Any) -> str | None:
    """Return it as the text that is kept with the state."""
    return None if meta is None else orjson.dumps(meta).decode().replace("\x00", "")


def as_of(meta: Any) -> str | None:
    """Return the oldest time that an answer's meta names, as when its data were read from the school."""
    rows = meta if isinstance(meta, list) else [meta]
    times = [
        moment for row in rows if isinstance(row, Mapping) for value in row.values() if (moment := read_time(value))
    ]
    return min(times).isoformat(sep=" ", timespec="seconds") if times else None
