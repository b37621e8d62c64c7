"""The program that one writes first: one loop, one UPDATE for each row, everything in memory.

Kept to be measured beside the product, on the same data and against the same receiver. It knows no retries, no check of
the schema, no changed rows, no journal; it is not slowed down on purpose.
"""

from __future__ import annotations

import json
import os
import sqlite3
from typing import Any

import requests

_BATCH = 100


def main() -> None:
    """Send every pending row and write its receipt back; settings are those of the product."""
    env = os.environ
    connection = _connect(env["DB_CONNECTION_STRING"])
    is_delta = env["USE_PARTIAL_PAYLOAD"] == "true"
    rows = connection.execute(
        "SELECT id, json_payload, previous_json_payload FROM ssd_api_data_staging "
        "WHERE submission_status = 'pending' ORDER BY id"
    ).fetchall()
    payloads = []
    for _, text, previous in rows:
        payload = json.loads(text)
        payloads.append(_delta(json.loads(previous), payload) if is_delta else payload)
    session = requests.Session()
    token = session.post(
        env["TOKEN_ENDPOINT"],
        data={
            "grant_type": "client_credentials",
            "client_id": env["CLIENT_ID"],
            "client_secret": env["CLIENT_SECRET"],
            "scope": env["SCOPE"],
        },
        timeout=60,
    ).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "SupplierKey": env["SUPPLIER_KEY"]}
    url = f"{env['API_ENDPOINT']}/children_social_care_data/{env['LA_CODE']}/children"
    for start in range(0, len(rows), _BATCH):
        batch = payloads[start : start + _BATCH]
        answer = session.post(url, json=batch, headers=headers, timeout=60)
        answer.raise_for_status()
        for row, payload, receipt in zip(rows[start : start + _BATCH], batch, answer.json(), strict=True):
            connection.execute(
                "UPDATE ssd_api_data_staging SET submission_status = 'sent', row_state = 'unchanged', "
                "api_response = ?, previous_hash = current_hash, previous_json_payload = json_payload, "
                "partial_json_payload = ? WHERE id = ?",
                (receipt, json.dumps(payload) if is_delta else None, row[0]),
            )
        connection.commit()


def _connect(text: str) -> Any:
    if text.startswith("sqlite:///"):
        return sqlite3.connect(text.removeprefix("sqlite:///"))
    import pyodbc

    return pyodbc.connect(text)


def _delta(before: Any, now: dict[str, Any]) -> dict[str, Any]:
    """Return the members that differ, elements of arrays told apart by their id."""
    result: dict[str, Any] = {}
    for name, value in now.items():
        earlier = before.get(name)
        if isinstance(value, dict) and isinstance(earlier, dict):
            if inner := _delta(earlier, value):
                result[name] = inner
        elif isinstance(value, list) and isinstance(earlier, list) and value and isinstance(value[0], dict):
            key = next((member for member in value[0] if member.endswith("_id")), None)
            held = {element.get(key): element for element in earlier} if key else {}
            changed = [element for element in value if key is None or held.get(element[key]) != element]
            if changed and value != earlier:
                result[name] = changed
        elif value != earlier:
            result[name] = value
    return {"la_child_id": now["la_child_id"], **result} if "la_child_id" in now else result


if __name__ == "__main__":
    main()
