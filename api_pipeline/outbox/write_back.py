"""Write the outcomes of one POST back, in one transaction: staging table, baselines, submission log (contract 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from api_pipeline.api_response import is_receipt
from api_pipeline.db import KeyTaken, Retrying
from api_pipeline.errors import DatabaseError
from api_pipeline.logs.masking import Mask
from api_pipeline.model import Outcome, Record
from api_pipeline.outbox.baselines import ControlTables, Stored
from api_pipeline.outbox.changes import MARKS, Changes
from api_pipeline.outbox.overtaken import Overtaken
from api_pipeline.outbox.staged_rows import GONE, VERSION, RowsNow, may_be_due, rows_now, word
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.storable import nearest_rows, storable_rows
from api_pipeline.outbox.superseded import RowsOfPerson

_WRITTEN = ("id", "submission_status", "api_response")


class Destination(NamedTuple):
    """Where outcomes are written: the run's id, its staging table's name, the receiver, and what kind of run it is.

    `control_tables` is whether baselines and log are kept; `testing` writes simulated answers only (contract 3).
    `overtaken` marks baselines that this run cannot keep, None where there is none.
    """

    run_id: str
    table: str
    receiver: str
    control_tables: bool
    testing: bool
    overtaken: Overtaken | None = None


class WriteBack:
    """Write outcomes to the tables of one store. `mask` takes values out of an answer before it is logged.

    What records change beside the staging table is written by `ControlTables`, or by `Overtaken` in its place.
    `superseded` is how many older rows of people with several have been closed.
    """

    def __init__(self, store: StagingTable, to: Destination, mask: Mask) -> None:
        self._store = store
        self._is_testing = to.testing
        self.superseded = 0
        self._closing = 0
        self._may_be_written = False
        self._beside: ControlTables | Overtaken | None = None if to.testing else to.overtaken
        if to.control_tables and not to.testing:
            self._beside = ControlTables(store, to.receiver, to.run_id, to.table, mask)

    def write(
        self,
        batch: int,
        outcomes: Sequence[Outcome],
        about_to_send: Sequence[Record] = (),
        *,
        stored: Stored = storable_rows,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the outcomes of one POST in one transaction, whole or not at all; may be called again after an error.

        The children of records that are about to be sent are marked in it, and `also` does what else belongs into it;
        there may be no outcomes. `stored` makes values storable: `nearest_rows` replaces those that this database may
        not be able to hold by ones that every database holds. Errors: DatabaseError, after which nothing is written,
        unless the commit's answer was lost.
        """
        if self._may_be_written and outcomes and self._beside and self._beside.is_logged(batch, outcomes):
            self._may_be_written = False
            self.superseded += self._closing
            return
        self._may_be_written = True

        def once(*, is_again: bool = False) -> None:
            with self._store.connection.transaction():
                changes = self._write(batch, outcomes, stored)
                self._closing = len(changes.rows.get("mark_superseded", ()))
                self._mark(about_to_send, is_again=is_again)
                also()
                self._check_written(changes)

        try:
            once()
        except KeyTaken:
            # Another shard recorded a baseline of a child, or a mark, at the same moment; or an earlier try did.
            once(is_again=True)
        self._may_be_written = False
        self.superseded += self._closing

    def write_what_can_be(
        self, db: Retrying, batch: int, outcomes: Sequence[Outcome]
    ) -> tuple[list[Outcome], DatabaseError | None]:
        """Write outcomes together or, if that is refused, each alone; return the refused ones and the reason.

        Errors: those of `Retrying.attempt`, and program errors.
        """
        error = self._try(db, batch, outcomes)
        unwritten = []
        for outcome in outcomes if error else ():
            if refusal := self._try(db, batch, [outcome]):
                unwritten.append(outcome)
                error = refusal
        return unwritten, error if unwritten else None

    def _try(self, db: Retrying, batch: int, outcomes: Sequence[Outcome]) -> DatabaseError | None:
        """Write outcomes as they are, or else as near to that as every database can hold; return why it failed."""
        write = partial(self.write, batch, outcomes)
        what = f"the answers of a batch of {len(outcomes)}"
        return db.attempt(what, write) and db.attempt(what, partial(write, stored=nearest_rows))

    def log(self, batch: int, outcomes: Sequence[Outcome]) -> None:
        """Log outcomes whose effect is recorded already, unless they are in the log. Errors: DatabaseError."""
        if self._beside and not self._beside.is_logged(batch, outcomes):
            with self._store.connection.transaction():
                self._beside.log(batch, outcomes, storable_rows)

    def unmark(self, records: Sequence[Record]) -> None:
        """Remove the marks of records that were never sent. Errors: DatabaseError."""
        if self._beside:
            with self._store.connection.transaction():
                self._beside.unmark(records)

    def close_superseded(self, people: Iterable[tuple[str, RowsOfPerson]]) -> None:
        """Close the older rows of people whose newest row was accepted by an earlier run. Errors: DatabaseError."""
        if self._is_testing:
            return
        for person, rows in people:
            changes = Changes()
            with self._store.connection.transaction():
                now = self._read_again([rows.newest, *rows.open_ids])
                if now.get((rows.newest, person), GONE).submission_status == "sent":
                    changes.close(person, rows.newest, rows.open_ids, now)
                self._apply(changes, storable_rows)
                self._check_written(changes)
            self.superseded += len(changes.written)

    def _write(self, batch: int, outcomes: Sequence[Outcome], stored: Stored) -> Changes:
        """Write outcomes, of which there may be none, within the open transaction; return what they change in rows."""
        changes = Changes(self._is_testing)
        if outcomes:
            rows = [outcome.row for outcome in outcomes]
            changes.collect(outcomes, self._read_again([one for row in rows for one in (row.id, *row.supersedes)]))
            self._apply(changes, stored)
            if self._beside:
                self._beside.record(batch, outcomes, stored)
        return changes

    def _mark(self, records: Sequence[Record], *, is_again: bool) -> None:
        if records and self._beside:
            # A resync takes rows that are sent. Once its purge is on the way they are due, whatever becomes of it.
            if sent := [record.row.id for record in records if not may_be_due(record.row)]:
                self._store.mark_due_again(sent)
            self._beside.mark(records, is_again=is_again)

    def _read_again(self, ids: Sequence[int]) -> RowsNow:
        """Return rows as they stand now, and lock them until the end of the transaction."""
        found = rows_now(self._store.rows_by_id("read_versions", ids, VERSION))
        # A policy on updates hides rows from a statement that locks them, and they look as if they had been removed.
        missing = set(ids).difference([row_id for row_id, _ in found])
        if missing and (hidden := self._store.rows_by_id("read_written", sorted(missing), ("id",))):
            self._refuse_unkept(len(hidden), len(ids))
        return found

    def _apply(self, changes: Changes, stored: Stored) -> None:
        store = self._store
        if changes.due_again:
            store.mark_due_again(changes.due_again)
        if changes.changed_meanwhile:
            store.connection.execute_many(store.sql("keep_changed"), stored(changes.changed_meanwhile))
        for statement, rows in changes.rows.items():
            store.update_rows(statement, MARKS[statement].types, stored(rows))

    def _check_written(self, changes: Changes) -> None:
        """Check, as the last statement before the commit, that the rows say what was written to them.

        So the transaction is known to be alive as well: had it ended earlier, its changes would be gone.
        """
        expected = changes.written
        found = {
            int(row[0]): (row[1], row[2]) for row in self._store.rows_by_id("read_written", list(expected), _WRITTEN)
        }
        # A column may pad a word, and a text may be stored as near as can be.
        others = [row_id for row_id, said in expected.items() if found.get(row_id) != said]
        lost = sum(not _says(found.get(row_id), *expected[row_id]) for row_id in others)
        if lost:
            self._refuse_unkept(lost, len(expected))

    def _refuse_unkept(self, lost: int, count: int) -> None:
        raise DatabaseError(
            f"The database did not keep the answers of {lost} of {count} rows of {self._store.tables.staging} and "
            "reported no error (row-level security, a trigger or a view); ask the database administrator to let this "
            "login update all rows."
        )


def _says(row: tuple[object, object] | None, status: str, answer: str) -> bool:
    """Return whether a row has this status and, where it is a receipt, this answer.

    Other texts may be stored as near as can be.
    """
    if row is None or word(row[0]) != status:
        return False
    return status != "sent" or not is_receipt(answer) or str(row[1]).lower().startswith(answer.lower())
