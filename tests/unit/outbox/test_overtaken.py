"""Marks of children of whom a run without all control tables sends records: which baseline comes back, and when."""

from __future__ import annotations

from api_pipeline.api_response import given
from api_pipeline.model import Rejected
from api_pipeline.outbox.baselines import OVERTAKEN
from api_pipeline.outbox.overtaken import overtaken_by
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.storable import storable_rows
from tests.support.databases import TestDatabase
from tests.support.planning import HERE, RECEIPT, put_held
from tests.support.staging import fill, staged
from tests.support.writing_back import accepted, read, record_of


def receipts(table: TestDatabase) -> dict[str, str]:
    return dict(table.rows("SELECT la_child_id, receipt FROM ssd_api_held"))


def test_baseline_of_an_accepted_record_does_not_come_back_with_a_later_rejection(
    table: TestDatabase, store: StagingTable
) -> None:
    fill(table, table.table, [staged(person) for person in "AB"])
    for person in "AB":
        put_held(store, person, {})
    first, second = (record_of(row) for row in read(store))
    marks = overtaken_by(store, HERE, "run-1")
    assert marks is not None
    marks.mark([first, second])
    assert receipts(table) == {"A": OVERTAKEN, "B": OVERTAKEN}
    rejected = [Rejected(record, given("HTTP 400: no", 400)) for record in (first, second)]

    # The purge of A arrives, and the record that follows it does not; of B nothing arrives.
    marks.record(1, [accepted(first), rejected[1]], storable_rows)
    marks.mark([first])
    marks.record(1, rejected[:1], storable_rows)

    assert receipts(table) == {"A": OVERTAKEN, "B": RECEIPT}
