"""The floor: the least that an honest program must do for a row, and nothing else.

It reads pages by key, posts the joined texts, and commits once a batch: one keyed update, the baselines and the log
lines copied inside the database. It knows no checks, no retries, no changed rows. It is measured beside the product to
show what the product's care costs. PostgreSQL only; settings are those of the product.
"""

from __future__ import annotations

import os
import uuid
from datetime import datetime, timezone

import pyodbc
import requests

_PAGE = (
    "SELECT id, json_payload FROM ssd_api_data_staging "
    "WHERE id > ? AND submission_status = 'pending' ORDER BY id LIMIT 100"
)
_WRITE_BACK = (
    "UPDATE ssd_api_data_staging s SET submission_status = 'sent', row_state = 'unchanged', api_response = v.receipt, "
    "submission_timestamp = ?, previous_hash = current_hash, previous_json_payload = json_payload "
    "FROM (SELECT UNNEST(CAST(? AS BIGINT[])) AS id, UNNEST(CAST(? AS TEXT[])) AS receipt) v WHERE s.id = v.id"
)
_FORGET = (
    "DELETE FROM ssd_api_held WHERE receiver = ? AND la_child_id IN "
    "(SELECT person_id FROM ssd_api_data_staging WHERE id BETWEEN ? AND ?)"
)
_BASELINE = (
    "INSERT INTO ssd_api_held (receiver, la_child_id, held_payload, held_hash, receipt, accepted_at) "
    "SELECT ?, person_id, json_payload, ENCODE(current_hash, 'hex'), api_response, submission_timestamp "
    "FROM ssd_api_data_staging WHERE id BETWEEN ? AND ?"
)
_LOG = (
    "INSERT INTO ssd_api_submission_log (run_id, batch, staging_table, staging_id, person_id, la_child_id, kind, "
    "sent_hash, http_code, outcome, answer, logged_at) "
    "SELECT ?, ?, 'ssd_api_data_staging', id, person_id, person_id, 'full', "
    "ENCODE(current_hash, 'hex'), 200, 'accepted', api_response, submission_timestamp "
    "FROM ssd_api_data_staging WHERE id BETWEEN ? AND ?"
)


def main() -> None:
    """Send every pending row and write its receipt back."""
    env = os.environ
    connection = pyodbc.connect(env["DB_CONNECTION_STRING"], autocommit=False)
    session = requests.Session()
    form = {"grant_type": "client_credentials", "client_id": env["CLIENT_ID"], "client_secret": env["CLIENT_SECRET"]}
    answer = session.post(env["TOKEN_ENDPOINT"], data={**form, "scope": env["SCOPE"]}, timeout=60)
    headers = {
        "Authorization": f"Bearer {answer.json()['access_token']}",
        "SupplierKey": env["SUPPLIER_KEY"],
        "Content-Type": "application/json",
    }
    url = f"{env['API_ENDPOINT']}/children_social_care_data/{env['LA_CODE']}/children"
    run, last, batch = str(uuid.uuid4()), 0, 0
    while rows := connection.execute(_PAGE, last).fetchall():
        batch += 1
        body = ("[" + ",".join(row[1] for row in rows) + "]").encode()
        answer = session.post(url, data=body, headers=headers, timeout=60)
        answer.raise_for_status()
        first, last = rows[0][0], rows[-1][0]
        ids = "{" + ",".join(str(row[0]) for row in rows) + "}"
        receipts = "{" + ",".join(answer.json()) + "}"
        connection.execute(_WRITE_BACK, datetime.now(timezone.utc).replace(tzinfo=None), ids, receipts)
        connection.execute(_FORGET, url, first, last)
        connection.execute(_BASELINE, url, first, last)
        connection.execute(_LOG, run, batch, first, last)
        connection.commit()


if __name__ == "__main__":
    main()
