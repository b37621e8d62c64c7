"""Mark the children of whom a run without all control tables sends records (docs/decisions/0019).

Such a run sends full payloads and cannot update the baselines, which are then out of date: no later run may use them.
So each child is marked before its POST begins, in the table of baselines or, where that cannot be used, among the
records in doubt. To a later run a mark means that the receiver may hold anything of the child.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api_pipeline.common.clock import utc_now
from api_pipeline.errors import DatabaseError
from api_pipeline.model import Accepted, DeliveryFailed, Outcome, Record, Rejected
from api_pipeline.outbox.baselines import OVERTAKEN, Baselines, Stored
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.reading import sha256_hex


class Overtaken:
    """The marks of one run, which stand in the place of `ControlTables`.

    A mark takes the place of a baseline's receipt; a child without a baseline gets an empty one. Where `has_baselines`
    is false, it is a record in doubt without a text; one that it replaces is not put back. Each method works in the
    caller's transaction, and may be repeated after an error.
    """

    def __init__(self, baselines: Baselines, run_id: str, *, has_baselines: bool) -> None:
        self._baselines = baselines
        self._run_id = run_id
        self._has_baselines = has_baselines
        # The receipts whose places were taken, by child; and the children whose marks took the place of nothing.
        self._before: dict[str, str | None] = {}
        self._new: set[str] = set()

    def mark(self, records: Sequence[Record], *, is_again: bool = False) -> None:
        """Mark the children of records that are about to be sent. Errors: DatabaseError."""
        self._mark([record.la_child_id for record in records])

    def unmark(self, records: Iterable[Record]) -> None:
        """Undo the marks of records that did not arrive. Errors: DatabaseError."""
        for record in records:
            child = record.la_child_id
            if child in self._new:
                (self._baselines.remove if self._has_baselines else self._baselines.clear_in_doubt)([child])
            elif child in self._before:
                self._baselines.replace_receipts([child], self._before[child])

    def record(self, _batch: int, outcomes: Sequence[Outcome], _stored: Stored) -> None:
        """Undo the marks of records that did not arrive, and keep those of all others. Errors: DatabaseError."""
        sent: list[str] = []
        unsent: list[Record] = []
        for outcome in outcomes:
            match outcome:
                case Accepted(record=record):
                    # A deleted child stays marked as well: nothing else tells a later run that what its row says was
                    # sent is no longer there.
                    sent.append(record.la_child_id)
                case Rejected(record=record) | DeliveryFailed(record=record) if not outcome.may_have_arrived:
                    unsent.append(record)
        if sent:
            # Again, for receipts that an earlier run saved.
            self._mark(sent)
        # Whatever becomes of a later record of the child, the baseline does not come back.
        for child in sent:
            self._new.discard(child)
            self._before.pop(child, None)
        self.unmark(unsent)

    def log(self, _batch: int, _outcomes: Iterable[Outcome], _stored: Stored) -> None:
        """Log nothing."""

    def is_logged(self, _batch: int, _outcomes: Iterable[Outcome]) -> bool:
        """Return False: nothing is logged."""
        return False

    def _mark(self, children: Sequence[str]) -> None:
        children = list(dict.fromkeys(children))
        if self._has_baselines:
            receipts = self._baselines.receipts(children)
            new = [child for child in children if child not in receipts]
            self._baselines.replace_receipts(sorted(receipts), OVERTAKEN)
            self._baselines.insert([(child, "", sha256_hex(""), OVERTAKEN, utc_now()) for child in new])
            for child, receipt in receipts.items():
                if receipt != OVERTAKEN:
                    self._before.setdefault(child, receipt)
        else:
            marked = self._baselines.runs_in_doubt(children)
            new = [child for child in children if child not in marked]
            self._baselines.mark_in_doubt(self._run_id, [(child, "") for child in children], sorted(marked))
        self._new.update(new)


def overtaken_by(store: StagingTable, receiver: str, run_id: str) -> Overtaken | None:
    """Return what marks children if a control table is missing, None if there is no table of baselines at all.

    Errors: DatabaseError if there may be baselines that can neither be used nor be marked.
    """
    baselines, tables = Baselines(store, receiver), store.tables
    if store.has_columns({tables.held: "receiver, la_child_id, held_payload, held_hash, receipt, accepted_at"}):
        return Overtaken(baselines, run_id, has_baselines=True)
    if store.has_columns({tables.unconfirmed: "receiver, la_child_id, payload_hash, may_hold, run_id, begun_at"}):
        return Overtaken(baselines, run_id, has_baselines=False)
    if (why := store.why_unusable(tables.held)) is None:
        return None
    raise DatabaseError(
        f"The control table {tables.held} is there and cannot be used, and neither can {tables.unconfirmed}: a later "
        f"run would use what this one overtakes. Nothing was sent. {why}"
    )
