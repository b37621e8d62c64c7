"""The run: due rows planned, sent by senders to a receiver that is a plain object, and written back to a real table."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.api_response import given, refused
from api_pipeline.csc_api.answers import Answer, Malformed, Receipts, Transient
from api_pipeline.db import Connection, connect
from api_pipeline.db_retry import RetryBudget
from api_pipeline.delivery import pages
from api_pipeline.delivery.pages import Pages, PlanOptions
from api_pipeline.delivery.planner import Planner
from api_pipeline.delivery.run import NoProgress, Run, RunParts, count
from api_pipeline.delivery.sender_pool import Sending
from api_pipeline.delivery.stop_token import StopToken
from api_pipeline.errors import AuthenticationRefused, DatabaseError, ServiceUnavailable
from api_pipeline.model import (
    Accepted,
    DeliveryFailed,
    Invalid,
    Outcome,
    Receipt,
    Record,
    RecordKind,
    Rejected,
    StagedRow,
    UpToDate,
)
from api_pipeline.outbox.changes import Destination
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.reliable_write_back import ReliableWriteBack
from api_pipeline.outbox.retrying import Retrying
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import PAGE_SIZE, StagingTable
from api_pipeline.payload import Policy
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.reading import Payload, read_payload
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_lock import locked
from api_pipeline.run_summary import RunSummary
from api_pipeline.sql.identifiers import table_names
from api_pipeline.transport.rate_limit import RateLimiter
from tests.support.databases import TestDatabase, postgresql_database
from tests.support.postgres import PostgresServer
from tests.support.staging import child, fill, staged, table_rows

HERE = "https://receiver.example/1"
AT = datetime(2026, 11, 27, 2, 0, 0)  # noqa: DTZ001 - the summary's times are UTC without a zone
RETRY = RetryBudget(0, lambda: 0, lambda _: None)


def accept(records: Sequence[bytes]) -> Answer:
    return Receipts(200, tuple(Receipt(f"0f8fad5b-d9cb-469f-a165-{hash(body) % 10**12:012}", AT) for body in records))


@dataclass
class Receiver:
    """Answers by a rule, once the limiter lets the request start as it does for real ones."""

    limiter: RateLimiter
    rule: Callable[[Sequence[bytes]], Answer] = accept
    posts: list[list[bytes]] = field(default_factory=list)

    def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
        with self.limiter.passage():
            self.posts.append(list(records))
            return self.rule(records)


class Night:
    """One run on a table, with everything around it."""

    def __init__(
        self,
        store: StagingTable,
        folder: Path,
        *,
        batch_size: int = 2,
        resync: bool = False,
        budget: RetryBudget = RETRY,
        retake: Callable[[], None] = lambda: None,
        on_finding: Callable[[str, Finding], None] = lambda *_: None,
    ) -> None:
        policy = Policy(deltas=False, resync=resync)
        options = PlanOptions(
            selection=Selection(every_row=resync),
            policy=policy,
            receiver=HERE,
            control_tables=True,
            schema_check="off",
            schema_codes="off",
            testing=False,
            people={},
        )
        self.summary = RunSummary(
            run_id="run-1", table="staging", receiver=HERE, is_testing=False, is_deltas=False, started_at=AT
        )
        under_way: set[str] = set()
        checker = Checker(date(2026, 11, 27))
        db = Retrying(store.connection, budget, retake)
        pages = Pages(store, options, checker, db, under_way=lambda: set(under_way))
        plan = Planner(pages, on_finding)
        write_back = ReliableWriteBack(
            store,
            Destination("run-1", "staging", HERE, control_tables=True, testing=False),
            ReceiptSpool(folder, "staging"),
            db,
            mask=lambda text, _: text,
            summary=self.summary,
        )
        limiter = RateLimiter(1, 0.0, time.monotonic)
        self.receiver = Receiver(limiter)
        self.stop = threading.Event()
        stop = StopToken(self.stop, limiter, self.summary)
        sending = Sending(self.receiver, stop, senders=1, give_up_after=2, pause=lambda: None)
        self.parts = RunParts(plan, sending, write_back, under_way, batch_size, NoProgress())

    def run(self) -> RunSummary:
        Run(self.parts, self.summary).execute()
        return self.summary


@pytest.fixture
def night(store: StagingTable, tmp_path: Path) -> Night:
    return Night(store, tmp_path)


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[TestDatabase]:
    with postgresql_database(postgres_server) as database:
        yield database.deploy()


@contextmanager
def opened(database: TestDatabase) -> Iterator[StagingTable]:
    connection = connect(database.connection_string)
    try:
        yield StagingTable(connection, table_names(database.table, connection.dialect))
    finally:
        connection.close()


def statuses(table: TestDatabase) -> list[object]:
    return [row["submission_status"] for row in table_rows(table, table.table)]


def test_all_due_rows_are_sent_in_batches_and_written_back(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged(person) for person in "ABCDE"])

    summary = night.run()

    assert [len(records) for records in night.receiver.posts] == [2, 2, 1]
    assert statuses(table) == ["sent"] * 5
    assert (summary.due, summary.accepted, summary.errors, summary.exit_code) == (5, 5, [], 0)
    assert table.count("ssd_api_unconfirmed") == 0
    assert {row["batch"] for row in table_rows(table, "ssd_api_submission_log")} == {1, 2, 3}


def test_nothing_is_written_beside_a_run_that_took_the_lock(postgres: TestDatabase, tmp_path: Path) -> None:
    """Marking the second batch meets the loss, and the answer to the first comes after that."""
    # A row whose payload names another child is reported while it is planned, which is behind the first batch.
    fill(postgres, postgres.table, [staged("A"), staged("B"), staged("C", child("another")), staged("D")])
    lost = threading.Event()
    with opened(postgres) as store, opened(postgres) as other, ExitStack() as stack:
        keeper = stack.enter_context(locked(store.connection, store.tables.staging, None))

        def another_begins(*_: object) -> None:
            (pid,) = store.connection.query("SELECT pg_backend_pid()")[0]
            other.connection.query("SELECT pg_terminate_backend(?, 5000)", [pid])
            stack.enter_context(locked(other.connection, store.tables.staging, None))

        def retake() -> None:
            try:
                keeper.retake()
            finally:
                lost.set()

        night = Night(
            store,
            tmp_path,
            budget=RetryBudget(5, time.monotonic, time.sleep),
            retake=retake,
            on_finding=another_begins,
        )

        def accept_after_loss(records: Sequence[bytes]) -> Answer:
            assert lost.wait(20)
            return accept(records)

        night.receiver.rule = accept_after_loss
        summary = night.run()

    assert statuses(postgres) == ["Pending"] * 4
    assert (summary.accepted, summary.exit_code, len(night.receiver.posts)) == (2, 3, 1)
    (kept,) = tmp_path.glob("unwritten-receipts-*")
    (error,) = summary.errors
    assert "another run was at work" in str(error)
    assert str(kept) in str(error)


def test_later_pages_are_read_in_the_transaction_of_a_write_back(
    table: TestDatabase, store: StagingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(2 * PAGE_SIZE + 1)])
    pages: list[bool] = []
    read_page, transaction = StagingTable.read_page, Connection.transaction
    depth = [0]

    @contextmanager
    def counted(self: Connection) -> Iterator[None]:
        with transaction(self):
            depth[0] += 1
            try:
                yield
            finally:
                depth[0] -= 1

    def seen(self: StagingTable, selection: Selection, after_id: int | None) -> list[StagedRow]:
        pages.append(depth[0] > 0)
        return read_page(self, selection, after_id)

    monkeypatch.setattr(Connection, "transaction", counted)
    monkeypatch.setattr(StagingTable, "read_page", seen)

    assert Night(store, tmp_path, batch_size=PAGE_SIZE).run().accepted == 2 * PAGE_SIZE + 1
    assert pages == [False, True, True, True], "all but the first; the last is the empty one behind the rows"


def test_payloads_of_a_page_read_ahead_are_checked_by_a_thread_that_ends(
    table: TestDatabase, store: StagingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(2 * PAGE_SIZE)])
    before = set(threading.enumerate())
    threads: list[str] = []

    def seen(*args: Any) -> Payload:
        threads.append(threading.current_thread().name)
        return read_payload(*args)

    monkeypatch.setattr(pages, "read_payload", seen)

    assert Night(store, tmp_path, batch_size=PAGE_SIZE).run().accepted == 2 * PAGE_SIZE
    assert threads == ["MainThread"] * PAGE_SIZE + ["planner_0"] * PAGE_SIZE
    assert not set(threading.enumerate()) - before


def test_program_error_while_checking_a_page_ends_the_run_in_a_sentence(
    table: TestDatabase, store: StagingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(2 * PAGE_SIZE)])

    def fails(row: StagedRow, *args: Any) -> Payload:
        if row.id > PAGE_SIZE:
            raise ZeroDivisionError
        return read_payload(row, *args)

    monkeypatch.setattr(pages, "read_payload", fails)
    summary = Night(store, tmp_path, batch_size=PAGE_SIZE).run()

    assert [str(error) for error in summary.errors] == [
        "The program failed unexpectedly while reading (ZeroDivisionError); report it."
    ]
    assert statuses(table).count("sent") == summary.accepted, "the first page was sent, or not begun"


def test_page_that_cannot_be_read_within_a_transaction_is_read_alone(
    table: TestDatabase, store: StagingTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(PAGE_SIZE + 1)])
    night = Night(store, tmp_path, batch_size=PAGE_SIZE // 2)

    def refused(_self: Pages) -> None:
        raise DatabaseError("the page cannot be read")

    monkeypatch.setattr(Pages, "read_ahead", refused)

    assert (night.run().accepted, night.summary.errors) == (PAGE_SIZE + 1, [])


def test_record_is_marked_in_doubt_before_its_request_begins(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged(person) for person in "ABC"])
    seen: list[int] = []

    def look(records: Sequence[bytes]) -> Answer:
        seen.append(table.count("ssd_api_unconfirmed"))
        return accept(records)

    night.receiver.rule = look
    night.run()

    assert len(seen) == 2
    assert all(count >= len(posted) for count, posted in zip(seen, night.receiver.posts, strict=True))


def test_each_row_is_counted_by_what_became_of_it(table: TestDatabase, night: Night) -> None:
    fill(
        table, table.table, [staged("A"), staged("B", payload="{}"), staged("C", payload=child("C", mark="refuse me"))]
    )

    def refuse_one(records: Sequence[bytes]) -> Answer:
        named = {place: "HTTP 400: wrong" for place, body in enumerate(records) if b"refuse me" in body}
        return Malformed(400, "HTTP 400: wrong", named) if named else accept(records)

    night.receiver.rule = refuse_one
    summary = night.run()

    assert statuses(table) == ["sent", "error", "error"]
    assert (summary.due, summary.accepted, summary.rejected, summary.refused) == (3, 1, 1, 1)
    assert summary.exit_code == 1


def test_second_row_of_a_child_is_sent_after_the_first_was_written_back(table: TestDatabase, night: Night) -> None:
    fill(
        table,
        table.table,
        [
            staged("A"),
            staged("B", payload=child("A", legal_status="C1")),
            staged("C", payload=child("A", legal_status="C1")),
        ],
    )

    summary = night.run()

    assert len(night.receiver.posts) == 2
    assert b"legal_status" not in night.receiver.posts[0][0]
    assert (summary.due, summary.accepted, summary.unchanged) == (3, 2, 1)


def test_what_follows_a_purge_is_sent_once_that_is_accepted(
    table: TestDatabase, store: StagingTable, tmp_path: Path
) -> None:
    fill(table, table.table, [staged("A", status="sent")])
    night = Night(store, tmp_path, resync=True)

    summary = night.run()

    (purge,), (whole,) = night.receiver.posts
    assert b'"purge":true' in purge
    assert b"child_details" in whole
    assert (summary.due, summary.purges, summary.accepted) == (1, 1, 1)
    assert statuses(table) == ["sent"]


def test_no_batch_is_larger_than_set_where_follow_ups_and_new_records_meet(
    table: TestDatabase, store: StagingTable, tmp_path: Path
) -> None:
    fill(table, table.table, [staged(str(number), status="sent") for number in range(9)])
    night = Night(store, tmp_path, batch_size=2, resync=True)

    summary = night.run()

    assert max(map(len, night.receiver.posts)) == 2
    assert (summary.purges, summary.accepted) == (9, 9)


def test_nothing_follows_a_purge_that_was_refused(table: TestDatabase, store: StagingTable, tmp_path: Path) -> None:
    fill(table, table.table, [staged("A", status="sent")])
    night = Night(store, tmp_path, resync=True)
    night.receiver.rule = lambda _: Malformed(400, "HTTP 400: wrong")

    summary = night.run()

    assert b'"purge":true' in night.receiver.posts[-1][0]
    assert (summary.purges, summary.accepted, summary.refused) == (0, 0, 1)


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
        night.stop.set()
        return accept(records)

    night.receiver.rule = stop_and_accept
    summary = night.run()

    assert summary.was_stopped
    assert summary.exit_code == 130
    assert 2 <= summary.accepted < 12
    assert statuses(table).count("sent") == summary.accepted
    assert table.count("ssd_api_unconfirmed") == 0


def test_program_error_while_reading_ends_the_run_with_its_name_alone(table: TestDatabase, night: Night) -> None:
    class Odd(NoProgress):
        def update(self, summary: RunSummary) -> None:
            raise KeyError("a child's name")

    fill(table, table.table, [staged("A")])
    night.parts = replace(night.parts, progress=Odd())

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
        while not night.parts.planner.counts.is_complete and time.monotonic() < until:
            time.sleep(0.001)
        table.execute(f"DROP TABLE IF EXISTS {table.table}")
        return accept(records)

    night.receiver.rule = drop_and_accept
    summary = night.run()

    saved = ReceiptSpool(tmp_path, "staging").read()
    assert {receipt.person_id for receipt in saved} == set("ABCD")
    assert (summary.accepted, summary.exit_code) == (4, 3)


def test_run_without_a_due_row_sends_nothing(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged("A", status="sent")])

    summary = night.run()

    assert night.receiver.posts == []
    assert (summary.due, summary.exit_code) == (0, 0)


def outcome_of(kind: str) -> Outcome:
    row = StagedRow(9, "A", "new", "pending", "{}", None, has_previous=False, supersedes=(1, 2))
    record = Record(row, "A", RecordKind.FULL, b"{}", "{}")
    outcomes: dict[str, Outcome] = {
        "accepted": Accepted(record, Receipt("r", None), 200),
        "deletion": Accepted(replace(record, kind=RecordKind.DELETION), Receipt("r", None), 200),
        "purge": Accepted(replace(record, kind=RecordKind.PURGE, then=record), Receipt("r", None), 200),
        "held": UpToDate(row, "A", "{}", None, is_recorded=True),
        "invalid": Invalid(row, refused(["no child"])),
        "refused": Rejected(record, given("HTTP 400", 400)),
        "lost": DeliveryFailed(record, given("HTTP 503", 503), may_have_arrived=False),
    }
    return outcomes[kind]


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("accepted", {"accepted": 1, "superseded": 2}),
        ("deletion", {"accepted": 1, "superseded": 2, "deleted": 1}),
        ("purge", {"purges": 1}),
        ("held", {"unchanged": 1, "superseded": 2}),
        ("invalid", {"rejected": 1}),
        ("refused", {"refused": 1}),
        ("lost", {"undelivered": 1}),
    ],
)
def test_outcome_is_added_to_its_own_counts_alone(kind: str, counts: dict[str, int]) -> None:
    summary = RunSummary(
        run_id="run-1", table="staging", receiver=HERE, is_testing=False, is_deltas=False, started_at=AT
    )

    count(summary, outcome_of(kind))

    assert {name: value for name, value in summary.by_json_name.items() if value} == {
        {"rejected": "invalid", "refused": "rejected"}.get(name, name): value for name, value in counts.items()
    }
