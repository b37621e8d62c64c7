"""What became of one staged row since the last staging (mapping 11). Pure.

A payload is compared by its meaning, not by its text: row ids that a case-management system renumbers every night
change nothing. What the receiver holds decides whether a child that left has to be deleted there, and how one that
comes back is taken up again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from api_pipeline.model import StagedRow

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
    """A new payload for a row: pending; `row_state` is `updated`, or `new` while the receiver holds nothing."""

    row_id: int
    person_id: str
    version: Version
    row_state: str
    kept_answer: str | None
    word: Word = Word.UPDATED


@dataclass(frozen=True, slots=True)
class Rehash:
    """The payload means what it meant; only the hash was made in another way, or was missing. The status stays."""

    row_id: int
    person_id: str
    hash: bytes
    word: Word = Word.UNCHANGED


@dataclass(frozen=True, slots=True)
class Restore:
    """A child is back before its deletion was accepted, as the receiver holds it: sent, unchanged."""

    row_id: int
    person_id: str
    version: Version
    receipt: str | None
    word: Word = Word.RETURNED


@dataclass(frozen=True, slots=True)
class Delete:
    """A child left: deleted. The row is pending where the receiver holds the child, else its status stays."""

    row_id: int
    person_id: str
    is_held: bool
    word: Word = Word.DELETED


Change: TypeAlias = "Insert | Update | Rehash | Restore | Delete"
Meaning: TypeAlias = "Callable[[str], bytes | None]"


def is_same(row_hash: object, version: Version) -> bool:
    """Return whether a stored hash, as bytes or as hexadecimal text, is that of `version`."""
    return is_hash(row_hash, version.hash)


def is_hash(stored: object, digest: bytes) -> bool:
    """Return whether a stored hash, as bytes or hexadecimal text, is `digest`; a column of fixed length fills it up."""
    if isinstance(stored, str):
        return stored.strip().lower() == digest.hex()
    return isinstance(stored, bytes) and stored[: len(digest)] == digest and not stored[len(digest) :].strip(b"\0")


def digest_of(stored: object) -> bytes | None:
    """Return the SHA-256 that a stored hash is, in the sense of `is_hash`; None where it is none."""
    if isinstance(stored, str):
        try:
            stored = bytes.fromhex(stored.strip())
        except ValueError:
            return None
    digest = stored[:_DIGEST_SIZE] if isinstance(stored, bytes) else b""
    return digest if len(digest) == _DIGEST_SIZE and is_hash(stored, digest) else None


def present(row: StagedRow, version: Version, held: ReceiverState, meaning: Meaning) -> Change | None:
    """Return the change for a row whose child is in the cohort; None where nothing changes.

    `meaning` gives the hash of a stored payload's meaning, None where the text is not a payload.
    """
    if row.is_deleted:
        return _returned(row, version, held, meaning)
    if is_same(row.current_hash, version):
        return None
    if meaning(row.json_payload) == version.hash:
        return Rehash(row.id, row.person_id, version.hash)
    return Update(row.id, row.person_id, version, _state(held), held.kept_answer)


def repeated(row: StagedRow, version: Version, held: ReceiverState) -> Update:
    """Return the change for a row whose payload stays, but of which the receiver holds more than it should by now."""
    kept = Version(row.json_payload, version.hash, version.legacy_id)
    return Update(row.id, row.person_id, kept, _state(held), held.kept_answer)


def absent(row: StagedRow, held: ReceiverState) -> Delete | None:
    """Return the change for a row whose child is not in the cohort; None where the row says so already."""
    if row.is_deleted:
        return None
    return Delete(row.id, row.person_id, held.is_held)


def _returned(row: StagedRow, version: Version, held: ReceiverState, meaning: Meaning) -> Update | Restore:
    if held.payload is not None and meaning(held.payload) == version.hash:
        # The text that is held, not the one just built: its ids are those that the receiver knows.
        kept = Version(held.payload, version.hash, version.legacy_id)
        return Restore(row.id, row.person_id, kept, held.receipt or row.api_response)
    return Update(row.id, row.person_id, version, _state(held), held.kept_answer, Word.RETURNED)


def _state(held: ReceiverState) -> str:
    return "updated" if held.is_held else "new"
