"""What tells whether the pages of one round belong together, and are whole. Pure."""

from __future__ import annotations

from collections.abc import Sized
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

import orjson

from api_pipeline.xporter.wire.answer import Answer, Page


@dataclass(frozen=True, slots=True)
class RowsInAll:
    """The rows of one round. `total` is the sum of their digests: equal for the same rows, in whatever order."""

    has_repeats: bool
    total: int


def lengths(answer: Answer) -> list[int]:
    """Return how many rows each table of an answer has."""
    return [len(rows) if isinstance(rows, Sized) else sum(1 for _ in rows) for rows in answer.tables.values()]


def rows_in_all(answer: Answer) -> RowsInAll:
    """Return what tells whether the rows of a round repeat, and whether they are those of another round."""
    seen: set[bytes] = set()
    total, has_repeats = 0, False
    for name, rows in answer.tables.items():
        for row in rows:
            # One that is nested too deeply to be written is refused later.
            with suppress(orjson.JSONEncodeError):
                digest = sha256(name.encode() + orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).digest()
                has_repeats = has_repeats or digest in seen
                seen.add(digest)
                total += int.from_bytes(digest, "big")
    return RowsInAll(has_repeats, total)


def has_its_rows(answer: Answer, page: Page) -> bool:
    """Return whether an answer of one page holds the rows that it counts: those of a table, or of all together.

    What a change set counts is not published.
    """
    counts = lengths(answer)
    return page.rows in (None, sum(counts), *counts) or answer.previous_hash is not None


def follows(page: Page | None, first: Page, step: int) -> bool:
    """Return whether an answer stands `step` pages behind the `first` of its round, and is not the same page again."""
    if page is None or (page.count, page.rows) != (first.count, first.rows):
        return False
    return page.number is None or first.number is None or page.number - first.number == step
