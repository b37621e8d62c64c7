"""Read the days of rows that were sent, and settle what the school's data show of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from api_pipeline.common.clock import utc_now
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.wire.access import Failed, Outcome
from api_pipeline.xporter.write_back.options import SchoolParts
from api_pipeline.xporter.write_back.rows import OutboxRow, Status, shape_of
from api_pipeline.xporter.write_back.settling import Seen, Settled, settle

# They say nothing of rows of another kind.
_OF_ONE_WAY = frozenset({Outcome.NO_SCOPE, Outcome.NOT_FOUND, Outcome.NOT_SUPPORTED})


class Reader:
    """Read one school's data of a day, and settle rows. `shut` are the ways of rows that wait for the next time."""

    def __init__(self, parts: SchoolParts) -> None:
        self._parts = parts
        self._client = parts.client
        self.shut: set[tuple[str, str]] = set()

    def shut_way(self, row: OutboxRow, failure: Failed) -> None:
        """Let rows of the way of `row` wait where `failure` is about these alone. Errors: the failure, elsewhere."""
        if failure.outcome not in _OF_ONE_WAY or failure.ends_school:
            raise failure
        self.shut.add(row.way)
        summary = self._parts.summary
        summary.outcomes.setdefault(row.estab, failure.outcome)
        summary.say(row.estab, f"{failure.text}; its rows of the kind {row.kind.value} wait for the next write-back.")

    def see(self, row: OutboxRow) -> Seen:
        """Return what the school's data show of the day of a row. Errors: Failed, Stopped."""
        shape = shape_of(row)
        query = [("DateFrom", row.day), ("DateTo", row.day)] if shape else [("date", row.day)]
        endpoint = load_catalogue().endpoint(shape.endpoint if shape else "AttendanceForDate")
        options = ["includeStudentIds"] if endpoint.name == "BehaviourForDateRange" else []
        with self._client.data(endpoint, query, options) as answer:
            tables = {}
            for name, rows in answer.tables.items():
                known = endpoint.table_named(name)
                tables[(known.name if known else name).lower()] = list(rows)
            return Seen(tables, answer.data_from)

    def settle(self, rows: Iterable[OutboxRow], *, may_repeat: bool = True) -> list[OutboxRow]:
        """Settle rows that were sent; return those to be sent again. Errors: Failed, Stopped, DatabaseError.

        Without `may_repeat` they were sent a moment ago: what is not there yet may still come.
        """
        groups: dict[tuple[str, str, str], list[OutboxRow]] = {}
        for row in self._parts.outbox.with_overtaken(list(rows)):
            shape = shape_of(row)
            part = "" if shape is None else f"{shape.endpoint} {row.makes_record}"
            groups.setdefault((row.kind.value, row.day, part), []).append(row)
        again: list[OutboxRow] = []
        unread = list(groups.values())
        try:
            while unread:
                again.extend(self._settle_or_shut(unread[0], may_repeat=may_repeat))
                del unread[0]
        except Failed:
            self._parts.summary.count_open(row for group in unread for row in group)
            self._parts.summary.waiting += len(again)
            raise
        return again

    def _settle_or_shut(self, group: list[OutboxRow], *, may_repeat: bool) -> list[OutboxRow]:
        if group[0].way not in self.shut:
            try:
                return self._settle_group(group, may_repeat=may_repeat)
            except Failed as failure:
                self.shut_way(group[0], failure)
        self._parts.summary.count_open(group)
        return []

    def _settle_group(self, group: list[OutboxRow], *, may_repeat: bool) -> list[OutboxRow]:
        seen = self.see(group[0])
        claimed = self._parts.outbox.claims(group[0]) if group[0].makes_record else set()
        again: list[OutboxRow] = []
        for row in group:
            found = settle(row, seen, claimed, utc_now(), self._parts.options.waits)
            if found is None or (not may_repeat and found.status is not Status.CONFIRMED):
                self._parts.summary.count_open([row])
                continue
            claimed |= found.ids
            if found.status is Status.PENDING:
                again.append(replace(row, status=Status.PENDING))
            else:
                self._parts.summary.became[found.status.value] += 1
            self._keep(row, found)
        return again

    def _keep(self, row: OutboxRow, found: Settled) -> None:
        if not self._parts.options.is_dry_run:
            self._parts.outbox.settle(row, found)
