"""Write-back beside runs of other shards that recorded something of the same child, on every database."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest

from api_pipeline.db import Retrying
from api_pipeline.model import InDoubt, Record
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.reliable_write_back import ReliableWriteBack
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.write_back import Destination, WriteBack
from api_pipeline.payloads.finding import Finding
from api_pipeline.run_summary import RunSummary
from tests.support.databases import TestDatabase
from tests.support.staging import child, fill, row_of, staged, table_rows
from tests.support.stores import store_of
from tests.support.writing_back import AT, HERE, RETRY, UUID, accepted, planner_of, read, record_of, write

pytestmark = pytest.mark.strict


def reliable(store: StagingTable, database: TestDatabase) -> ReliableWriteBack:
    to = Destination("run-1", "staging", HERE, control_tables=True, testing=False)
    return ReliableWriteBack(
        WriteBack(store, to, lambda text, _: text),
        ReceiptSpool(Path(), database.table),
        Retrying(store.connection, RETRY),
        RunSummary(run_id="run-1", table="staging", receiver=HERE, is_testing=False, is_deltas=False, started_at=AT),
    )


def test_what_another_shard_recorded_meanwhile_is_replaced_and_logged_once(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    with store_of(deployed) as store:
        Baselines(store, HERE).insert([("2", "{}", "", UUID, AT)])
        write(store, [accepted(record_of(row)) for row in read(store)])
        baselines = Baselines(store, HERE).read(["1", "2"])
    assert [row["submission_status"] for row in table_rows(deployed, deployed.table)] == ["sent", "sent"]
    assert baselines["2"].held == row_of(deployed, deployed.table, "2")["json_payload"]
    assert deployed.count(deployed.named("ssd_api_submission_log")) == 2


def test_what_another_shard_records_at_the_same_moment_is_replaced(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    with store_of(deployed) as store, store_of(deployed) as other, ThreadPoolExecutor() as at_once:
        outcomes = [accepted(record_of(row)) for row in read(store)]
        with other.connection.transaction():
            Baselines(other, HERE).insert([("2", "{}", "", UUID, AT)])
            writing = at_once.submit(write, store, outcomes)
            sleep(0.3)
        writing.result()
        baselines = Baselines(store, HERE).read(["1", "2"])
    assert baselines["2"].held == row_of(deployed, deployed.table, "2")["json_payload"]
    assert deployed.count(deployed.named("ssd_api_submission_log")) == 2


def test_in_doubt_mark_of_another_shard_is_replaced(deployed: TestDatabase) -> None:
    strange = child("1", child_details={"sex": "X", "date_of_birth": "2015-01-01"})
    fill(deployed, deployed.table, [staged("1", strange), staged("2")])
    with store_of(deployed) as store, store_of(deployed) as other:

        def note_it_too(person_id: str, _finding: Finding) -> None:
            if person_id == "1" and not Baselines(other, HERE).runs_in_doubt(["1"]):
                Baselines(other, HERE).mark_in_doubt("run-2", [(person_id, "h")], [])

        records = [step for step in next(planner_of(store, note_it_too).rounds()) if isinstance(step, Record)]
        assert [record.la_child_id for record in records] == ["1", "2"]
        reliable(store, deployed).write(0, [], records)
        assert Baselines(store, HERE).runs_in_doubt(["1", "2"]) == {"1": "run-1", "2": "run-1"}
        noted = {child: baseline.in_doubt for child, baseline in Baselines(store, HERE).read(["1", "2"]).items()}
    # The other shard's record may arrive too: then this payload is not sure of what it is sent upon.
    assert noted["1"] == InDoubt(None, sent_of="")
    assert noted["2"] != noted["1"]
