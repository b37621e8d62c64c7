"""What tells whether the pages of one round belong together, and are whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import orjson

from api_pipeline.xporter.wire.answer import Answer, Page

# In so few rows the same overlap may come twice by chance, where a server orders them anew for each request.
_FEW_ROWS = 16


@dataclass(frozen=True, slots=True)
class RowsInAll:
    """The rows of one round. `total` is the sum of their digests: equal for the same rows, in whatever order."""

    has_repeats: bool
    total: int
    rows: int


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
    return RowsInAll(has_repeats, total, sum(lengths(answer)))


def has_its_rows(answer: Answer, page: Page) -> bool:
    """Return whether an answer of one page holds the rows that it counts: those of a table, or of all together.

    What a change set counts is not published.
    """
    counts = lengths(answer)
    return answer.previous_hash is not None or _are_counted(page, counts, sum(counts), *counts)


def _are_counted(page: Page, found: Sequence[int], *in_one: int) -> bool:
    """Return whether a page counts tables of these lengths: each of them, or with one count that is among `in_one`."""
    if len(page.table_rows) == len(found) > 0:
        return page.table_rows == tuple(sorted(found))
    return page.rows in (None, *in_one)


class Rounds:
    """Tells which round of pages is whole, given those before it; there are at most `most`."""

    def __init__(self, most: int) -> None:
        self._most, self._moved, self._repeated = most, 0, 0
        self._before: RowsInAll | None = None

    def is_whole(self, joined: Answer, *, may_have_moved: bool) -> bool:
        """Return whether nothing in a round is in doubt, or the one before had the same rows; of few rows, those two.

        A row that stands there twice may be in the place of another: the order of rows is not promised, so that pages
        may overlap. It is the school's own where it comes again.
        """
        found = rows_in_all(joined)
        # What stands in `meta` is not published: where it is another in every round, it says nothing.
        self._moved += may_have_moved
        is_doubtful = found.has_repeats or (may_have_moved and self._moved < self._most)
        self._repeated = self._repeated + 1 if found == self._before else 0
        self._before = found
        return not is_doubtful or self._repeated >= (2 if found.has_repeats and found.rows <= _FEW_ROWS else 1)


class Joining:
    """The pages of one round, joined as they come.

    `may_have_moved` is whether the school's data were read anew between two of them, as far as their `meta` tells;
    `ends_empty` is whether the last is empty, as one behind all of them is.
    """

    def __init__(self, first: Answer, page: Page) -> None:
        self.may_have_moved = False
        self.ends_empty = page.count <= 1 and _is_empty(first)
        self._first, self._page, self._received = first, page, first.received_bytes
        self._tables = {name: list(rows) for name, rows in first.tables.items()}
        self._deleted = {name: list(rows) for name, rows in first.deleted.items()}

    def add(self, answer: Answer, step: int) -> bool:
        """Add the page that is `step` pages behind the first; return whether it belongs to the same round."""
        first = self._first
        snapshot = (answer.next_hash, answer.previous_hash)
        if not follows(answer.page, self._page, step) or snapshot != (first.next_hash, first.previous_hash):
            return False
        is_empty = _is_empty(answer)
        self.ends_empty = is_empty and step == self._page.count - 1
        if self._page.rows is None and is_empty:
            # Without a count of rows, a page behind the last is all that tells of one that was passed over.
            return False
        # Pages that name their snapshot need no other proof. What stands in `meta` is not published: it may be another
        # for each answer.
        self.may_have_moved |= first.next_hash is None and answer.meta != first.meta
        self._received += answer.received_bytes
        _extend(self._tables, answer.tables)
        _extend(self._deleted, answer.deleted)
        return True

    def whole(self) -> Answer | None:
        """Return the answer of all pages; None where it has not the rows that they count."""
        counts = [len(rows) for rows in self._tables.values()]
        # One count for several tables may be that of the longest, or of all of them.
        if not _are_counted(self._page, counts, max(counts, default=0), sum(counts)):
            return None
        return replace(self._first, tables=self._tables, deleted=self._deleted, received_bytes=self._received)


def _is_empty(answer: Answer) -> bool:
    return not any(answer.tables.values()) and not any(answer.deleted.values())


def _extend(joined: dict[str, list[Mapping[str, Any]]], tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
    for name, rows in tables.items():
        joined.setdefault(name, []).extend(rows)


def follows(page: Page | None, first: Page, step: int) -> bool:
    """Return whether an answer stands `step` pages behind the `first` of its round, and is not the same page again."""
    if page is None or (page.count, page.rows, page.table_rows) != (first.count, first.rows, first.table_rows):
        return False
    return page.number is None or first.number is None or page.number - first.number == step
