"""Compare the rows of an answer with what is landed, by their hashes: what is new, changed, gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from api_pipeline.xporter.rows import RowReader
from api_pipeline.xporter.values import Row


@dataclass(frozen=True, slots=True)
class Difference:
    """What leads from the landed rows of one table, school and window to those of an answer.

    `seen` has the hash of every row by its key. `null_keys` and `duplicates` are rows that could not be kept.
    """

    seen: Mapping[str, str]
    added: frozenset[str]
    changed: frozenset[str]
    deleted: frozenset[str]
    null_keys: int
    duplicates: int

    @property
    def unchanged(self) -> int:
        """Return how many rows stay as they are."""
        return len(self.seen) - len(self.added) - len(self.changed)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is to be written."""
        return not (self.added or self.changed or self.deleted)

    def rows_to_write(self, rows: Iterable[Row], reader: RowReader) -> Iterator[tuple[str, str, Row, bool]]:
        """Return key, hash, row and whether it is new, for each row to be written; of two with one key the last."""
        pending = set(self.added | self.changed)
        for row in rows:
            if not pending:
                return
            key = reader.key(row)
            if key is None or key not in pending:
                continue
            sha = self.seen[key]
            if self.duplicates and reader.sha(row) != sha:
                continue
            pending.remove(key)
            yield key, sha, row, key in self.added


def compare(
    landed: Mapping[str, str], rows: Iterable[Row], reader: RowReader, kept: Mapping[str, str] | None = None
) -> Difference:
    """Return the difference between the landed hashes, by key, and an answer's rows.

    `kept` are the landed hashes of rows that stay without being named, as a change set leaves most; None: the answer is
    a full one.
    """
    found: dict[str, str] = {}
    null_keys = duplicates = 0
    key_of, sha_of = reader.key, reader.sha
    for row in rows:
        key = key_of(row)
        if key is None:
            null_keys += 1
            continue
        duplicates += key in found
        found[key] = sha_of(row)
    seen = {**kept, **found} if kept else found
    added = frozenset(key for key in found if key not in landed)
    changed = frozenset(key for key, sha in found.items() if landed.get(key, sha) != sha)
    deleted = frozenset(key for key in landed if key not in seen)
    return Difference(seen, added, changed, deleted, null_keys, duplicates)


_SHRUNK_ROWS = 50
_SHRUNK_SHARE = 0.2


def has_shrunk(difference: Difference, landed: int) -> bool:
    """Return whether an answer would delete so many rows of a school's table that it looks wrong (design 4.4)."""
    gone = len(difference.deleted)
    return gone > _SHRUNK_ROWS and gone > _SHRUNK_SHARE * landed
