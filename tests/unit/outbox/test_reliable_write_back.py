"""The write-back on a database that refuses some of it: what is written or kept in the file, and when a run ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from api_pipeline.db import Retrying
from api_pipeline.errors import DatabaseError
from api_pipeline.model import Accepted
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.reliable_write_back import ReliableWriteBack
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.write_back import Destination, WriteBack
from api_pipeline.run_summary import RunSummary
from tests.support.altering import rename_table
from tests.support.databases import TestDatabase
from tests.support.nights import RETRY
from tests.support.staging import fill, staged, table_rows
from tests.support.writing_back import AT, HERE, accepted, read, record_of


@dataclass
class Desk:
    """A write-back of one run, with its spool and its summary."""

    reliable: ReliableWriteBack
    spool: ReceiptSpool
    summary: RunSummary

    def saved(self) -> list[str]:
        return [receipt.person_id for receipt in self.spool.read()]


def desk(store: StagingTable, folder: Path, *, testing: bool = False) -> Desk:
    summary = RunSummary(
        run_id="run-1", table="staging", receiver=HERE, is_testing=testing, is_deltas=False, started_at=AT
    )
    spool = ReceiptSpool(folder, "staging")
    to = Destination("run-1", "staging", HERE, control_tables=True, testing=testing)
    write_back = WriteBack(store, to, lambda text, _: text)
    return Desk(ReliableWriteBack(write_back, spool, Retrying(store.connection, RETRY), summary), spool, summary)


def batches_of(table: TestDatabase, store: StagingTable, *sizes: int) -> list[list[Accepted]]:
    """Return acceptances of new rows, whose people are numbered from 1, in batches of these sizes."""
    fill(table, table.table, [staged(str(number)) for number in range(1, sum(sizes) + 1)])
    outcomes = iter([accepted(record_of(row)) for row in read(store)])
    return [[next(outcomes) for _ in range(size)] for size in sizes]


def refuse(table: TestDatabase, *people: str) -> None:
    """Let the database refuse every change of these people's rows."""
    among = ", ".join(f"'{person}'" for person in people)
    table.execute(
        f"CREATE TRIGGER refusing BEFORE UPDATE ON {table.table} WHEN OLD.person_id IN ({among}) "
        "BEGIN SELECT RAISE(ABORT, 'not these'); END"
    )


def sent(table: TestDatabase) -> list[str]:
    """Return whose rows are sent."""
    return [row["person_id"] for row in table_rows(table, table.table) if row["submission_status"] == "sent"]


@pytest.mark.parametrize("is_sending", [False, True])
def test_a_refused_batch_ends_no_run_if_the_one_before_was_written(
    table: TestDatabase, store: StagingTable, tmp_path: Path, *, is_sending: bool
) -> None:
    *batches, following = batches_of(table, store, 2, 2, 2, 3)
    at = desk(store, tmp_path)
    refuse(table, "1", "2", "5", "6")

    for number, outcomes in enumerate(batches, 1):
        about_to_send = [following[number - 1].record] if is_sending else []
        assert list(at.reliable.write(number, outcomes, about_to_send)) == outcomes

    assert (sent(table), at.saved()) == (["3", "4"], ["1", "2", "5", "6"])
    assert table.count("ssd_api_unconfirmed") == (3 if is_sending else 0)
    assert len(at.summary.errors) == 1, "one sentence for each reason"
    assert "Receipts not written are kept in" in str(at.summary.errors[0])


def test_two_refused_batches_in_a_row_end_the_run_and_lose_no_receipt(
    table: TestDatabase, store: StagingTable, tmp_path: Path
) -> None:
    first, second, (following,) = batches_of(table, store, 2, 2, 1)
    at = desk(store, tmp_path)
    refuse(table, "1", "2", "3", "4")

    at.reliable.write(1, first)
    # A mark alone can be written, and says nothing of the staging table.
    at.reliable.write(0, [], [following.record])
    with pytest.raises(DatabaseError, match=r"refused the statement mark_sent .*Receipts not written are kept in"):
        at.reliable.write(2, second)

    assert at.saved() == ["1", "2", "3", "4"]


def test_rows_that_are_refused_in_every_batch_end_no_run(
    table: TestDatabase, store: StagingTable, tmp_path: Path
) -> None:
    batches = batches_of(table, store, 2, 2, 2)
    at = desk(store, tmp_path)
    refuse(table, "1", "3", "5")

    for number, outcomes in enumerate(batches, 1):
        at.reliable.write(number, outcomes)

    assert (sent(table), at.saved()) == (["2", "4", "6"], ["1", "3", "5"])


def test_rehearsed_rows_that_are_refused_do_not_count(table: TestDatabase, store: StagingTable, tmp_path: Path) -> None:
    ((first, second),) = batches_of(table, store, 2)
    at = desk(store, tmp_path, testing=True)
    refuse(table, "1")

    assert list(at.reliable.write(1, [first, second])) == [second]

    assert [row["submission_status"] for row in table_rows(table, table.table)] == ["Pending", "testing"]
    assert (at.saved(), len(at.summary.errors)) == ([], 1)


@pytest.mark.parametrize("testing", [False, True])
def test_answers_that_come_after_a_lost_database_go_to_the_file_alone(
    table: TestDatabase, store: StagingTable, tmp_path: Path, *, testing: bool
) -> None:
    ((outcome,),) = batches_of(table, store, 1)
    at = desk(store, tmp_path, testing=testing)
    rename_table(table, table.table, "away")
    at.reliable.write(1, [outcome])
    with pytest.raises(DatabaseError):
        at.reliable.write(2, [outcome])
    # Another run may have the table by now.
    rename_table(table, "away", table.table)

    assert list(at.reliable.write(3, [outcome])) == ([] if testing else [outcome])

    assert at.summary.receipts_spooled == (0 if testing else 3)
    assert [row["submission_status"] for row in table_rows(table, table.table)] == ["Pending"]


def test_marks_stay_where_another_run_may_have_the_table(
    table: TestDatabase, store: StagingTable, tmp_path: Path
) -> None:
    ((outcome,), (other,)) = batches_of(table, store, 1, 1)
    at = desk(store, tmp_path)
    at.reliable.write(0, [], [other.record])
    rename_table(table, table.table, "away")
    at.reliable.write(1, [outcome])
    with pytest.raises(DatabaseError):
        at.reliable.write(2, [outcome])
    rename_table(table, "away", table.table)

    at.reliable.forget([other.record])

    assert table.count("ssd_api_unconfirmed", f"la_child_id = '{other.la_child_id}'") == 1
