"""The planner over a real staging table: which rows are due, and what is sent for each."""

from __future__ import annotations

import json

import pytest

from api_pipeline.model import Invalid, Record, RecordKind, UpToDate
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import PAGE_SIZE, StagingTable
from api_pipeline.outbox.superseded import people_with_several_rows
from api_pipeline.payloads.reading import sha256_hex
from tests.support.databases import TestDatabase
from tests.support.planning import HERE, OPTIONS, RECEIPT, Plan, put_held, row_ids
from tests.support.staging import child, fill, staged, table_rows, text_of

WRONG_CODE = {"first_name": "Given", "surname": "Sample", "date_of_birth": "2024-03-09", "sex": "Q"}


def test_new_rows_are_sent_whole_in_the_order_of_their_ids(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B", status="sent"), staged("C", status="error")])
    plan = Plan(store)

    records = plan.steps()

    assert row_ids(records) == [1, 3]
    for record, person in zip(records, "AC", strict=True):
        assert isinstance(record, Record)
        assert (record.la_child_id, record.kind) == (person, RecordKind.FULL)
        assert record.body.decode() == text_of(child(person))
        assert record.intent_hash == sha256_hex(record.row.json_payload)
        assert not record.was_in_doubt
    assert (plan.planner.counts.due, plan.planner.last_id) == (2, 3)
    assert plan.planner.is_complete


def test_all_pages_of_a_table_are_planned_and_none_twice(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(f"P{number}") for number in range(PAGE_SIZE + 5)])

    assert row_ids(Plan(store).steps()) == list(range(1, PAGE_SIZE + 6))


def test_payload_that_is_held_needs_no_request(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A")])
    put_held(store, "A", child("A"))

    (step,) = Plan(store).steps()

    assert isinstance(step, UpToDate)
    assert (step.la_child_id, step.receipt) == ("A", RECEIPT)


def test_child_is_purged_whole_if_its_baseline_cannot_be_decoded(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B")])
    put_held(store, "A", {"la_child_id": "A", "purge": False})
    put_held(store, "B", child("B"))
    damaged = f"UPDATE {store.tables.held} SET held_payload = CAST(x'7bff7d' AS TEXT) WHERE la_child_id = 'A'"
    store.connection.execute(damaged)

    purge, other = Plan(store).steps()

    assert isinstance(other, UpToDate)
    assert isinstance(purge, Record)
    assert json.loads(purge.body) == {"la_child_id": "A", "purge": True}
    assert purge.then is not None
    assert (purge.then.kind, purge.then.body.decode()) == (RecordKind.FULL, text_of(child("A")))
    assert purge.was_in_doubt


@pytest.mark.parametrize("held", [{"la_child_id": "A"}, child("A")])
def test_payload_that_the_schema_refuses_is_not_compared_with_what_is_held(
    table: TestDatabase, store: StagingTable, held: object
) -> None:
    episodes = [{"social_care_episode_id": ["x"], "child_in_need_plans": 7}, 5]
    odd = {"la_child_id": "A", "child_details": [1], "social_care_episodes": episodes}
    fill(table, table.table, [staged("A", payload=odd)])
    put_held(store, "A", held)

    (step,) = Plan(store).steps()

    assert isinstance(step, Invalid)


def test_what_is_held_by_another_receiver_does_not_count(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A")])
    put_held(store, "A", child("A"))

    (step,) = Plan(store, OPTIONS._replace(receiver="elsewhere")).steps()

    assert isinstance(step, Record)


def test_every_row_is_planned_where_the_selection_says_so(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A", status="sent"), staged("B", status="sent", state="deleted")])

    assert row_ids(Plan(store, OPTIONS._replace(selection=Selection(every_row=True))).steps()) == [1]


def test_deleted_row_is_due_only_where_the_child_may_be_held(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(person, status="sent", state="deleted") for person in "ABC"])
    put_held(store, "B", child("B"))
    Baselines(store, HERE).mark_in_doubt("run-0", [("C", "")], [])

    records = Plan(store).steps()

    assert row_ids(records) == [2, 3]
    assert all(isinstance(one, Record) and one.kind is RecordKind.DELETION for one in records)
    assert [one.intent_hash for one in records if isinstance(one, Record)] == ["", ""]


@pytest.mark.parametrize("testing", [False, True])
def test_what_a_deleted_row_of_another_tool_says_is_recorded_unless_it_is_a_rehearsal(
    table: TestDatabase, store: StagingTable, *, testing: bool
) -> None:
    fill(table, table.table, [staged("A", status="sent", state="deleted", previous=child("A"), response=RECEIPT)])

    assert row_ids(Plan(store, OPTIONS._replace(testing=testing)).steps()) == [1]

    assert table.count("ssd_api_held") == (0 if testing else 1)


def test_limit_takes_the_first_rows_and_says_that_more_are_due(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(person) for person in "ABC"])
    limited, exact = Plan(store, OPTIONS._replace(limit=2)), Plan(store, OPTIONS._replace(limit=3))

    assert row_ids(limited.steps()) == [1, 2]
    assert limited.planner.counts.was_limited
    assert row_ids(exact.steps()) == [1, 2, 3]
    assert not exact.planner.counts.was_limited


def test_rows_with_a_blank_payload_are_counted_and_five_are_named(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged(f"P{number}", payload="  ") for number in range(7)])
    fill(table, table.table, [staged("D", payload=" ", status="sent", state="deleted"), staged("A")])
    plan = Plan(store)

    assert row_ids(plan.steps()) == [9]
    assert plan.planner.counts.blank == 7
    assert plan.planner.counts.examples["blank"] == ["P0", "P1", "P2", "P3", "P4"]
    assert plan.planner.counts.due == 1


@pytest.mark.parametrize("text", ['{"x":{"la_child_id":"B"},"la_child_id":"A"}', '{"la_child\\u005fid":"A"}'])
def test_child_is_the_one_that_the_payload_names_itself(table: TestDatabase, store: StagingTable, text: str) -> None:
    fill(table, table.table, [staged("A", payload=text)])
    put_held(store, "A", json.loads(text))
    put_held(store, "B", {"la_child_id": "B"})

    (step,) = Plan(store, OPTIONS._replace(schema_check="off")).steps()

    assert (step.la_child_id, type(step)) == ("A", UpToDate)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [("[]", "not a JSON object"), ("{}", "no la_child_id"), ("{", "not valid JSON")],
)
def test_payload_that_cannot_be_read_is_not_sent(
    table: TestDatabase, store: StagingTable, payload: str, reason: str
) -> None:
    fill(table, table.table, [staged("A", payload=payload), staged("B")])

    invalid, record = Plan(store).steps()

    assert isinstance(invalid, Invalid)
    assert reason in invalid.reason.text
    assert isinstance(record, Record)


