"""The changes that `stage` makes: to the staging table, and to what the control tables say of it.

The rows of one chunk are changed in one transaction, so that a staging that was cut off is completed by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from api_pipeline.db import Parameters, Rows, in_chunks, most_rows, parts_of
from api_pipeline.errors import DatabaseError
from api_pipeline.staging.changes import Change, Delete, Insert, Rehash, Update
from api_pipeline.staging.sources import Known
from api_pipeline.staging.staged import Head, Staged

# One statement of many rows is one round trip. What changes rows that are there keeps them locked while it is planned.
_ROWS_IN_A_STATEMENT = 100
_BUILT_TYPES = (str, str, str, str, str)


class Writer:
    """Change what `staged` reads, on its connection. The hashes have the type that `staged` saw."""

    def __init__(self, staged: Staged) -> None:
        self._staged = staged
        self._connection = staged.store.connection
        table = staged.store.tables.staging
        self._has_legacy_id = staged.store.has_columns({table: "legacy_id"})
        self._has_last_updated = staged.store.has_columns({table: "last_updated"})
        self._payload = staged.store.as_stored("json_payload", "changed.payload")
        self._inserted: dict[str, bytes] = {}
        # By row: the hash that it must have, None where that was not written, and whether it must be deleted.
        self._changed: dict[int, tuple[bytes | None, bool | None]] = {}

    def write(
        self, changes: Sequence[Change], now: datetime, retained: Mapping[str, str], built: Mapping[str, Known]
    ) -> None:
        """Put the changes of a chunk into the table in one transaction. Errors: DatabaseError, with none kept.

        `retained` is what is to be recorded as retained ("": nothing any more), `built` what payloads were built from;
        both by person.
        """
        if not (changes or built):
            return
        with self._connection.transaction():
            self._check_people({c.row_id: c.person_id for c in changes if not isinstance(c, Insert)})
            self._insert([change for change in changes if isinstance(change, Insert)], now)
            self._update([change for change in changes if isinstance(change, Update)], now)
            self._rehash([change for change in changes if isinstance(change, Rehash)])
            for statement, is_held in (("delete_held", True), ("delete_unknown", False)):
                gone = [change.row_id for change in changes if isinstance(change, Delete) and change.is_held is is_held]
                self._delete(statement, gone, now)
            if self._staged.store.keeps_retained():
                self._record_retained(retained)
            self.delete_built(list(built))
            self._insert_built(built)
        self._remember(changes)

    def delete_built(self, people: Sequence[str]) -> None:
        """Take out what was recorded of people who are staged no longer. Errors: DatabaseError."""
        for part in in_chunks(_spellings(people), most_rows(1)):
            self._execute("delete_built", [part])

    def check_stored(self, heads: Mapping[str, Sequence[Head]]) -> None:
        """Compare what was written with the rows that the table has now.

        Errors: DatabaseError, saying how many are not as written.
        """
        by_id = {head.id: head for found in heads.values() for head in found}
        # A CHAR column fills ids up with blanks.
        hashes = {(person.rstrip(" "), head.hash) for person, found in heads.items() for head in found}
        missing = sum((person.rstrip(" "), digest) not in hashes for person, digest in self._inserted.items())
        missing += sum(not _is_as_written(by_id.get(row), *meant) for row, meant in self._changed.items())
        if missing:
            raise DatabaseError(
                f"{missing} of {len(self._inserted) + len(self._changed)} rows that were staged are not in "
                f"{self._staged.store.tables.staging} as they were written: a trigger, a view or another program "
                "changed them, or the database undid what it had confirmed. Ask the database administrator, then stage "
                "again, which completes the work."
            )

    def _remember(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case Insert():
                    self._inserted[change.person_id] = change.version.hash
                case Update():
                    self._changed[change.row_id] = (change.version.hash, False)
                case Rehash():
                    self._changed[change.row_id] = (change.hash, None)
                case Delete():
                    self._changed[change.row_id] = (None, True)

    def _check_people(self, people: Mapping[int, str]) -> None:
        """See, and keep until the end of the transaction, that each row still is the person's it was read with."""
        pieces = self._connection.page(0)
        locks = {name: pieces[name] for name in ("lock_rows", "locked")}
        for ids in in_chunks(list(people), _ROWS_IN_A_STATEMENT):
            rows = self._connection.query(self._staged.sql("read_people", **locks), [ids])
            now = {int(row[0]): str(row[1]) for row in rows}
            if any(now.get(row_id) != people[row_id] for row_id in ids):
                raise self._staged.filled_anew()

    def _insert(self, changes: Sequence[Insert], now: datetime) -> None:
        marks = {
            **{"person_id": "?", "json_payload": "?text", "current_hash": "?", "row_state": "?"},
            **{"submission_status": "?", "submission_timestamp": "?time"},
            **({"legacy_id": "?"} if self._has_legacy_id else {}),
            **({"last_updated": "?time"} if self._has_last_updated else {}),
        }
        rows = [
            (
                *(change.person_id, change.version.text, self._hash(change.version.hash), "new", "pending", None),
                *([change.version.legacy_id] if self._has_legacy_id else []),
                *self._now(now),
            )
            for change in changes
        ]
        self._insert_rows("insert_new", list(marks.values()), rows, columns=", ".join(marks))

    def _update(self, changes: Sequence[Update], now: datetime) -> None:
        types = (int, str, self._staged.hash_type, str, str, str, str)
        more = ", legacy_id = changed.legacy_id" if self._has_legacy_id else ""
        rows = [
            (
                *(change.row_id, change.version.text, self._hash(change.version.hash)),
                *(change.row_state, change.submission_status, change.answer, change.version.legacy_id),
            )
            for change in changes
        ]
        pieces = {"payload": self._payload, "more": more + self._dated}
        self._update_rows("update_changed", types, rows, self._now(now), **pieces)

    def _rehash(self, changes: Sequence[Rehash]) -> None:
        rows = [(change.row_id, self._hash(change.hash)) for change in changes]
        self._update_rows("rehash", (int, self._staged.hash_type), rows, [])

    def _update_rows(
        self, statement: str, types: Sequence[type], rows: Sequence[Parameters], shared: Parameters, **pieces: str
    ) -> None:
        for part in in_chunks(rows, _ROWS_IN_A_STATEMENT):
            parameters = [*shared, Rows(types, part), [row[0] for row in part]]
            self._execute(statement, parameters, expected=len(part), **pieces)

    def _delete(self, statement: str, row_ids: Sequence[int], now: datetime) -> None:
        for ids in in_chunks(row_ids, _ROWS_IN_A_STATEMENT):
            self._execute(statement, [*self._now(now), ids], expected=len(ids), more=self._dated)

    def _record_retained(self, retained: Mapping[str, str]) -> None:
        for people in in_chunks(_spellings(retained), _ROWS_IN_A_STATEMENT):
            self._execute("delete_left_window", [people])
        rows = list({person.rstrip(" "): text for person, text in retained.items() if text}.items())
        self._insert_rows("insert_left_window", ("?", "?text"), rows)

    def _insert_built(self, built: Mapping[str, Known]) -> None:
        rows = [
            (person, known.source_hash, known.first_day.isoformat(), known.last_day.isoformat(), known.issues)
            for person, known in {person.rstrip(" "): known for person, known in built.items()}.items()
        ]
        for part in parts_of(self._connection.dialect, rows, len(_BUILT_TYPES)):
            self._execute("insert_built", [Rows(_BUILT_TYPES, part)], expected=len(part))

    def _insert_rows(self, statement: str, marks: Sequence[str], rows: Sequence[Parameters], **pieces: str) -> None:
        for part in in_chunks(rows, most_rows(len(marks))):
            values = ", ".join([f"({', '.join(marks)})"] * len(part))
            parameters = [value for row in part for value in row]
            self._execute(statement, parameters, expected=len(part), values=values, **pieces)

    def _execute(self, statement: str, parameters: Parameters, *, expected: int | None = None, **pieces: str) -> None:
        self._connection.execute(self._staged.sql(statement, **pieces), parameters, expected=expected)

    @property
    def _dated(self) -> str:
        return ", last_updated = ?time" if self._has_last_updated else ""

    def _now(self, now: datetime) -> Parameters:
        return [now] if self._has_last_updated else []

    def _hash(self, digest: bytes) -> bytes | str:
        return digest.hex() if self._staged.hash_type is str else digest


def _spellings(people: Iterable[str]) -> list[str]:
    """Return the ids by which people may be recorded: without blanks at the end, and with them by earlier versions."""
    return list(dict.fromkeys(one for person in people for one in (person.rstrip(" "), person)))


def _is_as_written(head: Head | None, digest: bytes | None, is_deleted: bool | None) -> bool:
    return (
        head is not None
        and (digest is None or head.hash == digest)
        and (is_deleted is None or head.is_deleted == is_deleted)
    )
