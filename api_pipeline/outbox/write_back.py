"""Write the outcomes of one POST back, in one transaction: staging table, baselines, submission log (contract 3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial

from api_pipeline.api_response import UUID
from api_pipeline.common.clock import utc_now
from api_pipeline.db import KeyTaken, Retrying
from api_pipeline.errors import DatabaseError
from api_pipeline.logs.masking import Mask
from api_pipeline.model import Invalid, Outcome, UpToDate
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.changes import LOG_LINE, MARKS, Changes, Destination, Held
from api_pipeline.outbox.staged_rows import GONE, VERSION, RowsNow, rows_now, word
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.storable import are_storable, nearest, storable
from api_pipeline.outbox.superseded import RowsOfPerson
from api_pipeline.payloads.reading import sha256_hex

_WRITTEN = ("id", "submission_status", "api_response")
_RECEIPT_LENGTH = 36
_RECEIPT = re.compile(UUID, re.IGNORECASE)


class WriteBack:
    """Write outcomes to the tables of one store. `mask` takes values out of an answer before it is logged."""

    def __init__(self, store: StagingTable, destination: Destination, mask: Mask) -> None:
        self._store = store
        self._to = destination
        self._baselines = Baselines(store, destination.receiver)
        self._mask = mask
        self._may_be_written = False
        self._as_stored: Callable[[object, datetime], object] = storable

    def write(
        self,
        batch: int,
        outcomes: Sequence[Outcome],
        *,
        as_near_as_can_be: bool = False,
        also: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the outcomes of one POST in one transaction, whole or not at all; may be called again after an error.

        `also` writes what else belongs into the transaction. With `as_near_as_can_be` values that this database may not
        be able to hold are replaced by ones that every database holds. Errors: DatabaseError, after which nothing is
        written, unless the commit's answer was lost.
        """
        self._as_stored = nearest if as_near_as_can_be else storable
        if self._may_be_written and outcomes and self._is_written(batch, outcomes):
            self._may_be_written = False
            return
        self._may_be_written = True
        try:
            self._write(batch, outcomes, also)
        except KeyTaken:
            # Another shard recorded a baseline of the same child at the same moment.
            self._write(batch, outcomes, also)
        self._may_be_written = False

    def write_what_can_be(
        self, db: Retrying, batch: int, outcomes: Sequence[Outcome]
    ) -> tuple[list[Outcome], DatabaseError | None]:
        """Write outcomes together or, if that is refused, each alone; return the refused ones and the reason.

        Errors: those of `Retrying.attempt`, and program errors.
        """
        error = self._try(db, batch, outcomes) if outcomes else None
        if error is None or len(outcomes) == 1:
            return ([], None) if error is None else (list(outcomes), error)
        unwritten = []
        for outcome in outcomes:
            if refusal := self._try(db, batch, [outcome]):
                unwritten.append(outcome)
                error = refusal
        return (unwritten, error) if unwritten else ([], None)

    def _try(self, db: Retrying, batch: int, outcomes: Sequence[Outcome]) -> DatabaseError | None:
        """Write outcomes as they are, or else as near to that as every database can hold; return why it failed."""
        write = partial(self.write, batch, outcomes)
        what = f"the answers of {len(outcomes)} rows"
        return db.attempt(what, write) and db.attempt(what, partial(write, as_near_as_can_be=True))

    def log(self, batch: int, outcomes: Sequence[Outcome]) -> None:
        """Log outcomes whose effect is recorded already, unless they are in the log. Errors: DatabaseError."""
        if not self._to.control_tables or self._is_written(batch, outcomes):
            return
        changes = Changes(self._to, self._mask)
        for outcome in outcomes:
            changes.add_to_log(outcome)
        with self._store.connection.transaction():
            self._insert_log(batch, changes)

    def close_superseded(self, people: Iterable[tuple[str, RowsOfPerson]]) -> int:
        """Close the older rows of people whose newest row was accepted by an earlier run, and return their number.

        Errors: DatabaseError.
        """
        if self._to.testing:
            return 0
        count = 0
        for person, rows in people:
            changes = Changes(self._to, self._mask)
            with self._store.connection.transaction():
                now = self._read_again([rows.newest, *rows.open_ids])
                if now.get((rows.newest, person), GONE).submission_status == "sent":
                    changes.close(person, rows.newest, rows.open_ids, now)
                self._apply_rows(changes)
                self._check_written(changes)
            count += len(changes.written)
        return count

    def _is_written(self, batch: int, outcomes: Sequence[Outcome]) -> bool:
        """Return whether an earlier try, whose commit got no answer, is in the log, and so in the database."""
        if not self._to.control_tables or self._to.testing:
            return False
        sent = [one.record for one in outcomes if not isinstance(one, (Invalid, UpToDate))]
        ours = {(record.row.id, record.sent_hash) for record in sent}
        logged = self._store.connection.query(self._store.sql("read_logged"), [self._to.run_id, batch])
        return any((int(row[0]), str(row[1]).strip()) in ours for row in logged)

    def _write(self, batch: int, outcomes: Sequence[Outcome], also: Callable[[], None]) -> None:
        with self._store.connection.transaction():
            if not outcomes:
                also()
                return
            rows = [outcome.row for outcome in outcomes]
            now = self._read_again([row_id for row in rows for row_id in (row.id, *row.supersedes)])
            changes = Changes(self._to, self._mask)
            changes.collect(outcomes, now)
            self._apply(batch, changes)
            if self._to.overtaken:
                self._to.overtaken.settle(outcomes)
            also()
            self._check_written(changes)

    def _read_again(self, ids: Sequence[int]) -> RowsNow:
        """Return rows as they stand now, and lock them until the end of the transaction."""
        found = rows_now(self._store.rows_by_id("read_versions", ids, VERSION))
        # A policy on updates hides rows from a statement that locks them, and they look as if they had been removed.
        missing = set(ids).difference([row_id for row_id, _ in found])
        if missing and (hidden := self._store.rows_by_id("read_written", sorted(missing), ("id",))):
            self._refuse_unkept(len(hidden), len(ids))
        return found

    def _apply(self, batch: int, changes: Changes) -> None:
        store = self._store
        self._apply_rows(changes)
        if not self._to.control_tables:
            return
        if changes.replaced:
            self._baselines.remove(changes.replaced)
        if changes.held:
            self._insert_baselines(changes.held)
        self._insert_log(batch, changes)
        if changes.confirmed:
            self._baselines.clear_in_doubt(changes.confirmed)
        if changes.uncertain:
            self._baselines.mark_in_doubt(self._to.run_id, [(child, "") for child in changes.uncertain], [])
        if changes.may_hold:
            store.connection.execute_many(store.sql("record_may_hold"), self._stored(changes.may_hold))

    def _insert_log(self, batch: int, changes: Changes) -> None:
        shared = (self._to.run_id, batch, self._to.table, utc_now())
        for alike, lines in changes.log.items():
            self._store.write_rows("insert_log", LOG_LINE, self._stored(lines), (*shared, *alike))

    def _apply_rows(self, changes: Changes) -> None:
        if changes.due_again:
            self._store.mark_due_again(changes.due_again)
        if changes.changed_meanwhile:
            self._store.connection.execute_many(
                self._store.sql("keep_changed"), self._stored(changes.changed_meanwhile)
            )
        for statement, rows in changes.rows.items():
            self._store.update_rows(statement, MARKS[statement].types, self._stored(rows))

    def _stored(self, rows: Collection[tuple[object, ...]]) -> list[tuple[object, ...]]:
        as_stored = self._as_stored
        if as_stored is storable and are_storable(rows):
            return list(rows)
        now = utc_now()
        return [tuple([as_stored(value, now) for value in row]) for row in rows]

    def _insert_baselines(self, held: Sequence[Held]) -> None:
        """Record what is held: copied from a row that still has it, else each with the hash of the text as stored."""
        copies = [(one.row_id, one.child, *one[3:]) for one in held if one.row_id is not None]
        copied = self._baselines.copy(self._stored(copies))
        meant = [one for one in held if one.child not in copied]
        rows = []
        for (_, child, text, digest, *others), one in zip(self._stored(meant), meant, strict=True):
            rows.append((child, text, digest if text == one.text else sha256_hex(str(text)), *others))
        self._baselines.insert(rows)

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


def _says(row: tuple[object, object] | None, status: str, answer_: str) -> bool:
    """Return whether a row has this status and, where it is a receipt, this answer; other texts may be stored as near
    as can be."""
    if row is None or word(row[0]) != status:
        return False
    is_receipt = status == "sent" and _RECEIPT.fullmatch(answer_) is not None
    return not is_receipt or str(row[1]).strip().lower()[:_RECEIPT_LENGTH] == answer_.lower()
