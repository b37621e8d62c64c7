"""Rows that somebody changes while their record is in flight, on every database."""

import pytest

from api_pipeline.api_response import given
from api_pipeline.model import DeliveryFailed, RecordKind
from api_pipeline.outbox.write_back import Destination, WriteBack
from api_pipeline.payloads.reading import sha256_hex
from tests.support.databases import TestDatabase
from tests.support.staging import change, child, fill, row_of, staged, table_rows
from tests.support.stores import store_of
from tests.support.writing_back import HERE, accepted, read, record_of, write

pytestmark = pytest.mark.strict


def test_row_changed_in_flight_stays_due_and_keeps_its_baseline(
    deployed: TestDatabase,
) -> None:
    fill(deployed, deployed.table, [staged("1")])
    with store_of(deployed) as store:
        row = read(store)[0]
        change(deployed, deployed.table, "1", json_payload='{"la_child_id":"1"}', current_hash=b"n" * 32)
        write(store, [accepted(record_of(row))])
    line = row_of(deployed, deployed.table, "1")
    assert (line["submission_status"], line["row_state"], line["api_response"]) == ("Pending", "New", None)
    assert (line["previous_json_payload"], line["previous_hash"]) == (row.json_payload, row.current_hash)


def test_what_was_edited_under_its_old_hash_never_becomes_a_baseline(deployed: TestDatabase) -> None:
    check_what_becomes_a_baseline(deployed)


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("kind", ["JSON", "JSONB"])
def test_nor_does_it_in_a_column_of_another_type(deployed: TestDatabase, kind: str) -> None:
    deployed.execute(
        f"ALTER TABLE {deployed.table} ALTER COLUMN json_payload TYPE {kind} USING CAST(json_payload AS {kind})"
    )
    check_what_becomes_a_baseline(deployed)


def check_what_becomes_a_baseline(deployed: TestDatabase) -> None:
    children = [child(str(number), note="M\u0101ori \U0001f600") for number in range(1, 7)]
    fill(deployed, deployed.table, [staged(one["la_child_id"], one) for one in children])
    with store_of(deployed) as store:
        rows = read(store)
        change(deployed, deployed.table, "2", json_payload='{"la_child_id":"2"}')
        change(deployed, deployed.table, "3", json_payload='{"la_child_id":"3"}', current_hash=b"n" * 32)
        change(deployed, deployed.table, "4", json_payload="{}")
        deployed.execute(f"DELETE FROM {deployed.table} WHERE person_id = '5'")
        write(store, [accepted(record_of(row)) for row in rows])
    held = table_rows(deployed, deployed.named("ssd_api_held"), "la_child_id")
    assert [line["held_payload"] for line in held] == [row.json_payload for row in rows]
    assert [line["held_hash"].strip() for line in held] == [sha256_hex(row.json_payload) for row in rows]


def test_every_payload_may_have_been_edited_meanwhile(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2"), staged("3")])
    with store_of(deployed) as store:
        rows = read(store)
        to = Destination("run-1", "staging", HERE, control_tables=True, testing=False)
        write_back = WriteBack(store, to, lambda text, _: text)
        for number, row in enumerate(rows):
            if number < 2:
                change(deployed, deployed.table, row.person_id, json_payload="{}")
            write_back.write(number, [accepted(record_of(row))])
    held = table_rows(deployed, deployed.named("ssd_api_held"), "la_child_id")
    assert [line["held_payload"] for line in held] == [row.json_payload for row in rows]


def test_without_a_hash_the_payload_is_the_version(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1", hash=None), staged("2", hash=None)])
    with store_of(deployed) as store:
        one, two = read(store)
        change(deployed, deployed.table, "2", json_payload=two.json_payload.upper())
        write(store, [accepted(record_of(one)), accepted(record_of(two))])
    assert row_of(deployed, deployed.table, "1")["submission_status"] == "sent"
    assert row_of(deployed, deployed.table, "2")["submission_status"] == "Pending"
    assert row_of(deployed, deployed.table, "2")["previous_json_payload"] == two.json_payload


def test_a_child_that_left_the_cohort_in_flight_stays_deleted_and_due(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1")])
    with store_of(deployed) as store:
        row = read(store)[0]
        change(deployed, deployed.table, "1", row_state="Deleted")
        write(store, [accepted(record_of(row))])
        assert [line.is_deleted for line in read(store)] == [True]
    assert row_of(deployed, deployed.table, "1")["previous_json_payload"] == row.json_payload


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_child_restored_as_sent_while_its_deletion_is_in_flight_is_due(
    deployed: TestDatabase, *, is_answered: bool
) -> None:
    fill(deployed, deployed.table, [staged("1", status="sent", state="Deleted")])
    with store_of(deployed) as store:
        record = record_of(read(store)[0], kind=RecordKind.DELETION)
        change(deployed, deployed.table, "1", row_state="unchanged")
        lost = DeliveryFailed(record, given("network error", None), may_have_arrived=True)
        write(store, [accepted(record) if is_answered else lost])
    line = row_of(deployed, deployed.table, "1")
    assert (line["submission_status"], line["row_state"]) == ("pending", "unchanged")


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("kind", ["JSON", "JSONB", "TEXT"])
def test_a_deletion_of_a_row_changed_meanwhile_is_written_to_each_type(deployed: TestDatabase, kind: str) -> None:
    deployed.execute(
        f"ALTER TABLE {deployed.table} ALTER COLUMN previous_json_payload TYPE {kind} "
        f"USING CAST(previous_json_payload AS {kind})"
    )
    fill(deployed, deployed.table, [staged("1", status="sent", state="Deleted")])
    with store_of(deployed) as store:
        record = record_of(read(store)[0], kind=RecordKind.DELETION)
        change(deployed, deployed.table, "1", row_state="Updated", current_hash=b"n" * 32)
        write(store, [accepted(record)])
    line = row_of(deployed, deployed.table, "1")
    assert (line["previous_json_payload"], line["previous_hash"]) == (None, None)
