"""The run: due rows planned, sent by senders to a receiver that is a plain object, and written back to a real table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from api_pipeline.api_response import given, refused
from api_pipeline.csc_api.answers import Answer, Malformed
from api_pipeline.delivery.run import count
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
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.run_summary import RunSummary
from tests.support.databases import TestDatabase
from tests.support.nights import AT, Night, accept, statuses
from tests.support.planning import HERE
from tests.support.staging import child, fill, staged, table_rows


def test_all_due_rows_are_sent_in_batches_and_written_back(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged(person) for person in "ABCDE"])

    summary = night.run()

    assert [len(records) for records in night.receiver.posts] == [2, 2, 1]
    assert statuses(table) == ["sent"] * 5
    assert (summary.due, summary.accepted, summary.errors, summary.exit_code) == (5, 5, [], 0)
    assert table.count("ssd_api_unconfirmed") == 0
    assert {row["batch"] for row in table_rows(table, "ssd_api_submission_log")} == {1, 2, 3}


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

    # The third is sent although it is held: by a record of B, whose deletion would take the child away from C.
    assert len(night.receiver.posts) == 3
    assert b"legal_status" not in night.receiver.posts[0][0]
    assert (summary.due, summary.accepted, summary.unchanged) == (3, 3, 0)


def test_what_follows_a_purge_is_sent_once_that_is_accepted(
    table: TestDatabase, store: StagingTable, tmp_path: Path
) -> None:
    fill(table, table.table, [staged("A", status="sent")])
    night = Night(store, tmp_path, resync=True)
    under_way: list[object] = []

    def look(records: Sequence[bytes]) -> Answer:
        under_way.extend(statuses(table))
        return accept(records)

    night.receiver.rule = look
    summary = night.run()

    assert under_way == ["pending"] * 2, "whatever becomes of the run, the child is sent again"
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


def test_run_without_a_due_row_sends_nothing(table: TestDatabase, night: Night) -> None:
    fill(table, table.table, [staged("A", status="sent")])

    summary = night.run()

    assert night.receiver.posts == []
    assert (summary.due, summary.exit_code) == (0, 0)


def outcome_of(kind: str) -> Outcome:
    row = StagedRow(9, "A", False, "pending", "{}", None, has_previous=False)
    record = Record(row, "A", RecordKind.FULL, b"{}", "", "{}")
    outcomes: dict[str, Outcome] = {
        "accepted": Accepted(record, Receipt("r", None), 200),
        "deletion": Accepted(record._replace(kind=RecordKind.DELETION), Receipt("r", None), 200),
        "purge": Accepted(record._replace(kind=RecordKind.PURGE, then=record), Receipt("r", None), 200),
        "held": UpToDate(row, "A", None),
        "invalid": Invalid(row, refused(["no child"])),
        "refused": Rejected(record, given("HTTP 400", 400)),
        "lost": DeliveryFailed(record, given("HTTP 503", 503), may_have_arrived=False),
    }
    return outcomes[kind]


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("accepted", {"accepted": 1}),
        ("deletion", {"accepted": 1, "deleted": 1}),
        ("purge", {"purges": 1}),
        ("held", {"unchanged": 1}),
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
