"""A staging table of invented children in every state that councils have, to try things on."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

from api_pipeline.common.paths import is_there
from api_pipeline.db import Connection, connect
from api_pipeline.errors import SettingsError, reason_of
from api_pipeline.sandbox.invented_children import invented_child
from api_pipeline.sql import ddl
from api_pipeline.sql.connection_string import SQLITE_PREFIX
from api_pipeline.sql.identifiers import STAGING_TABLE

UNKNOWN_MEMBER = "no_such_member"
SEED = 20260101
BROKEN_EVERY = 97


@dataclass(frozen=True, slots=True)
class _Situation:
    """A kind of row as councils have them: its two status words, whether it was sent before, how often it comes.

    `answer` is what stands in its `api_response` in place of a receipt.
    """

    row_state: str
    submission_status: str
    was_sent: bool
    weight: int
    answer: str = ""


_SITUATIONS = (
    _Situation("New", "Pending", was_sent=False, weight=50),
    _Situation("Updated", "Pending", was_sent=True, weight=20),
    _Situation("Updated", "Error", was_sent=True, weight=5, answer="HTTP 503: service unavailable"),
    _Situation("Unchanged", "Sent", was_sent=True, weight=15),
    _Situation("Deleted", "Sent", was_sent=True, weight=7),
    _Situation("Deleted", "Pending", was_sent=False, weight=3),
)


def make_trial_table(path: Path, children: int) -> str:
    """Make a new database file with the tables and invented children, and return its connection string.

    Errors: SettingsError where the file is there already or its folder cannot be written to.
    """
    if is_there(path):
        raise SettingsError(f"The file {path} is there already and stays as it is; name another, or delete it first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The folder {path.parent} cannot be written to ({reason_of(error)}); name another."
        ) from None
    connection_string = f"{SQLITE_PREFIX}{path}"
    connection = connect(connection_string, create=True)
    try:
        ddl.apply(connection.execute, connection.dialect, STAGING_TABLE)
        _fill(connection, children)
    finally:
        connection.close()
    return connection_string


def _fill(connection: Connection, children: int) -> None:
    rng = random.Random(SEED)  # noqa: S311 - invented children need no cryptography
    weights = [situation.weight for situation in _SITUATIONS]
    rows = []
    for number in range(1, children + 1):
        situation = rng.choices(_SITUATIONS, weights)[0]
        rows.append(_row(rng, number, situation))
    with connection.transaction():
        connection.execute_many(
            f"INSERT INTO {STAGING_TABLE} (person_id, json_payload, previous_json_payload, current_hash, "  # noqa: S608 - a constant name
            "previous_hash, submission_status, row_state, api_response) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )


def _row(rng: random.Random, number: int, situation: _Situation) -> tuple[object, ...]:
    child = invented_child(rng, number)
    person = str(child["la_child_id"])
    earlier = json.dumps(child, ensure_ascii=False) if situation.was_sent else None
    if situation.row_state == "Updated":
        child.setdefault("child_details", {})["first_name"] = "Renamed"
    if number % BROKEN_EVERY == 0 and situation.row_state != "Deleted":
        child[UNKNOWN_MEMBER] = "the receiver refuses what it does not know"
    payload = json.dumps(child, ensure_ascii=False)
    receipt = f"{number:08x}-0000-4000-8000-{number:012x}" if situation.was_sent else None
    return (
        person,
        payload,
        earlier,
        hashlib.sha256(payload.encode()).digest(),
        hashlib.sha256(earlier.encode()).digest() if earlier else None,
        situation.submission_status,
        situation.row_state,
        situation.answer or receipt,
    )
