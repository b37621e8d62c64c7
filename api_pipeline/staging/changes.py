"""What became of one staged row since the last staging (mapping 11). Pure.

A payload is compared by its meaning, not by its text: row ids that a case-management system renumbers every night
change nothing. What the receiver holds decides whether a child that left has to be deleted there, and how one that
comes back is taken up again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from api_pipeline.model import StagedRow
from api_pipeline.staging.meaning import meaning_of

_DIGEST_SIZE = 32


class Word(str, Enum):
    """What is said of a row in counts and in the list of a dry run."""

    NEW = "new"
    UPDATED = "updated"
    RETURNED = "returned"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Version:
    """A payload as it is now: its text, the SHA-256 of its meaning (32 bytes), and the child's id in other systems."""

    text: str
    hash: bytes
    legacy_id: str | None


@dataclass(frozen=True, slots=True)
class ReceiverState:
    """What the receiver holds of a row's child.

    `is_held` is true where it holds the child or may hold it. `payload` is what it holds, None where that is not sure;
    `receipt` is the receipt of that. `kept_answer` is the row's last answer where nothing but it tells that the row's
    previous payload was sent, so that it must outlive the change.
    """

    is_held: bool = False
    payload: str | None = None
    receipt: str | None = None
    kept_answer: str | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """A row for a child that has none: pending, new."""

    person_id: str
    version: Version
    word: Word = Word.NEW


@dataclass(frozen=True, slots=True)
class Update:
    """A payload for a row, with what its status columns and `api_response` then say."""

    row_id: int
    person_id: str
    version: Version
    row_state: str
    submission_status: str
    answer: str | None
    word: Word


@dataclass(frozen=True, slots=True)
class Rehash:
    """The payload means what it meant; only the hash was made in another way, or was missing. The status stays."""

    row_id: int
    person_id: str
    hash: bytes
    word: Word = Word.UNCHANGED


@dataclass(frozen=True, slots=True)
class Delete:
    """A child left: deleted. The row is pending where the receiver holds the child, else its status stays."""

    row_id: int
    person_id: str
    is_held: bool
    word: Word = Word.DELETED


Change: TypeAlias = "Insert | Update | Rehash | Delete"


def digest_of(stored: object) -> bytes | None:
    """Return the SHA-256 that a stored hash is, as bytes or hexadecimal text; a column of fixed length fills it up."""
    if isinstance(stored, str):
        try:
            stored = bytes.fromhex(stored.strip())
        except ValueError:
            return None
    if not isinstance(stored, bytes) or len(stored) < _DIGEST_SIZE or stored[_DIGEST_SIZE:].strip(b"\0"):
        return None
    return stored[:_DIGEST_SIZE]


def present(row: StagedRow, version: Version, held: ReceiverState) -> Update | Rehash | None:
    """Return the change for a row whose child is in the cohort; None where nothing changes."""
    if row.is_deleted:
        return _returned(row, version, held)
    if digest_of(row.current_hash) == version.hash:
        return None
    if meaning_of(row.json_payload) == version.hash:
        return Rehash(row.id, row.person_id, version.hash)
    return _to_send(row, version, held)


def repeated(row: StagedRow, version: Version, held: ReceiverState) -> Update:
    """Return the change that sends a payload again, because the receiver holds parts that it should not any more."""
    return _to_send(row, Version(row.json_payload, version.hash, version.legacy_id), held)


def absent(row: StagedRow, held: ReceiverState) -> Delete | None:
    """Return the change for a row whose child is not in the cohort; None where the row says so already."""
    return None if row.is_deleted else Delete(row.id, row.person_id, held.is_held)


def _returned(row: StagedRow, version: Version, held: ReceiverState) -> Update:
    if held.payload is None or meaning_of(held.payload) != version.hash:
        return _to_send(row, version, held, Word.RETURNED)
    # Back before the deletion was accepted. The text that is held, not the one just built: the receiver knows its ids.
    kept = Version(held.payload, version.hash, version.legacy_id)
    answer = held.receipt or row.api_response
    return Update(row.id, row.person_id, kept, "unchanged", "sent", answer, Word.RETURNED)


def _to_send(row: StagedRow, version: Version, held: ReceiverState, word: Word = Word.UPDATED) -> Update:
    row_state = "updated" if held.is_held else "new"
    return Update(row.id, row.person_id, version, row_state, "pending", held.kept_answer, word)
