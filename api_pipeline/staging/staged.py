"""What is staged, what the control tables say of it, and what the receiver holds of its children: the reading half.

The other half is `writer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from api_pipeline.db import RowsMissed, pages_by_id
from api_pipeline.model import Baseline, StagedRow
from api_pipeline.outbox.adoption import known_otherwise, sent_payloads
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import as_version, word
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.reading import child_of
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load
from api_pipeline.staging.changes import ReceiverState, digest_of
from api_pipeline.staging.reader import FILE
from api_pipeline.staging.sources import Known

_HEADS_IN_A_PAGE = 5000


class Head(NamedTuple):
    """What is known of every row from the start: its id, whether it is deleted, and its payload's hash, if it is one.

    The hash is that of `changes.digest_of`.
    """

    id: int
    is_deleted: bool
    hash: bytes | None


class Staged:
    """The staging table and its control tables on one connection. `receiver` is the key of what a receiver holds."""

    def __init__(self, store: StagingTable, receiver: str) -> None:
        self.store = store
        self._receiver = receiver
        self._has_control_tables = store.has_control_tables()
        self.hash_type: type = bytes
        """Of which type the column of hashes is, once `heads` were read."""

    def heads(self) -> dict[str, list[Head]]:
        """Return all rows by person; most people have one. Rows without a person stand for nobody who could leave."""
        found: dict[str, list[Head]] = {}
        types: set[type] = set()
        connection, table = self.store.connection, self.store.tables.staging
        page = connection.page(_HEADS_IN_A_PAGE)["page"]
        for rows in pages_by_id(connection, lambda after: self.sql("read_heads", after=after, page=page), table):
            for row_id, person, state, stored in rows:
                version = as_version(stored)
                if str(person).strip():
                    types.add(type(version))
                    head = Head(int(row_id), word(state) == "deleted", digest_of(version))
                    found.setdefault(str(person), []).append(head)
        self.hash_type = self._type_of_hash(types - {type(None)})
        return found

    def _type_of_hash(self, types: set[type]) -> type:
        """Return whether hashes are kept as texts or bytes: as in the rows or, where none has one, by the column."""
        connection, table = self.store.connection, self.store.tables.staging
        # SQLite keeps bytes in a column of any type.
        if types or connection.dialect is Dialect.SQLITE:
            return str if str in types else bytes
        sql = load(FILE)["see_columns"].sql.format(columns="current_hash", ssd="", ssd_table=table)
        return str if connection.describe(sql)[0][1] is str else bytes

    def rows(self, people: Mapping[int, str]) -> list[StagedRow]:
        """Return some rows as they stand now, in no particular order; `people` says whose each was, by its id.

        Errors: RowsMissed where a row is another person's by now.
        """
        rows = self.store.read_rows(list(people))
        if any(row.person_id != people[row.id] for row in rows if "person_id" not in row.unreadable):
            raise self.filled_anew()
        return rows

    def filled_anew(self) -> RowsMissed:
        """Return the error that a row is no longer the person's with whom it was read."""
        return RowsMissed(
            f"The table {self.store.tables.staging} was emptied or filled anew while it was being staged; "
            "let nothing else fill it at that time, then stage again."
        )

    def known(self, people: Mapping[int, str]) -> list[tuple[StagedRow, ReceiverState]]:
        """Return the same rows, each with what the receiver holds of its child. Errors: those of `rows`."""
        rows = self.rows(people)
        children = {row.id: child_of(row.json_payload) or row.person_id for row in rows}
        baselines: dict[str, Baseline] = {}
        known: set[str] = set()
        if self._has_control_tables:
            baselines = Baselines(self.store, self._receiver).read(list(children.values()))
            others = [child for child in children.values() if child not in baselines]
            known = {*baselines, *known_otherwise(self.store, self._receiver, others)}
        unknown = [row for row in rows if children[row.id] not in known]
        previous = sent_payloads(self.store, unknown, has_log=self._has_control_tables)
        return [(row, _held(row, baselines.get(children[row.id]), previous.get(row.id))) for row in rows]

    def known_of_new(self, people: Sequence[str]) -> dict[str, ReceiverState]:
        """Return, by person, what the receiver holds of people without a row; only of those whom it is known to hold.

        A table that is emptied, or one under a new name, has no rows of children whom the receiver holds already.
        """
        if not self._has_control_tables:
            return {}
        children = {person: person.strip(" ") for person in people}
        found = Baselines(self.store, self._receiver).read(list(children.values()))
        return {person: _recorded(found[child]) for person, child in children.items() if child in found}

    def retained(self) -> dict[str, str]:
        """Return, by person, what is recorded as retained, as it is stored. Errors: DatabaseError."""
        if self._has_control_tables:
            self.store.check_retained()
        if not self.store.keeps_retained():
            return {}
        return {str(person): str(text) for person, text in self.store.connection.query(self.sql("read_left_windows"))}

    def keeps_built(self) -> bool:
        """Return whether the table is there of what payloads were built from."""
        return self.store.has_columns({self.store.tables.built: "person_id, source_hash, first_day, last_day, issues"})

    def built(self) -> dict[str, Known]:
        """Return, by person, what the staged payload was built from; only where `keeps_built`."""
        rows = self.store.connection.query(self.sql("read_built"))
        return {
            str(person): Known(source, date.fromisoformat(first), date.fromisoformat(last), issues)
            for person, source, first, last, issues in rows
        }

    def sql(self, name: str, **pieces: str) -> str:
        """Return a statement of `staging_queries.sql` on these tables."""
        tables = self.store.tables
        names = {"table": tables.staging, "left_window": tables.left_window, "built": tables.built}
        lists = {"rows": "?rows", "ids": "?among", "people": "?among"}
        return load(FILE)[name].sql.format(**names, **lists, **pieces)


def _held(row: StagedRow, baseline: Baseline | None, previous: str | None) -> ReceiverState:
    # The same that makes a deletion due (`is_due`): what the control table says, else the row's own memory.
    if baseline is None:
        answer = row.api_response if previous is not None else None
        return ReceiverState(row.has_previous, previous, answer, answer)
    state = _recorded(baseline)
    return replace(state, is_held=True) if row.has_previous else state


def _recorded(baseline: Baseline) -> ReceiverState:
    payload = baseline.held if baseline.in_doubt is None else None
    return ReceiverState(not baseline.is_empty, payload, baseline.receipt)
