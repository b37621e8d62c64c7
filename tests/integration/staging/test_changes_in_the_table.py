"""What became of a child since the last staging, line by line of the table of changes, on every database."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from api_pipeline.settings.loading import load_settings
from api_pipeline.settings.model import Purpose
from api_pipeline.settings.sources import Sources
from api_pipeline.staging.tables import CIN_EPISODE, CIN_PLAN
from tests.support.accepted import BEFORE, RECEIPT, RECEIVER, TO, accept, first_name, leave, words
from tests.support.council_ssd import CouncilSsd, with_plan
from tests.support.databases import TestDatabase, no_server
from tests.support.staging import change, fill, staged

pytestmark = pytest.mark.strict
WRITTEN_BY_RUN = ("previous_json_payload", "previous_hash", "submission_timestamp")


@no_server
def test_the_receiver_named_here_is_that_of_the_settings(ssd: CouncilSsd) -> None:
    settings = load_settings(Sources({}, {**ssd.settings, **TO}, ssd.folder), Purpose.STAGE)
    assert settings.receiver == RECEIVER


def test_a_child_without_a_row_gets_one_that_is_pending_and_new(ssd: CouncilSsd) -> None:
    ssd.children("1001")

    row = ssd.staged()["1001"]

    assert words(row) == ("new", "pending")
    assert json.loads(row["json_payload"])["la_child_id"] == "1001"
    assert len(row["current_hash"]) == 32
    assert row["last_updated"] is not None
    empty = ("partial_json_payload", "api_response", "legacy_id", *WRITTEN_BY_RUN)
    assert {name: row[name] for name in empty} == dict.fromkeys(empty)


@no_server
def test_the_id_in_other_systems_goes_into_its_column(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    ssd.database.execute(f"UPDATE {ssd.database.named('ssd_person')} SET pers_legacy_id = 'M77'")

    row = ssd.staged()["1001"]

    assert (row["legacy_id"], json.loads(row["json_payload"])["mis_child_id"]) == ("M77", "M77")


def test_changed_payload_is_pending_and_keeps_the_previous_one(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    ssd.staged()
    before = accept(ssd, "1001")
    ssd.rename("1001", "Other")

    row = ssd.staged(**TO)["1001"]

    assert words(row) == ("updated", "pending")
    assert first_name(row) == "Other"
    assert row["current_hash"] != before["current_hash"]
    assert row["last_updated"] > BEFORE
    assert (row["partial_json_payload"], row["api_response"]) == (None, None)
    assert {name: row[name] for name in WRITTEN_BY_RUN} == {name: before[name] for name in WRITTEN_BY_RUN}


@no_server
def test_a_payload_that_changes_before_anything_was_accepted_stays_new(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    ssd.staged()
    change(ssd.database, ssd.database.table, "1001", submission_status="error", api_response="HTTP 400: x")
    ssd.rename("1001", "Other")

    row = ssd.staged(**TO)["1001"]

    assert words(row) == ("new", "pending")
    assert (first_name(row), row["api_response"]) == ("Other", None)


@no_server
@pytest.mark.parametrize("status", ["sent", "pending", "error", "testing"])
def test_a_payload_that_did_not_change_leaves_its_row_untouched(ssd: CouncilSsd, status: str) -> None:
    ssd.children("1001")
    ssd.staged()
    accept(ssd, "1001")
    change(ssd.database, ssd.database.table, "1001", submission_status=status)
    before = ssd.rows()

    assert ssd.staged(**TO) == before


@no_server
def test_renumbered_ids_alone_leave_the_row_untouched(ssd: CouncilSsd) -> None:
    ssd.put(with_plan("1001", "P1"))
    ssd.staged()
    accept(ssd, "1001")
    before = ssd.rows()
    ssd.update(CIN_PLAN, "cinp_cin_plan_id = 'P1'", cinp_cin_plan_id="P900", cinp_referral_id="R900")
    ssd.update(CIN_EPISODE, "cine_referral_id = 'R1001'", cine_referral_id="R900")

    assert ssd.staged(**TO) == before


@no_server
def test_the_new_ids_go_with_the_next_real_change(ssd: CouncilSsd) -> None:
    ssd.put(with_plan("1001", "P1"))
    ssd.staged()
    accept(ssd, "1001")
    ssd.update(CIN_PLAN, "cinp_cin_plan_id = 'P1'", cinp_cin_plan_id="P900")
    ssd.rename("1001", "Other")

    assert '"P900"' in ssd.staged(**TO)["1001"]["json_payload"]


def test_a_child_that_left_is_deleted_and_due_and_keeps_its_payload(ssd: CouncilSsd) -> None:
    before, row = leave(ssd)

    assert words(row) == ("deleted", "pending")
    assert row["last_updated"] > BEFORE
    unchanged = [name for name in row if name not in ("row_state", "submission_status", "last_updated")]
    assert {name: row[name] for name in unchanged} == {name: before[name] for name in unchanged}


@no_server
def test_a_deleted_row_is_dated_once(ssd: CouncilSsd) -> None:
    leave(ssd)
    before = ssd.rows()

    assert ssd.staged(**TO) == before


@no_server
def test_a_child_that_left_before_anything_was_accepted_needs_no_deletion(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    ssd.staged()
    change(ssd.database, ssd.database.table, "1001", submission_status="error")
    ssd.remove("1001")

    row = ssd.staged("--allow-deletions", **TO)["1001"]

    assert words(row) == ("deleted", "error")
    assert row["previous_hash"] is None


@no_server
def test_a_child_that_left_by_the_window_is_deleted_too(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    ssd.staged()
    closed = datetime(2023, 5, 1)  # noqa: DTZ001 - the SSD's dates have no zone
    ssd.update(CIN_EPISODE, "cine_person_id = '1001'", cine_close_date=closed)

    assert ssd.staged("--allow-deletions")["1001"]["row_state"] == "deleted"


@no_server
def test_a_child_that_left_by_the_window_is_kept_where_that_is_set(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002", "1003")
    before = ssd.staged()
    closed = datetime(2023, 5, 1)  # noqa: DTZ001 - the SSD's dates have no zone
    ssd.update(CIN_EPISODE, "cine_person_id = '1001'", cine_close_date=closed)
    ssd.remove("1002")

    done = ssd.stage("--allow-deletions", DELETE_LEFT_WINDOW="false")

    assert ssd.rows()["1001"] == before["1001"]
    assert ssd.rows()["1002"]["row_state"] == "deleted"
    assert "1 person left the cohort and is kept" in done.out


@no_server
def test_baseline_of_another_receiver_counts_only_with_its_row(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002")
    ssd.staged()
    accept(ssd, "1001")
    change(ssd.database, ssd.database.table, "1001", previous_json_payload=None, previous_hash=None)
    ssd.rename("1001", "Other")

    row = ssd.staged(API_ENDPOINT="https://other.example/1", LA_CODE="845")["1001"]

    assert words(row) == ("new", "pending")


@no_server
def test_a_record_that_cannot_be_sent_keeps_its_row_as_it_was(ssd: CouncilSsd) -> None:
    ssd.put(with_plan("1001", "P1"), with_plan("1002", "P2"))
    before = ssd.staged()
    ssd.update(CIN_PLAN, "cinp_cin_plan_id = 'P1'", cinp_cin_plan_id="P " * 20)
    ssd.rename("1001", "Other")

    assert ssd.staged() == before


@no_server
class TestATableOfTodaysTool:
    """The first night on a table that was filled by SQL: its hashes were made in another way, and its words differ."""

    @pytest.fixture
    def table(self, ssd: CouncilSsd) -> CouncilSsd:
        ssd.put(with_plan("1001", "P1"), with_plan("1002", "P2"), with_plan("1003", "P3"))
        built = {person: json.loads(row["json_payload"]) for person, row in ssd.staged().items()}
        ssd.database.execute(f"DELETE FROM {ssd.database.table}")
        rows = []
        for person, payload in built.items():
            old = {**payload, "child_details": {**dict(reversed(payload["child_details"].items())), "purge": False}}
            old["social_care_episodes"][0]["child_in_need_plans"][0]["child_in_need_plan_id"] = "Z9"
            row = staged(person, old, "Sent", "Unchanged", previous=old, hash=b"x" * 32, response=RECEIPT)
            rows.append(row)
        fill(ssd.database, ssd.database.table, rows)
        return ssd

    def test_what_means_the_same_is_hashed_anew_and_nothing_else_changes(self, table: CouncilSsd) -> None:
        before = table.rows()

        after = table.staged(**TO)

        hashes = {row["current_hash"] for row in after.values()}
        assert b"x" * 32 not in hashes
        assert {p: {**row, "current_hash": b"x" * 32} for p, row in after.items()} == before
        assert table.staged(**TO) == after

    def test_a_row_without_a_hash_is_compared_as_well(self, table: CouncilSsd) -> None:
        change(table.database, table.database.table, "1001", current_hash=None)
        change(table.database, table.database.table, "1002", current_hash=None)
        table.rename("1002", "Other")

        after = table.staged(**TO)

        assert [words(after[person]) for person in ("1001", "1002")] == [("Unchanged", "Sent"), ("updated", "pending")]

    def test_change_keeps_the_receipt_that_proves_the_previous_payload(self, table: CouncilSsd) -> None:
        table.rename("1001", "Other")

        row = table.staged(**TO)["1001"]

        assert words(row) == ("updated", "pending")
        assert row["api_response"] == RECEIPT

    def test_returned_child_with_the_sent_payload_is_unchanged(self, table: CouncilSsd) -> None:
        change(table.database, table.database.table, "1001", row_state="Deleted")

        row = table.staged(**TO)["1001"]

        assert words(row) == ("unchanged", "sent")
        assert (row["json_payload"], row["api_response"]) == (row["previous_json_payload"], RECEIPT)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_all_rows_of_one_person_get_the_newest_version(ssd: CouncilSsd) -> None:
    ssd.children("1001")
    fill(ssd.database, ssd.database.table, [staged("1001", state="Updated"), staged("1001", state="Deleted")])

    assert ssd.stage(**TO).code == 0

    found = ssd.database.rows(f"SELECT json_payload, row_state FROM {ssd.database.table} ORDER BY id")
    assert found[0][0] == found[1][0]
    assert [row[1] for row in found] == ["new", "new"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_without_control_tables_the_row_is_the_baseline(ssd: CouncilSsd) -> None:
    ssd.children("1001", "1002", "1003")
    ssd.staged()
    accept(ssd, "1001")
    for table in ("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed"):
        ssd.database.execute(f"DROP TABLE {table}")
    ssd.remove("1001")
    ssd.remove("1002")

    rows = ssd.staged("--allow-deletions")

    assert words(rows["1001"]) == ("deleted", "pending")
    assert words(rows["1002"]) == ("deleted", "pending")
    assert rows["1002"]["previous_hash"] is None


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_a_table_without_the_newer_columns_is_filled_as_well(database: TestDatabase, ssd: CouncilSsd) -> None:
    for column in ("legacy_id", "last_updated"):
        database.execute(f"ALTER TABLE {database.table} DROP COLUMN {column}")
    ssd.children("1001", "1002")
    ssd.staged()
    accept_columns = {"submission_status": "sent", "row_state": "unchanged"}
    change(database, database.table, "1001", **accept_columns)
    ssd.rename("1001", "Other")
    ssd.remove("1002")

    rows = ssd.staged("--allow-deletions")

    assert first_name(rows["1001"]) == "Other"
    assert rows["1002"]["row_state"] == "deleted"
