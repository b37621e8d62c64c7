"""The loop of today's public tool, re-created in our own words to be measured beside the product.

It follows the sender of data-to-insight/dfe-csc-api-data-flows (version 0.4.0, August 2026) in everything that costs
time or memory: all rows at once, in delta mode a first pass that stores every delta, whole payloads read and written
again as JSON, a connection for each batch, an UPDATE by `person_id` for each row, and the measuring of every call,
recursive ones too, which that tool does always. What it does about errors is left out, because a run that fails is
not measured, and so is its reading of a settings file. PostgreSQL only, as the floor; settings are those of the
product. Its own schema has no index on `person_id`; this one's has, which helps it.
"""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Callable
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

import pyodbc
import requests

_BATCH = 100
_ALWAYS_SENT = ("la_child_id", "mis_child_id", "child_details")
_WITH_PURGE_FLAG = (
    *("social_care_episodes", "child_protection_plans", "child_in_need_plans"),
    *("health_and_wellbeing", "care_leavers"),
)
_READ_CHANGED = (
    "SELECT person_id, row_state, json_payload, previous_json_payload FROM {table} "
    "WHERE json_payload IS NOT NULL AND previous_json_payload IS NOT NULL AND row_state <> 'unchanged'"
)
_STORE_DELTA = "UPDATE {table} SET partial_json_payload = ? WHERE person_id = ?"
_READ_DUE = (
    "SELECT person_id, {column} FROM {table} WHERE submission_status IN ('pending', 'error') "
    "AND {column} IS NOT NULL AND LTRIM(RTRIM({column})) <> ''"
)
_STORE_RECEIPT = (
    "UPDATE {table} SET submission_status = 'sent', api_response = ?, submission_timestamp = ?, "
    "previous_hash = current_hash, previous_json_payload = json_payload, row_state = 'unchanged' WHERE person_id = ?"
)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _measured(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Say that a call begins, and trace the memory that it takes: an inner call's end also ends the outer's tracing."""

    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        print(f"{function.__name__} begins")
        began = time.time()
        tracemalloc.start()
        result = function(*args, **kwargs)
        # What it shows of these to its developers costs nothing in a night, where they are not shown.
        _, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        _ = time.time() - began
        return result

    return call


@_measured
def main() -> None:
    """Send every due row and write its receipt back."""
    env = os.environ
    table, is_delta = env["TABLE_NAME"], env["USE_PARTIAL_PAYLOAD"] == "true"
    connection = pyodbc.connect(env["DB_CONNECTION_STRING"], timeout=10)
    if is_delta:
        _store_deltas(connection, table)
    headers = {
        "Authorization": f"Bearer {_token()}",
        "Content-Type": "application/json",
        "SupplierKey": env["SUPPLIER_KEY"],
        "User-Agent": "benchmark",
    }
    records = _due(connection.cursor(), table, "partial_json_payload" if is_delta else "json_payload")
    print(f"{len(records)} records to send")
    _send(records, headers, connection, table)
    connection.close()


def _token() -> str:
    env = os.environ
    form = {"client_id": env["CLIENT_ID"], "client_secret": env["CLIENT_SECRET"], "scope": env["SCOPE"]}
    answer = requests.post(env["TOKEN_ENDPOINT"], data={**form, "grant_type": "client_credentials"})
    answer.raise_for_status()
    return str(answer.json()["access_token"])


@_measured
def _store_deltas(connection: pyodbc.Connection, table: str) -> None:
    """Store the delta of every row that changed and has an earlier payload, one UPDATE each."""
    cursor = connection.cursor()
    cursor.execute(_READ_CHANGED.format(table=table))
    made = []
    for person, state, now_text, before_text in cursor.fetchall():
        if state.lower() == "unchanged" or now_text == before_text:
            continue
        now, before = json.loads(now_text), json.loads(before_text)
        text = json.dumps(_delta(now, before), separators=(",", ":"), ensure_ascii=False)
        made.append((text.replace("'", "''"), person))
    statement = _STORE_DELTA.format(table=table)
    for text, person in made:
        cursor.execute(statement, text, person)
    connection.commit()


@_measured
def _delta(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return what is always sent, and every other member that differs."""
    sent = {name: now[name] for name in _ALWAYS_SENT if name in now}
    for name, value in _difference(now, before).items():
        sent.setdefault(name, value)
    return sent


@_measured
def _difference(now: Any, before: Any) -> Any:
    if not (isinstance(now, dict) and isinstance(before, dict)):
        return {} if now == before else now
    differing = {}
    for name in now:
        if name in before and now[name] == before[name]:
            continue
        if isinstance(now[name], dict) and isinstance(before.get(name), dict):
            if inner := _difference(now[name], before[name]):
                differing[name] = inner
        elif isinstance(now[name], list) and isinstance(before.get(name), list):
            # Compared a second time, as there.
            if now[name] != before[name]:
                differing[name] = _differing_elements(now[name], before[name], name)
        else:
            differing[name] = now[name]
    return differing


@_measured
def _differing_elements(now: list[Any], before: list[Any], name: str) -> list[Any]:
    """Return the elements with what differs in each; one with an id is kept, if only as its id."""
    kept = []
    for element in now:
        key = next((member for member in element if member.endswith("_id")), None)
        earlier = None
        if key:
            earlier = next((one for one in before if one.get(key) == element.get(key)), None)
        if not earlier:
            kept.append(element)
            continue
        differing = _difference(element, earlier)
        differing[key] = element[key]
        if name in _WITH_PURGE_FLAG:
            differing["purge"] = False
        kept.append(differing)
    return kept


@_measured
def _due(cursor: pyodbc.Cursor, table: str, column: str) -> list[tuple[str, Any]]:
    """Return the person and the payload of every due row, in whatever order they come."""
    cursor.execute(_READ_DUE.format(table=table, column=column))
    return [(person, json.loads(text)) for person, text in cursor.fetchall()]


@_measured
def _send(records: list[tuple[str, Any]], headers: dict[str, str], connection: pyodbc.Connection, table: str) -> None:
    """Post the records a hundred at a time, each time over a new connection, and commit once for each batch."""
    env = os.environ
    url = f"{env['API_ENDPOINT']}/children_social_care_data/{env['LA_CODE']}/children"
    cursor = connection.cursor()
    for start in range(0, len(records), _BATCH):
        batch = records[start : start + _BATCH]
        body = json.dumps([payload for _, payload in batch])
        answer = requests.post(url, headers=headers, data=body)
        answer.raise_for_status()
        receipts = json.loads(answer.text.strip())
        for (person, _), receipt in zip(batch, receipts, strict=True):
            try:
                day, moment, text = receipt.split("_")
                taken = datetime.strptime(f"{day} {moment}", "%Y-%m-%d %H:%M:%S.%f")  # noqa: DTZ007 - as there
            except ValueError:
                text, taken = receipt.rpartition("_")[2], datetime.now()  # noqa: DTZ005 - as there
            _store_receipt(cursor, table, person, text, taken)
        connection.commit()


@_measured
def _store_receipt(cursor: pyodbc.Cursor, table: str, person: str, receipt: str, taken: datetime) -> None:
    cursor.execute(_STORE_RECEIPT.format(table=table), receipt, taken, person)


if __name__ == "__main__":
    main()
