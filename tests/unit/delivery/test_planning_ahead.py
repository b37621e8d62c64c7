"""Rows that wait for another record of their child, and pages that are read ahead."""

from __future__ import annotations

from collections.abc import Iterator

from api_pipeline.delivery.planner import Step
from api_pipeline.model import UpToDate
from api_pipeline.outbox.staging_table import PAGE_SIZE, StagingTable
from tests.support.databases import TestDatabase
from tests.support.planning import OPTIONS, RECEIPT, Plan, put_held, row_ids
from tests.support.staging import Staged, change, child, fill, staged


def test_second_row_of_a_child_waits_until_the_first_is_decided(table: TestDatabase, store: StagingTable) -> None:
    fill(table, table.table, [staged("A"), staged("B", payload=child("A", legal_status="C1")), staged("C")])
    plan = Plan(store, OPTIONS._replace(schema_check="off", schema_codes="off"))

    assert row_ids(plan.steps()) == [1, 3]
    assert row_ids(plan.steps()) == [2]
    assert plan.steps() == []
    assert plan.planner.counts.due == 3


def test_row_that_waited_is_planned_by_what_became_of_it_meanwhile(table: TestDatabase, store: StagingTable) -> None:
    of_b = staged("B", payload=child("A"), response=RECEIPT)
    fill(table, table.table, [staged("A"), of_b, staged("C", payload=child("A"))])
    plan = Plan(store, OPTIONS._replace(schema_check="off"))
    assert row_ids(plan.steps()) == [1]
    put_held(store, "A", child("A"))
    change(table, table.table, "C", submission_status="sent")

    (step,) = plan.steps()

    assert isinstance(step, UpToDate)
    assert step.row.id == 2
    assert plan.planner.counts.due == 2, "a row that is due no longer is not counted"


def first_of_two_pages(table: TestDatabase, store: StagingTable, *later: Staged) -> tuple[Plan, Iterator[Step]]:
    """Return a plan whose first row was taken, and the steps behind it; `later` are on the second page."""
    fill(table, table.table, [staged(f"P{number}") for number in range(PAGE_SIZE)])
    fill(table, table.table, later)
    plan = Plan(store, OPTIONS._replace(schema_check="off"))
    steps = plan.next_round()
    assert next(steps).row.id == 1
    return plan, steps


def test_page_that_was_read_ahead_is_not_read_again(table: TestDatabase, store: StagingTable) -> None:
    plan, steps = first_of_two_pages(table, store, staged("A"))
    plan.planner.pages.read_ahead()
    change(table, table.table, "A", submission_status="sent")

    assert row_ids(list(steps))[-1] == PAGE_SIZE + 1, "the row as it stood then: the write-back compares its version"


def test_page_read_on_another_opening_of_the_connection_is_read_again(table: TestDatabase, store: StagingTable) -> None:
    plan, steps = first_of_two_pages(table, store, staged("A"))
    plan.planner.pages.read_ahead()
    store.connection.reopen()
    change(table, table.table, "A", submission_status="sent")

    assert row_ids(list(steps))[-1] == PAGE_SIZE


def test_row_waits_whose_child_was_planned_since_its_page_was_read(table: TestDatabase, store: StagingTable) -> None:
    plan, steps = first_of_two_pages(table, store, staged("A", payload=child("P7", legal_status="C1")), staged("B"))
    plan.planner.pages.read_ahead()

    assert row_ids(list(steps))[-1] == PAGE_SIZE + 2
    assert row_ids(plan.steps()) == [PAGE_SIZE + 1]


def test_row_does_not_wait_whose_childs_record_had_ended_before_its_page_was_read(
    table: TestDatabase, store: StagingTable
) -> None:
    plan, steps = first_of_two_pages(table, store, *(staged(f"L{n}", payload=child(f"P{n}")) for n in (0, 7)))
    plan.planner.pages.note_ended(["P0"])
    plan.planner.pages.read_ahead()
    # The page that was read ahead cannot show what became of this one.
    plan.planner.pages.note_ended(["P7"])

    assert row_ids(list(steps))[-1] == PAGE_SIZE + 1
    assert row_ids(plan.steps()) == [PAGE_SIZE + 2]


def test_row_waits_behind_another_that_waits_for_its_child(table: TestDatabase, store: StagingTable) -> None:
    second, third = staged("A", payload=child("P7")), staged("B", payload=child("P7", legal_status="C1"))
    plan, steps = first_of_two_pages(table, store, second, *(staged(f"Q{n}") for n in range(PAGE_SIZE - 1)), third)
    plan.planner.pages.read_ahead()
    plan.planner.pages.note_ended(["P7"])

    assert row_ids(list(steps))[-1] == 2 * PAGE_SIZE
    assert row_ids(plan.steps()) == [PAGE_SIZE + 1]
    assert row_ids(plan.steps()) == [2 * PAGE_SIZE + 1]


def test_end_of_the_table_is_read_ahead_once(table: TestDatabase, store: StagingTable) -> None:
    plan, steps = first_of_two_pages(table, store)
    plan.planner.pages.read_ahead()
    fill(table, table.table, [staged("A")])

    assert len(list(steps)) == PAGE_SIZE - 1
    plan.planner.pages.read_ahead()
    assert plan.planner.is_complete
