"""Children who left and came back, line by line of the table of changes, on every database."""

from __future__ import annotations

import pytest

from tests.support.accepted import RECEIPT, RECEIVER, TO, accept, first_name, leave, words
from tests.support.council_ssd import CouncilSsd, with_plan
from tests.support.databases import no_server
from tests.support.staging import change

pytestmark = pytest.mark.strict


def purge(ssd: CouncilSsd, person_id: str) -> None:
    """Leave a row and the control table as `run` does when a deletion is accepted."""
    change(
        ssd.database,
        ssd.database.table,
        person_id,
        submission_status="sent",
        previous_json_payload=None,
        previous_hash=None,
    )
    ssd.database.execute(f"DELETE FROM {ssd.database.named('ssd_api_held')} WHERE la_child_id = ?", [person_id])


@no_server
def test_a_child_back_after_its_purge_was_accepted_is_new_again(ssd: CouncilSsd) -> None:
    leave(ssd)
    purge(ssd, "1001")
    ssd.children("1001")

    row = ssd.staged(**TO)["1001"]

    assert words(row) == ("new", "pending")
    assert first_name(row) == "Given 1001"


@no_server
def test_a_child_back_before_its_purge_as_it_is_held_is_sent_and_unchanged(ssd: CouncilSsd) -> None:
    ssd.put(with_plan("1001", "P1"), with_plan("1002", "P2"))
    ssd.staged()
    before = accept(ssd, "1001")
    ssd.remove("1001")
    ssd.staged("--allow-deletions", **TO)
    change(ssd.database, ssd.database.table, "1001", submission_status="error", api_response="HTTP 503")
    ssd.put(with_plan("1001", "P900"))

    row = ssd.staged(**TO)["1001"]

    assert words(row) == ("unchanged", "sent")
    assert (row["json_payload"], row["api_response"]) == (before["json_payload"], RECEIPT)


def test_a_child_back_before_its_purge_with_a_change_is_updated(ssd: CouncilSsd) -> None:
    leave(ssd)
    ssd.children("1001")
    ssd.rename("1001", "Other")

    row = ssd.staged(**TO)["1001"]

    assert words(row) == ("updated", "pending")
    assert first_name(row) == "Other"


@no_server
def test_a_child_back_whose_purge_may_have_arrived_is_sent_anew(ssd: CouncilSsd) -> None:
    leave(ssd)
    unconfirmed = ssd.database.named("ssd_api_unconfirmed")
    columns = "receiver, la_child_id, payload_hash, run_id, begun_at"
    values = [RECEIVER, "1001", "", "run", "2026-08-10 02:00:00"]
    ssd.database.execute(f"INSERT INTO {unconfirmed} ({columns}) VALUES (?, ?, ?, ?, ?)", values)
    ssd.children("1001")

    assert words(ssd.staged(**TO)["1001"]) == ("updated", "pending")
