"""What a receiver accepted, written where a run writes it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tests.support.council_ssd import CouncilSsd
from tests.support.staging import change

RECEIPT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
BEFORE = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - the column has no zone
ENDPOINT = "https://receiver.example/1"
RECEIVER = f"{ENDPOINT}/children_social_care_data/845/children"
TO = {"API_ENDPOINT": ENDPOINT, "LA_CODE": "845"}


def accept(ssd: CouncilSsd, person_id: str) -> dict[str, Any]:
    """Leave a row and the control table as `run` does when a record is accepted."""
    row = ssd.rows()[person_id]
    change(
        ssd.database,
        ssd.database.table,
        person_id,
        submission_status="sent",
        row_state="unchanged",
        api_response=RECEIPT,
        previous_json_payload=row["json_payload"],
        previous_hash=row["current_hash"],
        last_updated=BEFORE,
        partial_json_payload="{}",
    )
    hold(ssd, person_id, row["json_payload"])
    return ssd.rows()[person_id]


def leave(ssd: CouncilSsd) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let child 1001, one of two, be accepted and then leave the SSD; return its row before, and due for deletion."""
    ssd.children("1001", "1002")
    ssd.staged()
    before = accept(ssd, "1001")
    ssd.remove("1001")
    return before, ssd.staged("--allow-deletions", **TO)["1001"]


def hold(ssd: CouncilSsd, person_id: str, payload: str) -> None:
    """Record a payload as the baseline of a child."""
    held = ssd.database.named("ssd_api_held")
    ssd.database.execute(f"DELETE FROM {held} WHERE la_child_id = ?", [person_id])
    columns = "receiver, la_child_id, held_payload, held_hash, receipt"
    values = [RECEIVER, person_id, payload, "0" * 64, RECEIPT]
    ssd.database.execute(f"INSERT INTO {held} ({columns}) VALUES (?, ?, ?, ?, ?)", values)


def words(row: dict[str, Any]) -> tuple[str, str]:
    """Return the two status words of a row."""
    return row["row_state"], row["submission_status"]


def first_name(row: dict[str, Any]) -> str:
    """Return the first name in the staged payload of a row."""
    name: str = json.loads(row["json_payload"])["child_details"]["first_name"]
    return name