@pytest.mark.parametrize(
    ("level", "is_sent", "warnings", "told"), [("reject", False, 0, 1), ("warn", True, 1, 1), ("off", True, 0, 0)]
)
def test_unknown_code_refuses_warns_or_is_passed_over_as_set(
    table: TestDatabase, store: StagingTable, level: str, is_sent: bool, warnings: int, told: int
) -> None:
    fill(table, table.table, [staged("A", payload=child("A", child_details=WRONG_CODE))])
    plan = Plan(store, OPTIONS._replace(schema_codes=level))

    (step,) = plan.steps()

    assert isinstance(step, Record) is is_sent
    assert plan.planner.counts.warnings == warnings
    assert [(person, finding.severity) for person, finding in plan.findings] == [("A", "code")] * told
    if isinstance(step, Invalid):
        assert "$.child_details.sex" in step.reason.text


def test_breach_of_the_schema_refuses_only_where_it_is_set_so(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A", payload=child("A", unknown_member=1))])

    assert [type(step) for step in Plan(store).steps()] == [Invalid]
    assert [type(step) for step in Plan(store, OPTIONS._replace(schema_check="warn")).steps()] == [Record]


def test_reason_names_ten_findings_and_counts_the_others(table: TestDatabase, store: StagingTable) -> None:
    unknown = {f"unknown_{number:02}": 1 for number in range(13)}
    fill(
        table,
        table.table,
        [staged("A", payload=child("A", social_care_episodes=[unknown | {str(n): n} for n in range(13)]))],
    )

    (step,) = Plan(store).steps()

    assert isinstance(step, Invalid)
    assert step.reason.text.count("$.") == 10
    assert step.reason.text.endswith(" more")


def test_null_members_are_taken_out_and_counted(table: TestDatabase, store: StagingTable) -> None:
    details = {**child("A")["child_details"], "ethnicity": None, "postcode": None}
    fill(table, table.table, [staged("A", payload=child("A", child_details=details))])
    plan = Plan(store)

    (step,) = plan.steps()

    assert isinstance(step, Record)
    assert json.loads(step.body) == child("A")
    assert plan.planner.counts.nulls_removed == 2


def test_record_of_a_child_in_doubt_says_so_and_is_sure_of_no_base(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B")])
    digest = sha256_hex(text_of(child("B")) or "")
    Baselines(store, HERE).mark_in_doubt("run-0", [("A", "0" * 64), ("B", digest)], [])

    first, second = Plan(store).steps()

    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.was_in_doubt, first.intent_hash) == (True, "")
    assert (second.was_in_doubt, second.intent_hash) == (True, digest)


def test_sent_payload_of_a_row_is_adopted_before_the_row_is_planned(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A", previous=child("A"), response=RECEIPT)])

    (step,) = Plan(store).steps()

    assert isinstance(step, UpToDate)
    assert step.receipt == RECEIPT
    held = table_rows(table, "ssd_api_held", "la_child_id")
    assert [(line["la_child_id"], line["held_payload"]) for line in held] == [("A", text_of(child("A")))]


def test_rehearsal_adopts_and_records_nothing(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A", previous=child("A"), response=RECEIPT)])

    (step,) = Plan(store, OPTIONS._replace(testing=True)).steps()

    assert isinstance(step, UpToDate)
    assert table.count("ssd_api_held") == 0


def test_without_control_tables_no_baseline_is_asked_for(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A")])
    table.execute("DROP TABLE ssd_api_held")

    (step,) = Plan(store, OPTIONS._replace(control_tables=False)).steps()

    assert isinstance(step, Record)


def test_only_the_newest_row_of_a_person_is_planned(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B"), staged("A")])

    steps = Plan(store, OPTIONS._replace(people=people_with_several_rows(store))).steps()

    assert [(step.row.id, step.row.supersedes) for step in steps] == [(2, ()), (3, (1,))]
