"""What a row of the staging table says: its status words, and whether it is due. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from api_pipeline.api_response import last_receipt, was_up_to_date
from api_pipeline.db import Row
from api_pipeline.model import Baseline, StagedRow

DUE_STATUSES = frozenset({"pending", "error", "testing"})
_DELETED = "deleted"
UNREADABLE = object()
"""Stands for a value that the driver cannot decode."""

# What a row is read as, in the order of `staged_rows`.
_HAS_PREVIOUS = "CASE WHEN previous_hash IS NULL AND previous_json_payload IS NULL THEN 0 ELSE 1 END"
ROW = (
    *("id", "person_id", "row_state", "submission_status", "json_payload", "current_hash"),
    *(_HAS_PREVIOUS, "api_response"),
)
# What a row is read as again before its outcome is written, in the order of `rows_now`.
VERSION = (
    *("id", "person_id", "row_state", "submission_status", "current_hash"),
    "CASE WHEN current_hash IS NULL THEN json_payload END",
)
# Without these a row cannot be sent or written back.
_NEEDED_TEXT = {"person_id": 1, "json_payload": 4, "current_hash": 5}
_BLANKS = r"[\s\x00\u200b-\u200d\u2060\ufeff]+"
_OUTER_BLANKS = re.compile(rf"^{_BLANKS}|{_BLANKS}$")


class Selection(NamedTuple):
    """Which rows of the table a run works on.

    `every_row` reads all rows with a payload instead of the due ones, `person_id` one person's, `shard` (I, N) the
    people of the I-th of N shares. `odd_statuses` and `odd_states` are words as they are stored that mean a due status
    or `deleted`, with blanks around them that SQL does not strip.
    """

    every_row: bool = False
    person_id: str | None = None
    shard: tuple[int, int] | None = None
    odd_statuses: tuple[str, ...] = ()
    odd_states: tuple[str, ...] = ()

    def is_ours(self, row_id: int, person_id: str) -> bool:
        """Return whether a row belongs to this run's shard: by its person, or by its id where it has no person."""
        if self.shard is None:
            return True
        key = word(person_id) or str(row_id)
        number = int.from_bytes(sha256(key.encode("utf-8", "replace")).digest()[:4], "big")
        return number % self.shard[1] == self.shard[0] - 1


class RowNow(NamedTuple):
    """A row as it stands when its outcome is written. `version` is its hash, or its payload where it has no hash."""

    is_deleted: bool
    submission_status: str
    version: object

    def is_still(self, row: StagedRow) -> bool:
        """Return whether the row is as the run read it; a child who left or rejoined the cohort changes it as well."""
        if self is GONE:
            return False
        read: object = row.current_hash
        if read is None:
            read = UNREADABLE if row.unreadable else row.json_payload
        return self.version == read and self.is_deleted == row.is_deleted


RowsNow: TypeAlias = "Mapping[tuple[int, str], RowNow]"
"""Rows as they stand now, by id and person: nothing is written to an id that is another person's by now."""
# A row that is not in the table any more.
GONE = RowNow(is_deleted=False, submission_status="", version=None)


def rows_now(rows: Iterable[Row]) -> RowsNow:
    """Return rows that were read as the columns of `VERSION`."""
    found = {}
    for row_id, person, state, status, hash_, text in rows:
        version = text if hash_ is None else hash_ if hash_ is UNREADABLE else as_version(hash_)
        found[int(row_id), as_text(person)] = RowNow(word(state) == _DELETED, word(status), version)
    return found


def may_be_due(row: StagedRow) -> bool:
    """Return whether the row's own words make it due. For a deleted row the baseline decides as well (see `is_due`)."""
    return row.submission_status in DUE_STATUSES or row.is_deleted


def is_due(row: StagedRow, baseline: Baseline) -> bool:
    """Return whether a row with a payload is due (contract 3), given what the receiver holds of its child.

    A deleted row is due while the receiver holds the child, or may hold it because an answer was never learnt.
    """
    if not row.is_deleted:
        return row.submission_status in DUE_STATUSES
    return not baseline.is_empty or row.has_previous


def was_sent(row: StagedRow) -> bool:
    """Return whether the row is or was `sent`, so that its previous payload is what was sent (contract 3)."""
    answer = row.api_response
    return row.submission_status == "sent" or last_receipt(answer) is not None or was_up_to_date(answer)


def word(value: object) -> str:
    """Return a status word as it is compared: without any kind of blank around it, in lower case, "" for null."""
    return _word(value if isinstance(value, str) else as_text(value))


@lru_cache(maxsize=256)
def _word(text: str) -> str:
    return _OUTER_BLANKS.sub("", text).lower()


def as_text(value: object) -> str:
    """Return a value as text; null, and a value that cannot be read, become ""."""
    if isinstance(value, str):
        return value
    return "" if value is None or value is UNREADABLE else str(value)


def staged_rows(rows: Iterable[Row]) -> list[StagedRow]:
    """Return rows that were read as the columns of `ROW`."""
    return [_staged_row(row) for row in rows]


def _staged_row(row: Row) -> StagedRow:
    row_id, person, state, status, text, hash_, has_previous, answer = row
    unreadable: tuple[str, ...] = ()
    if UNREADABLE in row:
        unreadable = tuple(name for name, place in _NEEDED_TEXT.items() if row[place] is UNREADABLE)
        hash_, answer = (None if value is UNREADABLE else value for value in (hash_, answer))
    return StagedRow(
        int(row_id),
        as_text(person),
        word(state) == _DELETED,
        word(status),
        as_text(text),
        as_version(hash_),
        bool(int(has_previous or 0)),
        answer,
        unreadable=unreadable,
    )


def as_version(value: object) -> bytes | str | None:
    """Return a hash column's value in a form that can be compared: bytes, text or None."""
    if value is None or isinstance(value, (bytes, str)):
        return value
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else str(value)
