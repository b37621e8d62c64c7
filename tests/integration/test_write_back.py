"""Each line of the write-back table (contract 3), on every database, through the public functions."""

from datetime import datetime

import pytest

from api_pipeline.api_response import given, refused
from api_pipeline.errors import DatabaseError
from api_pipeline.model import (
    Accepted,
    DeliveryFailed,
    InDoubt,
    Invalid,
    Outcome,
    Receipt,
    RecordKind,
    Rejected,
    UpToDate,
)
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.payloads.reading import sha256_hex
from tests.support.databases import TestDatabase
from tests.support.staging import fill, row_of, staged, table_rows
from tests.support.stores import store_of
from tests.support.writing_back import AT, HERE, UUID, accepted, planner_of, read, record_of, write

pytestmark = pytest.mark.strict


def test_accepted_record_is_written_as_sent_with_its_baseline(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1", partial={"old": 1}), staged("2")])
    with store_of(deployed) as store:
        Baselines(store, HERE).mark_in_doubt("run-1", [("1", "h"), ("2", "h")], [])
        write(store, [accepted(record_of(read(store)[0]))])
    row = row_of(deployed, deployed.table, "1")
    assert (row["submission_status"], row["row_state"]) == ("sent", "unchanged")
    assert (row["api_response"], row["submission_timestamp"]) == (UUID, AT)
    assert row["previous_json_payload"] == row["json_payload"]
    assert row["previous_hash"] == row["current_hash"]
    assert row["partial_json_payload"] is None
    held = table_rows(deployed, deployed.named("ssd_api_held"), "la_child_id")
    assert [(line["receiver"], line["la_child_id"], line["held_payload"], line["receipt"]) for line in held] == [
        (HERE, "1", row["json_payload"], UUID)
    ]
    assert held[0]["held_hash"].strip() == sha256_hex(row["json_payload"])
    assert held[0]["accepted_at"] == AT
    notes = table_rows(deployed, deployed.named("ssd_api_unconfirmed"), "la_child_id")
    assert [note["la_child_id"] for note in notes] == ["2"]
    assert row_of(deployed, deployed.table, "2")["submission_status"] == "Pending"


def test_every_posted_record_is_logged_without_its_payload(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2"), staged("3"), staged("4")])
    with store_of(deployed) as store:
        one, two, three, four = (record_of(row) for row in read(store))
        outcomes: list[Outcome] = [
            accepted(one),
            Rejected(two, given("HTTP 400: Smith", 400)),
            DeliveryFailed(three, given("HTTP 503", 503), True),
            Rejected(four, given("HTTP 200: outcome unknown", 200), may_have_arrived=True, is_unknown=True),
        ]
        write(store, outcomes)
    log = table_rows(deployed, deployed.named("ssd_api_submission_log"))
    assert [(line["person_id"], line["outcome"], line["http_code"], line["answer"]) for line in log] == [
        ("1", "accepted", 200, UUID),
        ("2", "refused", 400, "HTTP 400: ***"),
        ("3", "undelivered", 503, "HTTP 503"),
        ("4", "unknown", 200, "HTTP 200: outcome unknown"),
    ]
    assert {line["batch"] for line in log} == {7}
    assert [line["sent_hash"].strip() for line in log] == [record.sent_hash for record in (one, two, three, four)]


def test_an_accepted_delta_is_kept_in_its_column(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1")])
    with store_of(deployed) as store:
        write(store, [accepted(record_of(read(store)[0], RecordKind.DELTA, body=b'{"la_child_id":"1"}'))])
    assert row_of(deployed, deployed.table, "1")["partial_json_payload"] == '{"la_child_id":"1"}'


def test_accepted_deletion_removes_the_baseline(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1", status="Sent", state="Deleted", previous={"la_child_id": "1"})])
    with store_of(deployed) as store:
        row = read(store)[0]
        Baselines(store, HERE).insert([("1", "{}", "", UUID, AT)])
        write(store, [accepted(record_of(row, RecordKind.DELETION))])
    line = row_of(deployed, deployed.table, "1")
    assert (line["submission_status"], line["row_state"]) == ("sent", "deleted")
    assert (line["previous_json_payload"], line["previous_hash"]) == (None, None)
    assert deployed.count(deployed.named("ssd_api_held")) == 0


@pytest.mark.parametrize("is_refused", [True, False])
def test_rejected_or_undelivered_record_keeps_its_row_state(deployed: TestDatabase, is_refused: bool) -> None:
    fill(deployed, deployed.table, [staged("1", state="Updated", previous={"la_child_id": "1"})])
    before = row_of(deployed, deployed.table, "1")
    with store_of(deployed) as store:
        record = record_of(read(store)[0])
        outcome = (
            Rejected(record, given("HTTP 400: wrong", 400))
            if is_refused
            else DeliveryFailed(record, given("HTTP 400: wrong", 400), False)
        )
        write(store, [outcome])
    after = row_of(deployed, deployed.table, "1")
    assert (after.pop("submission_status"), after.pop("api_response")) == ("error", "HTTP 400: wrong")
    assert after.items() <= before.items()


def test_record_that_may_have_arrived_stays_in_doubt(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    with store_of(deployed) as store:
        rows = read(store)
        Baselines(store, HERE).mark_in_doubt(
            "run-1", [(row.person_id, sha256_hex(row.json_payload)) for row in rows], []
        )
        records = [record_of(row) for row in rows]
        write(
            store,
            [
                DeliveryFailed(records[0], given("no answer", None), True),
                DeliveryFailed(records[1], given("refused", None), False),
            ],
        )
        baselines = Baselines(store, HERE).read(["1", "2"])
    assert set(baselines) == {"1"}
    noted = baselines["1"].in_doubt
    assert noted is not None
    assert noted == InDoubt(rows[0].json_payload, sent_of=sha256_hex(rows[0].json_payload))


@pytest.mark.parametrize("times", [(None, AT), (AT, None), (None, None)])
@pytest.mark.parametrize("kind", [RecordKind.FULL, RecordKind.DELTA])
def test_receipts_with_and_without_a_time_are_written_together(
    deployed: TestDatabase, kind: RecordKind, times: tuple[datetime | None, datetime | None]
) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    with store_of(deployed) as store:
        records = [record_of(row, kind) for row in read(store)]
        write(store, [Accepted(record, Receipt(UUID, at), 200) for record, at in zip(records, times, strict=True)])
    rows = table_rows(deployed, deployed.table)
    assert tuple(row["submission_timestamp"] for row in rows) == times


def test_planner_reads_no_page_before_its_steps_are_asked_for(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged(str(number), {"la_child_id": "x", "wrong": 1}) for number in range(500)])
    told: list[str] = []
    with store_of(deployed) as store:
        steps = next(planner_of(store, lambda person_id, _finding: told.append(person_id)).rounds())
        assert not told
        assert isinstance(next(steps), Invalid)
    assert 0 < len(told) <= 200


def test_accepted_purge_updates_the_baseline_and_row_stays_due(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1", status="sent", state="unchanged"), staged("2", status="Error")])
    with store_of(deployed) as store:
        rows = store.read_page(Selection(every_row=True), 0)
        held = '{"la_child_id":"x"}'
        write(
            store,
            [accepted(record_of(row, RecordKind.PURGE, held_after=held, then=record_of(row))) for row in rows],
        )
    assert row_of(deployed, deployed.table, "1")["submission_status"] == "pending"
    assert row_of(deployed, deployed.table, "2")["submission_status"] == "Error"
    assert {line["held_payload"] for line in table_rows(deployed, deployed.named("ssd_api_held"), "la_child_id")} == {
        held
    }


def test_a_payload_that_cannot_be_sent_becomes_an_error_with_its_reason(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1", "{broken")])
    with store_of(deployed) as store:
        write(store, [Invalid(read(store)[0], refused(["not JSON"]))])
    assert row_of(deployed, deployed.table, "1")["api_response"] == "Payload refused before sending: not JSON"
    assert deployed.count(deployed.named("ssd_api_submission_log")) == 0


def test_payload_equal_to_its_baseline_is_marked_up_to_date(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1")])
    with store_of(deployed) as store:
        row = read(store)[0]
        write(store, [UpToDate(row, "1", UUID)])
    line = row_of(deployed, deployed.table, "1")
    assert (line["submission_status"], line["row_state"]) == ("sent", "unchanged")
    assert line["api_response"] == f"NOT SENT: the receiver holds exactly this payload (receipt {UUID})"
    assert deployed.count(deployed.named("ssd_api_submission_log")) == 0


def test_testing_mode_writes_its_answer_and_nothing_else(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1", previous={"la_child_id": "1"})])
    before = row_of(deployed, deployed.table, "1")
    with store_of(deployed) as store:
        write(store, [accepted(record_of(read(store)[0]))], testing=True)
    after = row_of(deployed, deployed.table, "1")
    assert after.pop("submission_status") == "testing"
    assert after.pop("api_response").startswith("TESTING")
    assert after.pop("submission_timestamp") is not None
    assert after.items() <= before.items()
    assert deployed.count(deployed.named("ssd_api_held")) == 0
    assert deployed.count(deployed.named("ssd_api_submission_log")) == 0


def test_without_control_tables_only_the_row_is_written(database: TestDatabase) -> None:
    database.deploy()
    for control_table in ("ssd_api_held", "ssd_api_submission_log", "ssd_api_unconfirmed"):
        database.execute(f"DROP TABLE {database.named(control_table)}")
    fill(database, database.table, [staged("1")])
    with store_of(database) as store:
        assert not store.has_control_tables()
        write(store, [accepted(record_of(read(store)[0]))], control_tables=False)
    assert row_of(database, database.table, "1")["submission_status"] == "sent"


def test_error_during_write_back_leaves_nothing_half_written(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    with store_of(deployed) as store:
        records = [record_of(row) for row in read(store)]
        deployed.execute(f"DROP TABLE {deployed.named('ssd_api_submission_log')}")
        with pytest.raises(DatabaseError):
            write(store, [accepted(record) for record in records])
    assert {row["submission_status"] for row in table_rows(deployed, deployed.table)} == {"Pending"}
    assert deployed.count(deployed.named("ssd_api_held")) == 0
