"""The outbox table: rows that are not done, and what became of each. Every change is one short transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from api_pipeline.errors import DatabaseError
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.values import read_time
from api_pipeline.xporter.wire.posting import Posted
from api_pipeline.xporter.write_back.bodies import WrongBody, read_body
from api_pipeline.xporter.write_back.rows import Kind, OutboxRow, Status
from api_pipeline.xporter.write_back.settling import Settled


@dataclass(frozen=True, slots=True)
class OpenRows:
    """The rows of a school that are not done, and those, by id, that cannot be sent as they are, with the reason."""

    rows: tuple[OutboxRow, ...]
    wrong: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Outbox:
    """The outbox beside the landing tables. Errors of every method: DatabaseError."""

    store: LandingStore

    def check(self) -> None:
        """Raise DatabaseError, naming what makes the table, where it is not there."""
        if not self.store.has_outbox():
            raise DatabaseError(
                "The table xporter_outbox is not there or cannot be read; make it with: "
                "d2i-csc-api xporter deploy-schema --apply"
            )

    def schools(self) -> list[str]:
        """Return the schools that have rows that are not done."""
        return [str(row[0]).strip() for row in self.store.connection.query(self.store.sql("outbox_schools"))]

    def open_rows(self, estab: str, kinds: Iterable[str]) -> OpenRows:
        """Return a school's rows of these kinds that are not done, the oldest first."""
        wanted = set(kinds)
        rows: list[OutboxRow] = []
        wrong: dict[int, str] = {}
        for found in self.store.connection.query(self.store.sql("outbox_open"), [estab]):
            kind = str(found[1]).strip().lower()
            if kind not in {known.value for known in Kind}:
                wrong[int(found[0])] = "kind: expected attendance, lesson, conduct or detention."
            elif kind in wanted:
                try:
                    rows.append(_row(estab, Kind(kind), found))
                except WrongBody as error:
                    wrong[int(found[0])] = str(error)
        return OpenRows(tuple(rows), wrong)

    def claims(self, row: OutboxRow) -> set[str]:
        """Return the ids of the conduct records that rows of the same school and day are already."""
        found = self.store.connection.query(self.store.sql("outbox_claims"), [row.estab, row.kind.value, row.day])
        return {key for (text,) in found for key in _ids(text)}

    def mark_sending(
        self, rows: Sequence[OutboxRow], seen: Mapping[int, frozenset[str]], now: datetime
    ) -> list[OutboxRow]:
        """Mark rows as sent without a clear answer; return those that were still to be sent."""
        sql = self.store.sql("outbox_sending")
        text = "Sent; no clear answer has come."
        marked = []
        with self.store.connection.transaction():
            for row in rows:
                values = [row.day, now, _text(seen.get(row.id, frozenset())), text, now, row.id]
                if self.store.connection.execute(sql, values) != 0:
                    marked.append(row)
        return marked

    def take_answer(self, rows: Sequence[OutboxRow], status: Status, posted: Posted, now: datetime) -> None:
        """Write what the answer to a request says of its rows."""
        sql = self.store.sql("outbox_answer")
        with self.store.connection.transaction():
            for row in rows:
                ids = _text(frozenset(posted.actual_ids.get(str(row.id), ()))) or _text(row.actual_ids)
                values = [status.value, posted.text, posted.tracking_id, ids, now, row.id]
                self.store.connection.execute(sql, values)

    def settle(self, row: OutboxRow, settled: Settled, now: datetime) -> None:
        """Write what reading again says of a row."""
        confirmed = now if settled.status is Status.CONFIRMED else None
        ids = _text(settled.ids or row.actual_ids)
        values = [settled.status.value, settled.text, row.day, ids, confirmed, now, row.id]
        self.store.connection.execute(self.store.sql("outbox_settle"), values)

    def refuse(self, row_id: int, text: str, day: str | None, now: datetime) -> None:
        """Write that a row will not be sent, and why."""
        values = [Status.REFUSED.value, text, day, None, None, now, row_id]
        self.store.connection.execute(self.store.sql("outbox_settle"), values)


def _row(estab: str, kind: Kind, found: Sequence[object]) -> OutboxRow:
    body, day = read_body(kind, str(found[2] or ""))
    return OutboxRow(
        id=int(str(found[0])),
        estab=estab,
        kind=kind,
        day=day,
        body=body,
        status=Status(str(found[3]).strip().lower()),
        sent_at=read_time(found[4]),
        attempts=int(str(found[5] or 0)),
        seen_before=_ids(found[6]),
        actual_ids=_ids(found[7]),
    )


def _ids(text: object) -> frozenset[str]:
    return frozenset(orjson.loads(str(text))) if text else frozenset()


def _text(ids: frozenset[str]) -> str | None:
    return orjson.dumps(sorted(ids)).decode() if ids else None
