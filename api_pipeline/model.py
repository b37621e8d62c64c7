"""The nouns of the pipeline: rows -> records -> batches -> outcomes -> write-back.

Each is small and immutable. Most are named tuples: when the program starts, Python makes one in a fifth of the time of
a frozen dataclass. The module imports nothing of the program but `Reason`, which says why a record was not accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple, TypeAlias

from api_pipeline.api_response import Reason

Version: TypeAlias = "bytes | str | None"
# The way to a part of a record: names of members, and behind that of an array the id of an element.
ElementPath: TypeAlias = "tuple[str, ...]"
# What a receiver holds of a child whom it does not know, as JSON text.
NOTHING_HELD = "{}"


class RecordKind(str, Enum):
    """What a record in a POST is (contract 3, `ssd_api_submission_log`)."""

    FULL = "full"
    DELTA = "delta"
    PURGE = "purge"
    DELETION = "deletion"


class StagedRow(NamedTuple):
    """One row of the staging table as it was read.

    `is_deleted` says that the child has left the cohort. `submission_status` is stripped and in lower case ("" for
    null). `current_hash` is what the database gave (bytes, text or null); with `json_payload` it is the version that
    was read. `has_previous` is true where `previous_hash` or `previous_json_payload` is not null. `api_response` is the
    last answer stored.
    `supersedes` are the ids of the person's older rows that would be due, `sent_before` is that of the newest older row
    that is `sent`, None where there is none; `unreadable` names the columns whose text the
    driver cannot decode. `retained` are the parts that left the payload because they left the time window: they are not
    to be purged.
    """

    id: int
    person_id: str
    is_deleted: bool
    submission_status: str
    json_payload: str
    current_hash: Version
    has_previous: bool
    api_response: str | None = None
    retained: tuple[ElementPath, ...] = ()
    supersedes: tuple[int, ...] = ()
    sent_before: int | None = None
    unreadable: tuple[str, ...] = ()

    @property
    def is_blank(self) -> bool:
        """Return whether there is no payload; one that the driver cannot decode is not blank."""
        return not (self.json_payload.strip() or self.unreadable)


class InDoubt(NamedTuple):
    """The state that a receiver is in if a record without an answer arrived (after a kill, a dropped connection).

    `text` is what it then holds of the child, as JSON text, None where that is not known. `sent_of` is the SHA-256
    (hex) of the payload that the record was built from (another one where it was sent without purges of our own), ""
    where it can never match.
    """

    text: str | None
    sent_of: str


class Baseline(NamedTuple):
    """What a receiver may hold of one child: what it accepted last, or what a record in doubt leads to.

    `held` is what it accepted last, as JSON text, None where that is not known; `receipt` is the receipt of that.
    `is_adopted` says that a deleted row alone says so, and nothing is recorded. `is_unstorable` says that nothing can
    be recorded of the child: the database's code page lacks a letter of its id.
    """

    held: str | None = None
    receipt: str | None = None
    in_doubt: InDoubt | None = None
    is_adopted: bool = False
    is_unstorable: bool = False

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is known of the child."""
        return self.held is None and self.in_doubt is None

    def states_before(self, *, is_repeated: bool) -> tuple[str | None, ...]:
        """Return the states from which a record must lead to the payload; None is a state that is not known.

        If `is_repeated`, the state after an earlier record of the same payload is left out: the record that is right
        without it is right after it as well.
        """
        if self.in_doubt is None or is_repeated:
            return () if self.held is None else (self.held,)
        return NOTHING_HELD if self.held is None else self.held, self.in_doubt.text


class Record(NamedTuple):
    """One record ready to be sent: a JSON object as UTF-8 bytes, and where it came from.

    `sent_hash` is the SHA-256 (hex) of what is sent, `known_held_hash` that of `held_after` where it is known already.
    A record that was sent by an earlier run, and is known by its receipt alone, has an empty `body`.

    `held_after` is what the receiver holds once it has accepted this record (JSON text; None: nothing of the child).
    `then` follows a purge that must be accepted first (contract 4). `intent_hash` is stored before the POST begins (see
    `InDoubt.sent_of`). `was_in_doubt` says that the child is recorded in doubt already, `stays_in_doubt` that the
    effect of an earlier record without an answer stays unknown even if this one is accepted.
    """

    row: StagedRow
    la_child_id: str
    kind: RecordKind
    body: bytes
    sent_hash: str
    held_after: str | None
    then: Record | None = None
    intent_hash: str = ""
    was_in_doubt: bool = False
    known_held_hash: str = ""
    stays_in_doubt: bool = False


class Batch(NamedTuple):
    """1 to BATCH_SIZE records that travel in one POST."""

    number: int
    records: tuple[Record, ...]


class Receipt(NamedTuple):
    """The receiver's receipt: its UUID in lower case, and its time (no zone) where it gave one."""

    id: str
    received_at: datetime | None


class _OfRecord:
    """What the outcomes of records have in common."""

    __slots__ = ()
    record: Record

    @property
    def row(self) -> StagedRow:
        """Return the row of the record."""
        return self.record.row

    @property
    def la_child_id(self) -> str:
        """Return the child that the record is of."""
        return self.record.la_child_id


@dataclass(frozen=True, slots=True)
class Accepted(_OfRecord):
    """The receiver took the record."""

    record: Record
    receipt: Receipt
    http_code: int


@dataclass(frozen=True, slots=True)
class Rejected(_OfRecord):
    """The receiver rejects the record, or gives an answer that cannot be read as acceptance.

    `may_have_arrived` is true where the receiver could have taken the record all the same; `is_unknown` where the
    answer accepted without receipts for all records, so that the outcome is not known (contract 4).
    """

    record: Record
    reason: Reason
    may_have_arrived: bool = False
    is_unknown: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryFailed(_OfRecord):
    """An error of the service or the network that outlasted all attempts."""

    record: Record
    reason: Reason
    may_have_arrived: bool


class Invalid(NamedTuple):
    """A row that was not sent because its payload cannot be: not JSON, no identifier, a breach of the schema."""

    row: StagedRow
    reason: Reason


class UpToDate(NamedTuple):
    """A row that was not sent because the receiver holds exactly this payload, since it gave this receipt."""

    row: StagedRow
    la_child_id: str
    receipt: str | None


Outcome: TypeAlias = "Accepted | Rejected | DeliveryFailed | Invalid | UpToDate"
