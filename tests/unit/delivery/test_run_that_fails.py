"""Runs that end early: lost batches, refused access, signals, errors of the program, tables that are gone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from api_pipeline.csc_api.answers import Answer, Transient
from api_pipeline.errors import AuthenticationRefused, DatabaseError, ServiceUnavailable
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.run_summary import RunSummary
from tests.support.databases import TestDatabase
from tests.support.nights import Night, accept, statuses
from tests.support.staging import fill, staged


def test_run_gives_up_after_lost_batches_and_leaves_the_rest_due(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged(str(number)) for number in range(20)])
    night.receiver.rule = lambda _: Transient(503, "HTTP 503", None, may_have_arrived=False)

    summary = night.run()

    assert [type(error) for error in summary.errors] == [ServiceUnavailable]
    assert summary.undelivered == 4
    assert statuses(table)[4:] == ["Pending"] * 16
    assert table.count("ssd_api_unconfirmed") == 0, "what was never sent is in doubt no longer"
    assert summary.exit_code == 5


def test_refused_access_ends_the_run_and_marks_no_row(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged(person) for person in "ABC"])

    def refuse(_: Sequence[bytes]) -> Answer:
        raise AuthenticationRefused("The token service refuses.")

    night.receiver.rule = refuse
    summary = night.run()

    assert len(night.receiver.posts) == 1
    assert (summary.exit_code, summary.in_error) == (4, 0)
    assert statuses(table) == ["Pending"] * 3


def test_signal_lets_the_request_under_way_be_written_back(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged(str(number)) for number in range(12)])

    def stop_and_accept(records: Sequence[bytes]) -> Answer:
        # Until a second batch, which will not begin, is marked as well.
        until = time.monotonic() + 10
        while table.count("ssd_api_unconfirmed") < 4 and time.monotonic() < until:
            time.sleep(0.001)
        night.stop.set()
        return accept(records)

    night.receiver.rule = stop_and_accept
    summary = night.run()

    assert summary.was_stopped
    assert summary.exit_code == 130
    assert len(night.receiver.posts) == 1
    assert statuses(table).count("sent") == summary.accepted == 2
    assert table.count("ssd_api_unconfirmed") == 0, "what was never sent is in doubt no longer"


def test_signal_ends_a_run_whose_rows_are_not_sent(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged(str(number), "no JSON") for number in range(250)])
    night.stop.set()

    assert night.run().exit_code == 130

    assert 0 < statuses(table).count("error") < 250


def test_program_error_while_reading_ends_the_run_with_its_name_alone(table: TestDatabase, night: Night) -> None:
    def fail(summary: RunSummary) -> None:
        raise KeyError("a child's name")

    fill(table, table.table, [staged("A")])
    night.parts = night.parts._replace(progress=fail)

    summary = night.run()

    assert "KeyError" in str(summary.errors[0])
    assert "a child's name" not in str(summary.errors[0])


def test_receipt_is_kept_in_a_file_where_the_table_is_gone(table: TestDatabase, night: Night, tmp_path: Path) -> None:
    fill(table, table.table, [staged("A")])

    def drop_and_accept(records: Sequence[bytes]) -> Answer:
        table.execute(f"DROP TABLE {table.table}")
        return accept(records)

    night.receiver.rule = drop_and_accept
    summary = night.run()

    (saved,) = ReceiptSpool(tmp_path, "staging").read()
    assert (saved.person_id, saved.run_id) == ("A", "run-1")
    assert summary.errors
    assert all(isinstance(error, DatabaseError) for error in summary.errors)
    assert (summary.accepted, summary.exit_code) == (1, 3)


def test_answers_that_cannot_be_written_end_the_run_and_count_as_accepted(
    table: TestDatabase, night: Night, tmp_path: Path
) -> None:
    fill(table, table.table, [staged(person) for person in "ABCD"])

    def drop_and_accept(records: Sequence[bytes]) -> Answer:
        until = time.monotonic() + 10
        while not night.parts.planner.is_complete and time.monotonic() < until:
            time.sleep(0.001)
        table.execute(f"DROP TABLE IF EXISTS {table.table}")
        return accept(records)

    night.receiver.rule = drop_and_accept
    summary = night.run()

    saved = ReceiptSpool(tmp_path, "staging").read()
    assert {receipt.person_id for receipt in saved} == set("ABCD")
    assert (summary.accepted, summary.exit_code) == (4, 3)
