"""The outbox table: rows that are not done, and what became of each.

Every change is one short transaction, done again while the database is away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from api_pipeline.common.clock import utc_now
from api_pipeline.db.retry import Retrying
from api_pipeline.errors import DatabaseError
from api_pipeline.xporter.landing import LandingStore
from api_pipeline.xporter.values import read_time
from api_pipeline.xporter.wire.posting import Posted
from api_pipeline.xporter.write_back.batches import with_overtaken
from api_pipeline.xporter.write_back.bodies import WrongBody, read_body
from api_pipeline.xporter.write_back.rows import Kind, OutboxRow, Status
from api_pipeline.xporter.write_back.settling import Settled


@dataclass(frozen=True, slots=True)
class OpenRows:
    """The rows of a school that are not done, and those, by id, that cannot be sent as they are, with the reason.

    `left_out` counts those of the kinds that were not asked for.
    """

    rows: tuple[OutboxRow, ...]
    wrong: Mapping[int, str]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Outbox:
    """The outbox beside the landing tables. Errors of every method: DatabaseError."""

    store: LandingStore
    retrying: Retrying

    def check(self) -> None:
        """Raise DatabaseError, naming what makes the table, where it is not there."""
        if not self.store.has_outbox():
            raise DatabaseError(
                "The table xporter_outbox is not there; make it with: d2i-csc-api xporter deploy-schema --apply"
            )

    def schools(self) -> list[str]:
        """Return the schools that have rows that are not done."""
        return [str(row[0]).strip() for row in self._query("outbox_schools")]

    def open_rows(self, estab: str, kinds: Iterable[str]) -> OpenRows:
        """Return a school's rows of these kinds that are not done, the oldest first."""
        wanted = set(kinds)
        rows: list[OutboxRow] = []
        wrong: dict[int, str] = {}
        left_out: Counter[str] = Counter()
        for found in self._query("outbox_open", [estab]):
            kind = str(found[1]).strip().lower()
            if kind not in {known.value for known in Kind}:
                wrong[int(found[0])] = "kind: expected attendance, lesson, conduct or detention."
            elif kind not in wanted:
                left_out[kind] += 1
            else:
                try:
                    rows.append(_row(estab, Kind(kind), found))
                except WrongBody as error:
                    wrong[int(found[0])] = str(error)
        return OpenRows(tuple(rows), wrong, left_out)

    def claims(self, row: OutboxRow) -> set[str]:
        """Return the ids of the conduct records that rows of the same school and day are already."""
        found = self._query("outbox_claims", [row.estab, row.kind.value, row.day])
        return {key for (text,) in found for key in _ids(text)}

    def with_overtaken(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Return rows that change records with what later rows that were sent say of the same records."""
        days = {(row.estab, row.kind, row.day) for row in rows if row.update_id is not None}
        sent: list[OutboxRow] = []
        for estab, kind, day in sorted(days):
            for found in self._query("outbox_sent", [estab, kind.value, day]):
                with suppress(WrongBody):
                    sent.append(_row(estab, kind, found))
        return with_overtaken(rows, sent) if days else list(rows)

    def mark_sending(self, rows: Sequence[OutboxRow], seen: Mapping[int, frozenset[str]]) -> list[OutboxRow]:
        """Mark rows as sent without a clear answer; return those that were still to be sent."""
        now, text = utc_now(), "Sent; no clear answer has come."
        values = [[row.day, now, _text(seen.get(row.id, frozenset())), text, now, row.id] for row in rows]
        counts = self._change("outbox_sending", values)
        return [row for row, count in zip(rows, counts, strict=True) if count != 0]

    def take_back(self, rows: Sequence[OutboxRow]) -> None:
        """Write that rows were marked, and in no request; each is as it was before `mark_sending`."""
        text, now = "Not sent: the write-back was stopped.", utc_now()
        values = [[row.sent_at, row.attempts, _text(row.seen_before), text, now, row.id] for row in rows]
        self._change("outbox_take_back", values)

    def take_answer(self, rows: Sequence[OutboxRow], status: Status, posted: Posted) -> None:
        """Write what the answer to a request says of its rows."""
        made = {row.id: frozenset(posted.actual_ids.get(str(row.id), ())) or row.actual_ids for row in rows}
        said, now = [status.value, posted.text, posted.tracking_id], utc_now()
        self._change("outbox_answer", [[*said, _text(ids), now, row_id] for row_id, ids in made.items()])

    def settle(self, row: OutboxRow, settled: Settled) -> None:
        """Write what reading again says of a row."""
        now = utc_now()
        confirmed = now if settled.status is Status.CONFIRMED else None
        ids = _text(settled.ids or row.actual_ids)
        self._change("outbox_settle", [[settled.status.value, settled.text, row.day, ids, confirmed, now, row.id]])

    def refuse(self, row_id: int, text: str, day: str | None) -> None:
        """Write that a row will not be sent, and why."""
        self._change("outbox_settle", [[Status.REFUSED.value, text, day, None, None, utc_now(), row_id]])

    def _query(self, statement: str, values: Sequence[object] = ()) -> Sequence[Sequence[Any]]:
        return self.retrying.run(lambda: self.store.connection.query(self.store.sql(statement), values))

    def _change(self, statement: str, rows: Sequence[Sequence[object]]) -> list[int]:
        """Run a statement for each of `rows`, in one transaction; return how many rows each changed."""
        connection, sql = self.store.connection, self.store.sql(statement)

        def step() -> list[int]:
            with connection.transaction():
                return [connection.execute(sql, values) for values in rows]

        return self.retrying.run(step)


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
