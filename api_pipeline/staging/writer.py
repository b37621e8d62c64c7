"""The staging table as `stage` sees it: which rows are there, what is known of them, and the changes put in.

The rows of one chunk are changed in one transaction, so that a staging that was cut off is completed by the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from api_pipeline.db import Parameters
from api_pipeline.model import Baseline, StagedRow
from api_pipeline.outbox.adoption import sent_payloads
from api_pipeline.outbox.staging_table import StagingTable, as_version, word
from api_pipeline.payload import PayloadError, parse_payload
from api_pipeline.sql.statements import load, placeholders
from api_pipeline.staging.changes import Change, Delete, Held, Insert, Rehash, Restore, Update
from api_pipeline.staging.reader import FILE

_HEADS_IN_A_PAGE = 5000
# One statement of many rows: a driver that takes no arrays would send one for each row.
_ROWS_IN_A_STATEMENT = 100


class Head(NamedTuple):
    """What is known of every row from the start: its id, whether it is deleted, and its payload's hash."""

    id: int
    is_deleted: bool
    hash: bytes | str | None


class Writer:
    """Read and changes staging rows on one connection. `receiver` is the key of what a receiver holds."""

    def __init__(self, store: StagingTable, receiver: str) -> None:
        self._store = store
        self._receiver = receiver
        self._has_companions = store.has_control_tables()
        self._extra = [name for name in ("legacy_id", "last_updated") if store.has_columns(store.tables.staging, name)]
        self._keeps_text_hash = False

    def heads(self) -> dict[str, list[Head]]:
        """Return all rows by person; most people have one."""
        found: dict[str, list[Head]] = {}
        after = -(2**31)
        page = self._store.connection.page(_HEADS_IN_A_PAGE)["page"]
        while rows := self._store.connection.query(self._sql("read_heads", page=page), [after]):
            after = rows[-1][0]
            for row in rows:
                head = Head(int(row[0]), word(row[2]) == "deleted", as_version(row[3]))
                self._keeps_text_hash = self._keeps_text_hash or isinstance(head.hash, str)
                found.setdefault(str(row[1]), []).append(head)
        return found

    def rows(self, ids: Sequence[int]) -> list[StagedRow]:
        """Return some rows as they stand now, in no particular order."""
        return self._store.read_rows(ids)

    def known(self, ids: Sequence[int]) -> list[tuple[StagedRow, Held]]:
        """Return some rows as they stand now, each with what the receiver holds of its child."""
        rows = self._store.read_rows(ids)
        children = {row.id: child_of(row) for row in rows}
        baselines: dict[str, Baseline] = {}
        if self._has_companions:
            baselines = self._store.baselines(self._receiver, list(children.values()))
        unknown = [row for row in rows if children[row.id] not in baselines]
        previous = sent_payloads(self._store, unknown, has_log=self._has_companions)
        return [(row, _held(row, baselines.get(children[row.id]), previous.get(row.id))) for row in rows]

    def left_window(self) -> dict[str, str]:
        """Return, by person, what left the time window and is not to be purged, as it is stored."""
        if not self._store.keeps_retained():
            return {}
        return {str(person): str(text) for person, text in self._store.connection.query(self._sql("read_left_windows"))}

    def write(self, changes: Sequence[Change], now: datetime, left: Mapping[str, str] = MappingProxyType({})) -> None:
        """Put the changes of a chunk into the table in one transaction. Errors: DatabaseError, with none kept."""
        if not changes:
            return
        left = left if self._store.keeps_retained() else {}
        with self._store.connection.transaction():
            self._insert([change for change in changes if isinstance(change, Insert)], now)
            for statement, more, rows in (
                ("update_changed", self._extra, [self._updated(c, now) for c in changes if isinstance(c, Update)]),
                ("restore", self._extra, [self._restored(c, now) for c in changes if isinstance(c, Restore)]),
                ("rehash", [], [(self._hash(c.hash), c.row_id) for c in changes if isinstance(c, Rehash)]),
                ("delete_held", self._dated, self._deleted(changes, now, is_held=True)),
                ("delete_unknown", self._dated, self._deleted(changes, now, is_held=False)),
            ):
                assignments = "".join(f", {name} = ?" for name in more)
                self._store.connection.execute_many(self._sql(statement, more=assignments), rows)
            self._store.connection.execute_many(self._sql("forget_left_window"), [(person,) for person in left])
            self._in_groups("note_left_window", [(person, text) for person, text in left.items() if text])

    @property
    def _dated(self) -> list[str]:
        return [name for name in self._extra if name == "last_updated"]

    def _insert(self, changes: Sequence[Insert], now: datetime) -> None:
        columns = ["person_id", "json_payload", "current_hash", "row_state", "submission_status"]
        names = ", ".join([*columns, "submission_timestamp", *self._extra])
        rows = [
            (
                *(change.person_id, change.version.text, self._hash(change.version.hash), "new", "pending", None),
                *self._more(change.version.legacy_id, now),
            )
            for change in changes
        ]
        self._in_groups("insert_new", rows, columns=names)

    def _in_groups(self, statement: str, rows: Sequence[Parameters], **pieces: str) -> None:
        for start in range(0, len(rows), _ROWS_IN_A_STATEMENT):
            part = rows[start : start + _ROWS_IN_A_STATEMENT]
            marks = ", ".join([f"({placeholders(len(part[0]))})"] * len(part))
            sql = self._sql(statement, values=marks, **pieces)
            self._store.connection.execute(sql, [value for row in part for value in row])

    def _updated(self, change: Update, now: datetime) -> Parameters:
        version = change.version
        head = (version.text, self._hash(version.hash), change.row_state, change.kept_answer)
        return (*head, *self._more(version.legacy_id, now), change.row_id)

    def _restored(self, change: Restore, now: datetime) -> Parameters:
        version = change.version
        head = (version.text, self._hash(version.hash), change.receipt)
        return (*head, *self._more(version.legacy_id, now), change.row_id)

    def _deleted(self, changes: Sequence[Change], now: datetime, *, is_held: bool) -> list[Parameters]:
        left = (change for change in changes if isinstance(change, Delete) and change.is_held is is_held)
        return [(*([now] if self._dated else []), change.row_id) for change in left]

    def _more(self, legacy_id: str | None, now: datetime) -> list[object]:
        values: dict[str, object] = {"legacy_id": legacy_id, "last_updated": now}
        return [values[name] for name in self._extra]

    def _hash(self, digest: bytes) -> bytes | str:
        return digest.hex() if self._keeps_text_hash else digest

    def _sql(self, name: str, **pieces: str) -> str:
        tables = self._store.tables
        return load(FILE)[name].sql.format(table=tables.staging, left_window=tables.left_window, **pieces)


def child_of(row: StagedRow) -> str:
    """Return the `la_child_id` of a row's payload, or its person id where there is none."""
    try:
        return parse_payload(row.json_payload).la_child_id
    except PayloadError:
        return row.person_id


def _held(row: StagedRow, baseline: Baseline | None, previous: str | None) -> Held:
    # The same that makes a deletion due (store.is_due): what the control table says, else the row's own memory.
    if baseline is None:
        kept = row.api_response if previous is not None else None
        return Held(row.has_previous, previous, row.api_response if previous is not None else None, kept)
    is_held = baseline.held is not None or baseline.in_doubt is not None or row.has_previous
    payload = baseline.held if baseline.in_doubt is None else None
    return Held(is_held, payload, baseline.receipt)
