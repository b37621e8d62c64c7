"""The journal: an entry opened and closed for each run, which never stops the run it tells of."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import pytest

from api_pipeline.errors import ServiceUnavailable
from api_pipeline.outbox.run_journal import RunJournal, unfinished_shards
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.run_summary import RunSummary
from tests.support.databases import TestDatabase
from tests.support.staging import table_rows

AT = datetime(2026, 11, 27, 2, 0, 0)  # noqa: DTZ001 - the journal's times are UTC without a zone
RUNS = "ssd_api_runs"


def summary(run_id: str = "run-1", *, is_testing: bool = False, is_deltas: bool = False) -> RunSummary:
    return RunSummary(
        run_id=run_id,
        table="staging",
        receiver="https://receiver.example/1",
        is_testing=is_testing,
        is_deltas=is_deltas,
        started_at=AT,
        finished_at=AT + timedelta(minutes=3),
    )


def test_entry_is_open_while_the_run_is_at_work(table: TestDatabase, store: StagingTable) -> None:
    RunJournal(store, summary(), "").begin()

    (entry,) = table_rows(table, RUNS, "run_id")
    told = {name: entry[name] for name in ("run_id", "staging_table", "receiver", "mode", "payloads", "shard")}
    assert told == {
        "run_id": "run-1",
        "staging_table": "staging",
        "receiver": "https://receiver.example/1",
        "mode": "live",
        "payloads": "full",
        "shard": None,
    }
    assert entry["started_at"] == AT
    assert (entry["finished_at"], entry["exit_code"]) == (None, None)


def test_entry_tells_testing_deltas_and_the_shard(table: TestDatabase, store: StagingTable) -> None:
    RunJournal(store, summary(is_testing=True, is_deltas=True), "2/3").begin()

    (entry,) = table_rows(table, RUNS, "run_id")
    assert (entry["mode"], entry["payloads"], entry["shard"]) == ("testing", "deltas", "2/3")


def test_entry_is_closed_with_each_count_in_its_own_column(table: TestDatabase, store: StagingTable) -> None:
    run = summary()
    journal = RunJournal(store, run, "")
    journal.begin()
    run.due, run.accepted, run.deleted, run.unchanged = 100, 41, 5, 7
    run.rejected, run.refused, run.undelivered = 2, 9, 13

    journal.finish()

    (entry,) = table_rows(table, RUNS, "run_id")
    counts = {"due": 100, "accepted": 41, "refused": 11, "undelivered": 13, "deleted": 5, "unchanged": 7}
    assert {name: entry[name] for name in counts} == counts
    assert entry["not_tried"] == 100 - 41 - 7 - 2 - 9 - 13
    assert entry["finished_at"] == AT + timedelta(minutes=3)
    assert (entry["exit_code"], entry["message"]) == (5, None)


def test_only_the_entry_of_this_run_is_closed(table: TestDatabase, store: StagingTable) -> None:
    earlier, later = (RunJournal(store, summary(run_id), "") for run_id in ("run-1", "run-2"))
    earlier.begin()
    later.begin()

    later.finish()

    assert [entry["exit_code"] for entry in table_rows(table, RUNS, "run_id")] == [None, 0]


def test_message_has_the_errors_and_what_no_run_takes(table: TestDatabase, store: StagingTable) -> None:
    run = summary()
    journal = RunJournal(store, run, "")
    journal.begin()
    run.errors = [ServiceUnavailable("The receiver failed."), ServiceUnavailable("It failed again.")]
    run.blank, run.purges = 2, 4

    journal.finish()

    (entry,) = table_rows(table, RUNS, "run_id")
    blank = "2 rows would be due but have no payload: no run takes them."
    assert entry["message"] == f"The receiver failed. It failed again. {blank}"


def test_exit_code_that_is_given_wins_over_that_of_the_counts(table: TestDatabase, store: StagingTable) -> None:
    journal = RunJournal(store, summary(), "")
    journal.begin()

    journal.finish(3)

    assert [entry["exit_code"] for entry in table_rows(table, RUNS, "run_id")] == [3]


def test_entry_is_closed_on_a_new_connection_where_the_old_one_is_gone(
    table: TestDatabase, store: StagingTable
) -> None:
    journal = RunJournal(store, summary(), "")
    journal.begin()
    store.connection.close()

    journal.finish()

    assert [entry["exit_code"] for entry in table_rows(table, RUNS, "run_id")] == [0]


def test_error_in_the_journal_is_only_a_warning(
    table: TestDatabase, store: StagingTable, caplog: pytest.LogCaptureFixture
) -> None:
    RunJournal(store, summary(), "").begin()

    RunJournal(store, summary(), "").begin()

    assert "the journal entry of this run could not be written" in caplog.text
    assert table.count(RUNS) == 1


def test_nothing_is_written_where_there_is_no_journal(
    table: TestDatabase, store: StagingTable, caplog: pytest.LogCaptureFixture
) -> None:
    table.execute(f"DROP TABLE {RUNS}")
    journal = RunJournal(store, summary(), "")

    journal.begin()
    journal.finish()

    assert "could not be written" not in caplog.text
    assert unfinished_shards(store) == []


@pytest.mark.parametrize(("exit_code", "level"), [(0, logging.INFO), (75, logging.INFO), (5, logging.ERROR)])
def test_end_is_logged_as_an_error_only_where_it_is_one(
    store: StagingTable, caplog: pytest.LogCaptureFixture, exit_code: int, level: int
) -> None:
    with caplog.at_level(logging.INFO):
        RunJournal(store, summary(), "").finish(exit_code)

    (end,) = [line for line in caplog.records if line.getMessage().startswith("run ends after")]
    assert end.levelno == level
    assert f"exit code {exit_code}: 0 due, 0 accepted" in end.getMessage()


def test_shards_are_unfinished_until_their_entries_are_closed(store: StagingTable) -> None:
    journals = [
        RunJournal(store, summary("run-1"), "1/2"),
        RunJournal(store, summary("run-2"), "2/2"),
        RunJournal(store, summary("run-3"), ""),
    ]
    for journal in journals:
        journal.begin()
    assert sorted(unfinished_shards(store)) == [(1, 2), (2, 2)]

    journals[0].finish()

    assert unfinished_shards(store) == [(2, 2)]


def test_entry_with_another_form_of_shard_is_passed_over(table: TestDatabase, store: StagingTable) -> None:
    RunJournal(store, summary(), "1/2").begin()
    table.execute(f"UPDATE {RUNS} SET shard = 'half'")

    assert unfinished_shards(store) == []
