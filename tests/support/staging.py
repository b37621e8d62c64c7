"""Rows for the staging table: built by name, put in fast, and read back for assertions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Any, Final, TypeAlias

from api_pipeline.sql.identifiers import Dialect
from tests.support.databases import TestDatabase, as_moment

Payload: TypeAlias = "dict[str, Any] | str | None"
_TIMES: Final = frozenset(
    {"submission_timestamp", "last_updated", "accepted_at", "logged_at", "begun_at", "started_at", "finished_at"}
)


class _OfPayload:
    """Stand for "the SHA-256 of the payload's text", where no hash was named."""


OF_PAYLOAD: Final = _OfPayload()


@dataclass(frozen=True, slots=True)
class Staged:
    """A row to be put into the staging table; the names are those of its columns (`id` is given by the database)."""

    person_id: str | None
    legacy_id: str | None
    previous_json_payload: str | None
    json_payload: str | None
    partial_json_payload: str | None
    current_hash: bytes | str | None
    previous_hash: bytes | str | None
    submission_status: str | None
    submission_timestamp: datetime | None
    api_response: str | None
    row_state: str | None
    last_updated: datetime | None


def child(person: str, **members: Any) -> dict[str, Any]:
    """Return a small valid payload of an invented child; `members` are added or replaced at its top level."""
    details = {"first_name": f"Given {person}", "surname": "Sample", "date_of_birth": "2014-03-09", "sex": "F"}
    return {"la_child_id": person, "child_details": details, **members}


EPISODE: Final = {"social_care_episode_id": "E1", "referral_date": "2026-01-05"}
"""The smallest valid episode of social care."""


def text_of(payload: Payload) -> str | None:
    """Return a payload as it is staged: a text stays as it is, an object becomes JSON with its letters unescaped."""
    if payload is None or isinstance(payload, str):
        return payload
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def hash_of(payload: Payload) -> bytes:
    """Return the hash that stands for a version of a payload: SHA-256 of its text, 32 bytes."""
    return sha256((text_of(payload) or "").encode("utf-8")).digest()


def staged(
    person: str | None = "1001",
    payload: Payload | _OfPayload = OF_PAYLOAD,
    status: str | None = "Pending",
    state: str | None = "New",
    *,
    hash: bytes | str | _OfPayload | None = OF_PAYLOAD,  # noqa: A002 - the column's word
    previous: Payload = None,
    previous_hash: bytes | str | _OfPayload | None = OF_PAYLOAD,
    partial: Payload = None,
    response: str | None = None,
    timestamp: datetime | None = None,
    legacy_id: str | None = None,
    last_updated: datetime | None = datetime(2026, 11, 2, 3, 4, 5),  # noqa: DTZ001 - the column has no zone
) -> Staged:
    """Return a row as the build would stage it; what is not named is a small valid payload and its hash.

    `previous` set without `previous_hash` gets its own hash. `payload=None` stages a null.
    """
    text = text_of(child(person or "1001") if isinstance(payload, _OfPayload) else payload)
    before = text_of(previous)
    if isinstance(hash, _OfPayload):
        hash = hash_of(text)  # noqa: A001 - the column's word
    if isinstance(previous_hash, _OfPayload):
        previous_hash = None if before is None else hash_of(before)
    return Staged(
        person_id=person,
        legacy_id=legacy_id,
        previous_json_payload=before,
        json_payload=text,
        partial_json_payload=text_of(partial),
        current_hash=hash,
        previous_hash=previous_hash,
        submission_status=status,
        submission_timestamp=timestamp,
        api_response=response,
        row_state=state,
        last_updated=last_updated,
    )


def fill(database: TestDatabase, table: str, rows: Iterable[Staged]) -> None:
    """Put rows into a staging table in their order, many at a time, in one transaction.

    Columns that the table does not have (an older layout) are left out.
    """
    there = set(database.columns(table))
    names = [column.name for column in fields(Staged) if column.name in there]
    one = f"({', '.join('?' * len(names))})"
    remaining = iter(rows)
    with database.transaction():
        # 2,100 parameters is the most that SQL Server takes in one statement.
        while chunk := list(islice(remaining, 100)):
            values = [_bound(database, getattr(row, name)) for row in chunk for name in names]
            database.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([one] * len(chunk))}", values)


def table_rows(database: TestDatabase, table: str, order_by: str = "id") -> list[dict[str, Any]]:
    """Return every column of every row by its name in lower case; times as datetime, hashes as bytes."""
    return [_whole(record) for record in database.records(f"SELECT * FROM {table} ORDER BY {order_by}")]


def rows_by_person(database: TestDatabase) -> dict[str, dict[str, Any]]:
    """Return every row of the staging table by person."""
    return {row["person_id"]: row for row in table_rows(database, database.table)}


def row_of(database: TestDatabase, table: str, person: str) -> dict[str, Any]:
    """Return the one row of a person; fails where there is none or more than one."""
    (record,) = database.records(f"SELECT * FROM {table} WHERE person_id = ?", [person])
    return _whole(record)


def change(database: TestDatabase, table: str, person: str, **columns: object) -> None:
    """Change columns of a person's rows, as another program at work on the table would."""
    assignments = ", ".join(f"{name} = ?" for name in columns)
    values: Sequence[object] = [_bound(database, value) for value in columns.values()]
    database.execute(f"UPDATE {table} SET {assignments} WHERE person_id = ?", [*values, person])


def _bound(database: TestDatabase, value: object) -> object:
    if isinstance(value, datetime) and database.dialect is Dialect.SQLITE:
        return value.isoformat(" ", "milliseconds")
    return value


def _whole(record: dict[str, Any]) -> dict[str, Any]:
    return {name: _normal(name, value) for name, value in record.items()}


def _normal(name: str, value: object) -> object:
    if name in _TIMES:
        return as_moment(value)
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value
