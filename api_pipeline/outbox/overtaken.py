"""Mark the children of whom a run without all control tables sends records (docs/decisions/0019).

Such a run sends full payloads and cannot update the baselines, which are then out of date: no later run may use them.
So each child is marked before its POST begins, in the table of baselines or, where that cannot be used, among the
records in doubt. To a later run a mark means that the receiver may hold anything of the child.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence

from api_pipeline.common.clock import utc_now
from api_pipeline.errors import DatabaseError
from api_pipeline.model import Accepted, DeliveryFailed, Outcome, Record, RecordKind, Rejected
from api_pipeline.outbox.baselines import OVERTAKEN, Baselines
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.reading import sha256_hex

# What a mark took the place of where there was no row.
_NO_ROW = object()


class Overtaken(ABC):
    """The marks of one run. Each method works in the caller's transaction, and may be repeated after an error."""

    def __init__(self, baselines: Baselines, run_id: str) -> None:
        self._baselines = baselines
        self._run_id = run_id
        # By child, what its first mark took the place of.
        self._before: dict[str, object] = {}

    def write(self, records: Sequence[Record]) -> None:
        """Mark the children of records that are about to be sent. Errors: DatabaseError."""
        self._mark([record.la_child_id for record in records])

    write_again = write

    def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Undo the marks of records that did not arrive, and keep those of all others. Errors: DatabaseError."""
        sent: list[str] = []
        deleted: list[str] = []
        unsent: list[str] = []
        for outcome in outcomes:
            match outcome:
                case Accepted(record=record):
                    (deleted if record.kind is RecordKind.DELETION else sent).append(record.la_child_id)
                case Rejected(record=record) | DeliveryFailed(record=record) if not outcome.may_have_arrived:
                    unsent.append(record.la_child_id)
        if sent:
            # Again, for receipts that an earlier run saved.
            self._mark(sent)
        if deleted:
            self._empty(deleted)
        # Whatever becomes of a later record of the child, the baseline does not come back.
        for child in (*sent, *deleted):
            self._before.pop(child, None)
        self.undo(unsent)

    def undo(self, children: Iterable[str]) -> None:
        """Undo the marks of children of whom nothing arrived. Errors: DatabaseError."""
        for child in children:
            before = self._before.get(child, OVERTAKEN)
            if before != OVERTAKEN:
                self._put_back(child, before)

    def _mark(self, children: Sequence[str]) -> None:
        children = list(dict.fromkeys(children))
        found = self._read(children)
        for child in children:
            self._before.setdefault(child, found.get(child, _NO_ROW))
        self._put(children, found.keys())

    @abstractmethod
    def _read(self, children: Sequence[str]) -> Mapping[str, object]:
        """Return, by child, what a mark will take the place of, where the child has a row."""

    @abstractmethod
    def _put(self, children: Sequence[str], known: Collection[str]) -> None:
        """Mark these children, of whom those `known` have a row."""

    @abstractmethod
    def _put_back(self, child: str, before: object) -> None:
        """Undo the mark of a child."""

    @abstractmethod
    def _empty(self, children: Sequence[str]) -> None:
        """Record that the receiver holds nothing of these children any more."""


class _AmongBaselines(Overtaken):
    """Marks in place of the receipts of baselines; a child without a baseline gets an empty one."""

    def _read(self, children: Sequence[str]) -> Mapping[str, object]:
        return self._baselines.receipts(children)

    def _put(self, children: Sequence[str], known: Collection[str]) -> None:
        if known:
            self._baselines.replace_receipts(sorted(known), OVERTAKEN)
        now = utc_now()
        rows = [(child, "", sha256_hex(""), OVERTAKEN, now) for child in children if child not in known]
        self._baselines.insert(rows)

    def _put_back(self, child: str, before: object) -> None:
        if before is _NO_ROW:
            self._baselines.remove([child])
        else:
            self._baselines.replace_receipts([child], None if before is None else str(before))

    def _empty(self, children: Sequence[str]) -> None:
        self._baselines.remove(children)


class _AmongRecordsInDoubt(Overtaken):
    """Marks as records in doubt without a text. A record in doubt that a mark replaces is not put back."""

    def _read(self, children: Sequence[str]) -> Mapping[str, object]:
        return dict.fromkeys(self._baselines.runs_in_doubt(children), OVERTAKEN)

    def _put(self, children: Sequence[str], known: Collection[str]) -> None:
        self._baselines.mark_in_doubt(self._run_id, [(child, "") for child in children], sorted(known))

    def _put_back(self, child: str, before: object) -> None:
        self._baselines.clear_in_doubt([child])

    def _empty(self, children: Sequence[str]) -> None:
        # There may be a baseline that cannot be read tonight, so the child stays marked.
        self._mark(children)


def overtaken_by(store: StagingTable, receiver: str, run_id: str) -> Overtaken | None:
    """Return what marks children if a control table is missing, None if there is no table of baselines at all.

    Errors: DatabaseError if there may be baselines that can neither be used nor be marked.
    """
    baselines, tables = Baselines(store, receiver), store.tables
    if store.has_columns({tables.held: "receiver, la_child_id, held_payload, held_hash, receipt, accepted_at"}):
        return _AmongBaselines(baselines, run_id)
    if store.has_columns({tables.unconfirmed: "receiver, la_child_id, payload_hash, may_hold, run_id, begun_at"}):
        return _AmongRecordsInDoubt(baselines, run_id)
    if (why := store.why_unusable(tables.held)) is None:
        return None
    raise DatabaseError(
        f"The control table {tables.held} is there and cannot be used, and neither can {tables.unconfirmed}: a later "
        f"run would use what this one overtakes. Nothing was sent. {why}"
    )
