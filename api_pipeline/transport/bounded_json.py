"""Read the JSON of an answer, unless it would take far more memory than the answer itself. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from api_pipeline.transport.body import without_mark

# An answer of 8 MiB can hold millions of empty lists, which take twenty times its size. So many values are more than
# any answer here has use for: 30,000 results of a validation, or 100,000 refused records.
MOST_VALUES = 400_000


class TooManyValues(ValueError):
    """The JSON has more values than the program is willing to read."""


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text, with or without a byte order mark. Errors: ValueError for what is not read."""
    # Each value but the first stands behind one of these; those within texts count as well, which does no harm.
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES:
        raise TooManyValues
    return orjson.loads(without_mark(body))
