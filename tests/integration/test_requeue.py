"""`requeue` on every database: which rows in error it puts back, and that it touches nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api_pipeline.outbox.status import requeue
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase, no_server
from tests.support.staging import fill, row_of, rows_by_person, staged, table_rows
from tests.support.stores import store_of

pytestmark = pytest.mark.strict


def requeued(database: TestDatabase, **keywords: Any) -> int:
    with store_of(database) as store:
        return requeue(store, **keywords)


def statuses(database: TestDatabase) -> dict[str, str]:
    return {str(row["person_id"]): str(row["submission_status"]) for row in table_rows(database, database.table)}


def refused(person: str, answer: str | None, status: str = "error") -> Any:
    return staged(person, status=status, response=answer)


def test_requeue_puts_all_errors_back_and_touches_nothing_else(deployed: TestDatabase) -> None:
    fill(
        deployed,
        deployed.table,
        [refused("1", "x"), refused("2", "y", " Error "), refused("3", "z", "sent"), refused("4", None, "testing")],
    )
    before = rows_by_person(deployed)
    assert requeued(deployed) == 2
    assert statuses(deployed) == {"1": "pending", "2": "pending", "3": "sent", "4": "testing"}
    for person, row in before.items():
        after = row_of(deployed, deployed.table, person)
        assert {**after, "submission_status": None} == {**row, "submission_status": None}


@no_server
def test_requeue_can_be_limited_to_a_person(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [refused("1", "x"), refused("12", "x"), refused("1", "x", "sent")])
    assert requeued(deployed, person_id="1") == 1
    assert [row["submission_status"] for row in table_rows(deployed, deployed.table)] == ["pending", "error", "sent"]


def test_requeue_can_be_limited_to_a_text_in_any_case(deployed: TestDatabase) -> None:
    fill(
        deployed,
        deployed.table,
        [refused("1", "HTTP 503: Unavailable"), refused("2", "HTTP 400: x"), refused("3", None)],
    )
    assert requeued(deployed, matching="unAVAILable") == 1
    assert statuses(deployed) == {"1": "pending", "2": "error", "3": "error"}


def test_requeue_finds_a_text_with_capitals_beyond_ascii(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [refused("1", "HTTP 400: \u00c9cole \u0141"), refused("2", "HTTP 400: Ecole")])
    assert requeued(deployed, matching="\u00c9cole \u0141") == 1
    assert statuses(deployed) == {"1": "pending", "2": "error"}


def test_sql_wildcards_are_taken_literally(deployed: TestDatabase) -> None:
    for sign in ("%", "_", "[a]", "!", "'", "!%", "\\"):
        deployed.execute(f"DELETE FROM {deployed.table}")
        fill(deployed, deployed.table, [refused("1", f"a share of 5{sign} now"), refused("2", "a share of 5a now")])
        assert requeued(deployed, matching=f"5{sign}") == 1, sign
        assert statuses(deployed) == {"1": "pending", "2": "error"}, sign


@no_server
def test_both_limits_must_hold(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [refused("1", "x"), refused("1", "y"), refused("2", "x")])
    assert requeued(deployed, person_id="1", matching="x") == 1
    assert [row["submission_status"] for row in table_rows(deployed, deployed.table)] == ["pending", "error", "error"]


@no_server
def test_requeue_with_nothing_to_do_reports_none(deployed: TestDatabase, tmp_path: Path) -> None:
    done = invoke_cli(["requeue"], deployed.settings, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"0 rows were put back to pending in {deployed.table}.\n"
