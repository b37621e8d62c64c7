"""The staging table as `stage` sees it: which rows are there, what is known of them, and the changes put in.

The rows of one chunk are changed in one transaction, so that a staging that was cut off is completed by the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from api_pipeline.db import (
    Parameters,
    Rows,
    RowsMissed,
    in_chunks,
    most_rows,
    pages_by_id,
    parts_of,
)
from api_pipeline.model import Baseline, StagedRow
from api_pipeline.outbox.adoption import known_otherwise, sent_payloads
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import as_version, word
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.reading import PayloadError, parse_payload
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load
from api_pipeline.staging.changes import Change, Delete, Insert, ReceiverState, Rehash, Restore, Update
from api_pipeline.staging.reader import FILE
from api_pipeline.staging.sources import Known

_HEADS_IN_A_PAGE = 5000
# One statement of many rows is one round trip. What changes rows that are there keeps them locked while it is planned.
_ROWS_IN_A_STATEMENT = 100
_BUILT_TYPES = (str, str, str, str, str)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Head(NamedTuple):
    """What is known of every row from the start: its id, whether it is deleted, and its payload's hash."""

    id: int
    is_deleted: bool
    hash: bytes | str | None


class Writer:
    """Read and change staging rows on one connection. `receiver` is the key of what a receiver holds."""

    def __init__(self, store: StagingTable, receiver: str) -> None:
        self._store = store
        self._receiver = receiver
        self._has_control_tables = store.has_control_tables()
        self._extra = [
            name for name in ("legacy_id", "last_updated") if store.has_columns({store.tables.staging: name})
        ]
        self._keeps_text_hash = False

    def heads(self) -> dict[str, list[Head]]:
        """Return all rows by person; most people have one. Rows without a person stand for nobody who could leave."""
        found: dict[str, list[Head]] = {}
        connection, table = self._store.connection, self._store.tables.staging
        page = connection.page(_HEADS_IN_A_PAGE)["page"]
        for rows in pages_by_id(connection, lambda after: self._sql("read_heads", after=after, page=page), table):
            for row in rows:
                head = Head(int(row[0]), word(row[2]) == "deleted", as_version(row[3]))
                if (person := str(row[1])).strip():
                    found.setdefault(person, []).append(head)
        self._keeps_text_hash = self._sees_text_hash([head.hash for heads in found.values() for head in heads])
        return found

    def _sees_text_hash(self, hashes: Sequence[bytes | str | None]) -> bool:
        """Return whether the column keeps hashes as texts: as its rows do or, where none has a hash, by its type."""
        kinds = {type(one) for one in hashes if one is not None}
        connection, table = self._store.connection, self._store.tables.staging
        # SQLite keeps bytes in a column of any type.
        if kinds or connection.dialect is Dialect.SQLITE:
            return str in kinds
        sql = load(FILE)["see_columns"].sql.format(columns="current_hash", ssd="", ssd_table=table)
        return connection.describe(sql)[0][1] is str

    def rows(self, people: Mapping[int, str]) -> list[StagedRow]:
        """Return some rows as they stand now, in no particular order; `people` says whose each was, by its id.

        Errors: RowsMissed where a row is another person's by now.
        """
        rows = self._store.read_rows(list(people))
        if any(row.person_id != people[row.id] for row in rows if "person_id" not in row.unreadable):
            raise self._filled_anew()
        return rows

    def known(self, people: Mapping[int, str]) -> list[tuple[StagedRow, ReceiverState]]:
        """Return the same rows, each with what the receiver holds of its child. Errors: those of `rows`."""
        rows = self.rows(people)
        children = {row.id: child_of(row) for row in rows}
        baselines: dict[str, Baseline] = {}
        if self._has_control_tables:
            baselines = Baselines(self._store, self._receiver).read(list(children.values()))
        unknown = [row for row in rows if children[row.id] not in baselines]
        if self._has_control_tables:
            known = known_otherwise(self._store, self._receiver, [children[row.id] for row in unknown])
            unknown = [row for row in unknown if children[row.id] not in known]
        previous = sent_payloads(self._store, unknown, has_log=self._has_control_tables)
        return [(row, _held(row, baselines.get(children[row.id]), previous.get(row.id))) for row in rows]

    def known_of_new(self, people: Sequence[str]) -> dict[str, ReceiverState]:
        """Return, by person, what the receiver holds of people without a row; only of those whom it is known to hold.

        A table that is emptied, or one under a new name, has no rows of children whom the receiver holds already.
        """
        if not self._has_control_tables:
            return {}
        children = {person: person.strip(" ") for person in people}
        found = Baselines(self._store, self._receiver).read(list(children.values()))
        return {person: _recorded(found[child]) for person, child in children.items() if child in found}

    def left_window(self) -> dict[str, str]:
        """Return, by person, what left the time window and is to stay, as it is stored. Errors: DatabaseError."""
        if self._has_control_tables:
            self._store.check_retained()
        if not self._store.keeps_retained():
            return {}
        return {str(person): str(text) for person, text in self._store.connection.query(self._sql("read_left_windows"))}

    def keeps_built(self) -> bool:
        """Return whether the table is there of what payloads were built from."""
        return self._store.has_columns(
            {self._store.tables.built: "person_id, source_hash, first_day, last_day, issues"}
        )

    def built(self) -> dict[str, Known]:
        """Return, by person, what the staged payload was built from; only where `keeps_built`."""
        rows = self._store.connection.query(self._sql("read_built"))
        return {
            str(person): Known(source, date.fromisoformat(first), date.fromisoformat(last), issues)
            for person, source, first, last, issues in rows
        }

    def delete_built(self, people: Sequence[str]) -> None:
        """Take out what was recorded of people who are staged no longer. Errors: DatabaseError."""
        for part in in_chunks(people, most_rows(1)):
            self._execute("delete_built", [part])

    def write(
        self,
        changes: Sequence[Change],
        now: datetime,
        left: Mapping[str, str] = _NOTHING,
        built: Mapping[str, Known] = _NOTHING,
    ) -> None:
        """Put the changes of a chunk into the table in one transaction. Errors: DatabaseError, with none kept.

        `left` is what is recorded as outside the window, `built` what payloads were built from; both by person.
        """
        if not (changes or built):
            return
        left = left if self._store.keeps_retained() else {}
        with self._store.connection.transaction():
            self._check_people(
                {change.row_id: change.person_id for change in changes if not isinstance(change, Insert)}
            )
            self._insert([change for change in changes if isinstance(change, Insert)], now)
            updates = [change for change in changes if isinstance(change, Update)]
            self._update("update_changed", [(c, c.row_state, c.kept_answer) for c in updates], now)
            restored = [change for change in changes if isinstance(change, Restore)]
            self._update("restore", [(c, "unchanged", c.receipt) for c in restored], now)
            self._rehash([change for change in changes if isinstance(change, Rehash)])
            for statement, is_held in (("delete_held", True), ("delete_unknown", False)):
                gone = [change.row_id for change in changes if isinstance(change, Delete) and change.is_held is is_held]
                self._delete(statement, gone, now)
            for people in in_chunks(list(left), _ROWS_IN_A_STATEMENT):
                self._execute("delete_left_window", [people])
            outside = [(person, text) for person, text in left.items() if text]
            self._insert_rows("insert_left_window", ("?", "?text"), outside)
            self.delete_built(list(built))
            self._insert_built([_built_row(*one) for one in built.items()])

    def _check_people(self, people: Mapping[int, str]) -> None:
        """See, and keep until the end of the transaction, that each row still is the person's it was read with."""
        pieces = self._store.connection.page(0)
        locks = {name: pieces[name] for name in ("lock_rows", "locked")}
        for ids in in_chunks(list(people), _ROWS_IN_A_STATEMENT):
            rows = self._store.connection.query(self._sql("read_people", **locks), [ids])
            now = {int(row[0]): str(row[1]) for row in rows}
            if any(now.get(row_id) != people[row_id] for row_id in ids):
                raise self._filled_anew()

    def _filled_anew(self) -> RowsMissed:
        return RowsMissed(
            f"The table {self._store.tables.staging} was emptied or filled anew while it was being staged; "
            "let nothing else fill it at that time, then stage again."
        )

    def _insert(self, changes: Sequence[Insert], now: datetime) -> None:
        columns = {
            **{"person_id": "?", "json_payload": "?text", "current_hash": "?", "row_state": "?"},
            **{"submission_status": "?", "submission_timestamp": "?time"},
            **{name: "?time" if name == "last_updated" else "?" for name in self._extra},
        }
        rows = [
            (
                *(change.person_id, change.version.text, self._hash(change.version.hash), "new", "pending", None),
                *self._more(change.version.legacy_id, now),
            )
            for change in changes
        ]
        self._insert_rows("insert_new", tuple(columns.values()), rows, columns=", ".join(columns))

    def _insert_built(self, rows: Sequence[Parameters]) -> None:
        for part in parts_of(self._store.connection.dialect, rows, len(_BUILT_TYPES)):
            self._execute("insert_built", [Rows(_BUILT_TYPES, part)], expected=len(part))

    def _insert_rows(self, statement: str, marks: Sequence[str], rows: Sequence[Parameters], **pieces: str) -> None:
        for part in in_chunks(rows, most_rows(len(marks))):
            values = ", ".join([f"({', '.join(marks)})"] * len(part))
            parameters = [value for row in part for value in row]
            self._execute(statement, parameters, expected=len(part), values=values, **pieces)

    def _update(
        self, statement: str, changes: Sequence[tuple[Update | Restore, str, str | None]], now: datetime
    ) -> None:
        types = (int, str, self._type_of_hash, str, str, str)
        more = ", legacy_id = changed.legacy_id" if "legacy_id" in self._extra else ""
        shared = [now] if self._dates_rows else []
        rows = [
            (c.row_id, c.version.text, self._hash(c.version.hash), state, answer, c.version.legacy_id)
            for c, state, answer in changes
        ]
        self._update_rows(statement, types, rows, shared, more=more + self._dated)

    def _rehash(self, changes: Sequence[Rehash]) -> None:
        rows = [(change.row_id, self._hash(change.hash)) for change in changes]
        self._update_rows("rehash", (int, self._type_of_hash), rows, [])

    def _update_rows(
        self, statement: str, types: Sequence[type], rows: Sequence[Parameters], shared: Parameters, **pieces: str
    ) -> None:
        for part in in_chunks(rows, _ROWS_IN_A_STATEMENT):
            parameters = [*shared, Rows(types, part), [row[0] for row in part]]
            self._execute(statement, parameters, expected=len(part), **pieces)

    def _delete(self, statement: str, row_ids: Sequence[int], now: datetime) -> None:
        shared = [now] if self._dates_rows else []
        for ids in in_chunks(row_ids, _ROWS_IN_A_STATEMENT):
            self._execute(statement, [*shared, ids], expected=len(ids), more=self._dated)

    def _execute(self, statement: str, parameters: Parameters, *, expected: int | None = None, **pieces: str) -> None:
        self._store.connection.execute(self._sql(statement, **pieces), parameters, expected=expected)

    @property
    def _dates_rows(self) -> bool:
        return "last_updated" in self._extra

    @property
    def _dated(self) -> str:
        return ", last_updated = ?time" if self._dates_rows else ""

    @property
    def _type_of_hash(self) -> type:
        return str if self._keeps_text_hash else bytes

    def _more(self, legacy_id: str | None, now: datetime) -> list[object]:
        values: dict[str, object] = {"legacy_id": legacy_id, "last_updated": now}
        return [values[name] for name in self._extra]

    def _hash(self, digest: bytes) -> bytes | str:
        return digest.hex() if self._keeps_text_hash else digest

    def _sql(self, name: str, **pieces: str) -> str:
        tables = self._store.tables
        names = {"table": tables.staging, "left_window": tables.left_window, "built": tables.built}
        lists = {"rows": "?rows", "ids": "?among", "people": "?among"}
        return load(FILE)[name].sql.format(**names, **lists, **pieces)


def child_of(row: StagedRow) -> str:
    """Return the `la_child_id` of a row's payload, or its person id where there is none."""
    try:
        return parse_payload(row.json_payload).la_child_id
    except PayloadError:
        return row.person_id


def _built_row(person: str, known: Known) -> Parameters:
    return (person, known.source_hash, known.first_day.isoformat(), known.last_day.isoformat(), known.issues)


def _held(row: StagedRow, baseline: Baseline | None, previous: str | None) -> ReceiverState:
    # The same that makes a deletion due (store.is_due): what the control table says, else the row's own memory.
    if baseline is None:
        kept = row.api_response if previous is not None else None
        return ReceiverState(row.has_previous, previous, row.api_response if previous is not None else None, kept)
    state = _recorded(baseline)
    return replace(state, is_held=True) if row.has_previous else state


def _recorded(baseline: Baseline) -> ReceiverState:
    payload = baseline.held if baseline.in_doubt is None else None
    return ReceiverState(not baseline.is_empty, payload, baseline.receipt)
