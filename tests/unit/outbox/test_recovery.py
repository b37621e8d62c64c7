"""Recovery: what becomes of saved receipts whose rows stand as they did, and of those whose rows have changed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.db.retry import RetryBudget, Retrying
from api_pipeline.model import Accepted, Receipt, Record, RecordKind
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.changes import Destination
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.recovery import After, Recovery, last_of_each, recovered
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.plan import Policy
from api_pipeline.payloads.reading import sha256_hex
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
    return Recovery(store, to, spool, Policy(deltas=False), db, lambda text, _: text)


def save_receipts(store: StagingTable, spool: ReceiptSpool, receiver: str = HERE) -> None:
    """Keep the receipts of all rows as a run does that could not write them; their children are in doubt."""
    rows = store.read_page(Selection(), None)
    records = [Record(row, row.person_id, RecordKind.FULL, b"sent", row.json_payload) for row in rows]
    spool.add("run-1", receiver, 3, [Accepted(one, Receipt(f"receipt-{one.la_child_id}", AT), 200) for one in records])
    intents = [(one.la_child_id, sha256_hex(one.row.json_payload)) for one in records]
    Baselines(store, HERE).mark_in_doubt("run-1", intents, [])


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


def test_receipt_of_a_row_that_changed_or_was_sent_later_is_not_written(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    fill(table, table.table, [staged("A"), staged("B")])
    save_receipts(store, spool)
    change(table, table.table, "A", json_payload='{"la_child_id":"A"}')
    Baselines(store, HERE).mark_in_doubt("run-9", [("B", "h")], ["B"])

    assert recovery(store, spool).run() == 0

    assert [row["submission_status"] for row in table_rows(table, table.table)] == ["Pending", "Pending"]


def test_receipts_of_another_receiver_stay_in_the_file(
    table: TestDatabase, store: StagingTable, spool: ReceiptSpool
) -> None:
    fill(table, table.table, [staged("A")])
    save_receipts(store, spool, receiver="https://elsewhere.example")

    assert recovery(store, spool).run() == 0
    assert [saved.person_id for saved in spool.read()] == ["A"]


@pytest.mark.parametrize("kind", [RecordKind.FULL, RecordKind.DELTA, RecordKind.DELETION])
def test_saved_receipt_becomes_the_outcome_it_was(spool: ReceiptSpool, kind: RecordKind) -> None:
    outcome = accepted_row(4, kind)
    spool.add("run-1", "here", 1, [outcome])
    (saved,) = spool.read()

    again = recovered(saved, outcome.record.row, After("held text"))

    assert again is not None
    assert (again.receipt, again.http_code) == (outcome.receipt, 201)
    assert (again.record.row, again.record.la_child_id, again.record.kind) == (outcome.record.row, "C4", kind)
    assert again.record.sent_hash == outcome.record.sent_hash
    assert again.record.held_after == (None if kind is RecordKind.DELETION else "held text")


@pytest.mark.parametrize("changes", [{"json_payload": '{"n":5}'}, {"row_state": "deleted"}, {"person_id": "P2"}])
def test_saved_receipt_is_of_no_use_for_a_row_that_changed(spool: ReceiptSpool, changes: dict[str, Any]) -> None:
    outcome = accepted_row()
    spool.add("run-1", "here", 1, [outcome])
    (saved,) = spool.read()
    row = outcome.record.row

    assert recovered(saved, row, After(None)) is not None
    assert recovered(saved, row._replace(**changes), After(None)) is None


def test_last_of_several_receipts_of_a_row_counts_beside_its_purge(spool: ReceiptSpool) -> None:
    spool.add("run-1", "here", 1, [accepted_row()])
    (first,) = spool.read()
    later, other, purge = first._replace(receipt="later"), first._replace(row_id=2), first._replace(kind="purge")

    assert last_of_each([first, other, later]) == [other, later]
    assert last_of_each([purge, first, purge._replace(batch=9), later]) == [purge._replace(batch=9), later]
