"""Recovery: what becomes of saved receipts whose rows stand as they did, and of those whose rows have changed."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from api_pipeline.db.retry import RetryBudget, Retrying
from api_pipeline.model import Accepted, Baseline, Receipt, Record, RecordKind
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.recovery import Recovery, last_of_each, record_of
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.write_back import Destination
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import parse_payload, sha256_hex
from tests.support.databases import TestDatabase
from tests.support.rows import accepted_row
from tests.support.staging import change, fill, staged, table_rows

AT = datetime(2026, 11, 27, 2, 0, 0)  # noqa: DTZ001 - the receiver gives no zone
HERE = "https://receiver.example/1"


@pytest.fixture
def spool(tmp_path: Path) -> ReceiptSpool:
    return ReceiptSpool(tmp_path / "spool", "dbo.staging", "sql01")


def recovery(store: StagingTable, spool: ReceiptSpool) -> Recovery:
    to = Destination("run-2", "staging", HERE, control_tables=True, testing=False)
    db = Retrying(store.connection, RetryBudget(0, lambda: 0, lambda _: None))
    return Recovery(store, to, spool, db, lambda text, _: text)


def save_receipts(store: StagingTable, spool: ReceiptSpool, receiver: str = HERE) -> None:
    """Keep the receipts of all rows as a run does that could not write them; their children are in doubt."""
    rows = store.read_page(Selection(), None)
    records = [
        Record(row, row.person_id, RecordKind.FULL, b"sent", sha256_hex("sent"), row.json_payload) for row in rows
    ]
    spool.add("run-1", receiver, 3, [Accepted(one, Receipt(f"receipt-{one.la_child_id}", AT), 200) for one in records])
    intents = [(one.la_child_id, sha256_hex(one.row.json_payload)) for one in records]
    Baselines(store, HERE).mark_in_doubt("run-1", intents, [])


def logged(table: TestDatabase) -> list[tuple[object, ...]]:
    lines = table_rows(table, "ssd_api_submission_log")
    return [(line["staging_id"], line["person_id"], line["kind"].strip(), line["answer"]) for line in lines]


def test_saved_receipts_are_written_under_their_run_and_the_file_goes(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    fill(table, table.table, [staged("A"), staged("B")])
    save_receipts(store, spool)

    assert recovery(store, spool).run() == 2

    assert [(row["submission_status"], row["api_response"]) for row in table_rows(table, table.table)] == [
        ("sent", "receipt-A"),
        ("sent", "receipt-B"),
    ]
    assert {(line["run_id"].strip(), line["batch"]) for line in table_rows(table, "ssd_api_submission_log")} == {
        ("run-1", 3)
    }
    assert Baselines(store, HERE).runs_in_doubt(["A", "B"]) == {}
    assert not spool.path.exists()
    assert recovery(store, spool).run() == 0


@pytest.mark.parametrize(
    "changes", [{"json_payload": '{"la_child_id":"A"}'}, {"row_state": "Deleted"}, {"person_id": "C"}]
)
def test_receipt_of_a_row_that_changed_is_only_logged(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool, changes: dict[str, str]
) -> None:
    fill(table, table.table, [staged("A")])
    save_receipts(store, spool)
    change(table, table.table, "A", **changes)

    assert recovery(store, spool).run() == 0

    assert [row["submission_status"] for row in table_rows(table, table.table)] == ["Pending"]
    assert logged(table) == [(1, "A", "full", "receipt-A")]
    assert Baselines(store, HERE).runs_in_doubt(["A"]) == {"A": "run-1"}


def test_receipt_of_a_row_that_is_gone_is_only_logged(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    fill(table, table.table, [staged("A")])
    save_receipts(store, spool)
    table.execute(f"DELETE FROM {table.table}")

    assert recovery(store, spool).run() == 0

    assert logged(table) == [(1, "A", "full", "receipt-A")]
    assert not spool.path.exists()


def test_receipt_of_a_child_who_was_sent_later_is_only_logged(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    fill(table, table.table, [staged("A")])
    save_receipts(store, spool)
    Baselines(store, HERE).mark_in_doubt("run-9", [("A", "h")], ["A"])

    assert recovery(store, spool).run() == 0

    assert [row["submission_status"] for row in table_rows(table, table.table)] == ["Pending"]
    assert logged(table) == [(1, "A", "full", "receipt-A")]


def test_earlier_receipts_of_a_row_are_only_logged_before_its_last(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    fill(table, table.table, [staged("A")])
    (row,) = store.read_page(Selection(), None)
    record = Record(row, "A", RecordKind.FULL, b"sent", sha256_hex("sent"), row.json_payload)
    for run_id in ("run-0", "run-1"):
        spool.add(run_id, HERE, 3, [Accepted(record, Receipt(f"receipt of {run_id}", AT), 200)])
    Baselines(store, HERE).mark_in_doubt("run-1", [("A", sha256_hex(row.json_payload))], [])

    assert recovery(store, spool).run() == 1

    assert logged(table) == [(1, "A", "full", f"receipt of {run_id}") for run_id in ("run-0", "run-1")]
    (now,) = table_rows(table, table.table)
    assert (now["submission_status"], now["api_response"]) == ("sent", "receipt of run-1")


def test_receipts_of_another_receiver_stay_in_the_file(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    fill(table, table.table, [staged("A")])
    save_receipts(store, spool, receiver="https://elsewhere.example")

    assert recovery(store, spool).run() == 0
    assert [saved.person_id for saved in spool.read()] == ["A"]


def test_purge_that_was_logged_before_a_kill_is_not_logged_again(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    fill(table, table.table, [staged("A")])
    (row,) = store.read_page(Selection(), None)
    purge = Record(row, "A", RecordKind.PURGE, b"purge", sha256_hex("purge"), None)
    spool.add("run-1", HERE, 3, [Accepted(purge, Receipt("receipt-P", AT), 200)])
    saved = spool.path.read_bytes()
    assert recovery(store, spool).run() == 1
    # The power goes before the file does.
    spool.path.write_bytes(saved)

    assert recovery(store, spool).run() == 1

    (line,) = table_rows(table, "ssd_api_submission_log")
    assert (line["kind"], line["answer"]) == ("purge", "receipt-P")
    assert [row["submission_status"] for row in table_rows(table, table.table)] == ["Pending"]


@pytest.mark.parametrize("changes", [{"json_payload": "{"}, {"row_state": "Deleted"}], ids=["unreadable", "deleted"])
def test_purge_that_its_row_no_longer_asks_for_is_only_logged(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool, changes: dict[str, str]
) -> None:
    fill(table, table.table, [staged("A")])
    (row,) = store.read_page(Selection(), None)
    # A resync's purge of the whole child has the bytes of a deletion.
    deleted = row._replace(is_deleted=True)
    deletion = plan(deleted, parse_payload(row.json_payload), Baseline(), Policy(deltas=False))
    assert isinstance(deletion, Record)
    purge = deletion._replace(row=row, kind=RecordKind.PURGE)
    spool.add("run-1", HERE, 3, [Accepted(purge, Receipt("receipt-P", AT), 200)])
    Baselines(store, HERE).mark_in_doubt("run-1", [("A", "h")], [])
    change(table, table.table, "A", **changes)

    assert recovery(store, spool).run() == 1

    assert [(line["kind"], line["answer"]) for line in table_rows(table, "ssd_api_submission_log")] == [
        ("purge", "receipt-P")
    ]
    assert [row["submission_status"] for row in table_rows(table, table.table)] == ["Pending"]
    assert Baselines(store, HERE).runs_in_doubt(["A"]) == {"A": "run-1"}


def test_child_stays_in_doubt_where_the_record_after_a_saved_purge_may_have_arrived(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    now, before = (
        {"la_child_id": "A", "child_details": {"first_name": "Ada", **more}} for more in ({}, {"surname": "Old"})
    )
    fill(table, table.table, [staged("A", now)])
    (row,) = store.read_page(Selection(), None)
    held = json.dumps(before)
    purge = plan(row, parse_payload(row.json_payload), Baseline(held), Policy(deltas=False))
    assert isinstance(purge, Record)
    assert (purge.kind, purge.then is not None) == (RecordKind.PURGE, True)
    spool.add("run-1", HERE, 3, [Accepted(purge, Receipt("receipt-P", AT), 200)])
    baselines = Baselines(store, HERE)
    baselines.insert([("A", held, sha256_hex(held), "earlier", AT)])
    baselines.mark_in_doubt("run-1", [("A", purge.intent_hash)], [])

    assert recovery(store, spool).run() == 1

    found = baselines.read(["A"])["A"]
    assert (found.held, found.receipt, found.in_doubt is not None) == (held, "earlier", True)
    assert [line["answer"] for line in table_rows(table, "ssd_api_submission_log")] == ["receipt-P"]


@pytest.mark.parametrize("kind", list(RecordKind))
def test_saved_receipt_says_what_was_sent(spool: ReceiptSpool, kind: RecordKind) -> None:
    sent = accepted_row(4, kind).record
    spool.add("run-1", "here", 1, [accepted_row(4, kind)])
    (saved,) = spool.read()

    again = record_of(saved, sent.row)

    assert (again.row, again.la_child_id, again.kind) == (sent.row, "C4", kind)
    assert (again.sent_hash, again.body, again.held_after) == (sent.sent_hash, b"", None)


def test_last_of_several_receipts_of_a_row_counts_beside_its_purge(spool: ReceiptSpool) -> None:
    spool.add("run-1", "here", 1, [accepted_row()])
    (first,) = spool.read()
    later, other, purge = first._replace(receipt="later"), first._replace(row_id=2), first._replace(kind="purge")

    assert last_of_each([first, other, later]) == [other, later]
    assert last_of_each([purge, first, purge._replace(batch=9), later]) == [purge._replace(batch=9), later]
