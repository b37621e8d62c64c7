"""Every statement that a run sends for each batch or page finds its rows by an index, in whatever number they are."""

from __future__ import annotations

import re

import pytest

from api_pipeline.db import Rows, connect
from api_pipeline.outbox.baselines import LOG_LINE
from api_pipeline.outbox.changes import MARKS
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect, table_names
from tests.support.commands import ROOT
from tests.support.databases import TestDatabase

IDS, PEOPLE = [1, 2], ["1", "2"]
# The statements with a list of values, each with its parameters.
LOOKED_UP: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(("read_rows", "payloads_of", "read_previous", "read_versions", "read_written"), (IDS,)),
    "mark_due_again": (IDS,),
    **dict.fromkeys(("read_accepted_before", "read_accepted_of_people", "read_ids_of_people"), (PEOPLE,)),
    "read_senders": (PEOPLE,),
    "read_left_window": (PEOPLE,),
    **dict.fromkeys(("read_held", "read_known_elsewhere"), ("r", PEOPLE, "r", PEOPLE)),
    **dict.fromkeys(("forget_unconfirmed", "remove_held", "read_held_receipts", "read_runs_of_notes"), ("r", PEOPLE)),
    "replace_held_receipts": ("x", "r", PEOPLE),
    "record_may_hold": ("x", "r", "1"),
    "keep_changed": ("x", None, 1),
    "read_cell": (1,),
    "read_logged": ("run", 1),
    **{name: (Rows(mark.types, [(1, *[None] * (len(mark.types) - 1))]), [1]) for name, mark in MARKS.items()},
}
# Those that add rows look nothing up.
ADDING = {"insert_unconfirmed": (str, str), "insert_held": (str,) * 5, "insert_log": LOG_LINE}


def plan(database: TestDatabase, name: str) -> list[str]:
    connection = connect(database.connection_string)
    try:
        store = StagingTable(connection, table_names(database.table, connection.dialect))
        sql = store.sql(name, columns="id, person_id", column="person_id", delta="done.delta")
        return [str(step[-1]) for step in connection.query(f"EXPLAIN QUERY PLAN {sql}", LOOKED_UP[name])]
    finally:
        connection.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_statement_of_a_batch_reads_a_table_from_end_to_end(deployed: TestDatabase) -> None:
    plans = {name: plan(deployed, name) for name in LOOKED_UP}

    # The rows of parameters are a table as well, and are read whole.
    whole = re.compile(r"^SCAN (?!done\b|given\b|\(subquery|\d+ CONSTANT|CONSTANT|SUBQUERY)")
    assert {name: steps for name, steps in plans.items() if any(whole.match(step) for step in steps)} == {}
    assert any("ix_ssd_api_submission_log_child" in step for step in plans["read_senders"])


@pytest.mark.parametrize("dialect", Dialect)
def test_page_for_administrators_says_what_each_index_is_for(dialect: Dialect) -> None:
    page = (ROOT / "docs" / "dba.md").read_text(encoding="utf-8").partition("## Indexes")[2].partition("\n## ")[0]
    made = set(re.findall(r"CREATE INDEX (?:IF NOT EXISTS )?(\w+)", ddl.render(dialect, "ssd_api_data_staging")))

    assert made == set(re.findall(r"^\| `(ix_\w+)`", page, re.MULTILINE))
    assert {*LOOKED_UP, *ADDING} - set(re.findall(r"`(\w+)`", page)) == set()
