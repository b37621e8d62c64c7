"""A rehearsal with the anonymised copy: nothing planted gets into it; the main job works on it, testing and live."""

from __future__ import annotations

import json
import random
from pathlib import Path

from api_pipeline.sandbox.invented_children import changed, invented_child
from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.anonymising import copied_rows
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase, one_kind
from tests.support.documents import DOCS, blocks
from tests.support.planted import PERSONAL, ROWS, found_in
from tests.support.staging import Staged, fill, staged, table_rows
from tests.support.world import live_settings, normal

CHILDREN = 240
DELETED = 10


def cohort() -> list[Staged]:
    """Return the live rows of a council in mid-year: new, changed, unchanged and deleted children."""
    rng = random.Random(7)
    rows = []
    for number in range(CHILDREN):
        before = invented_child(rng, number)
        person = before["la_child_id"]
        if number < DELETED:
            rows.append(staged(person, before, "Sent", "Deleted", previous=before))
        elif number % 3 == 0:
            rows.append(staged(person, before))
        else:
            now = changed(rng, before) if number % 3 == 1 else before
            rows.append(staged(person, now, "Sent", "Unchanged", previous=before, legacy_id=before["mis_child_id"]))
    return rows


def run(database: TestDatabase, folder: Path, *args: str, **settings: str) -> Completed:
    return invoke_cli(args, {**database.settings, "TABLE_NAME": database.anon_table, **settings}, folder)


def test_no_planted_value_reaches_the_anonymised_copy(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, ROWS)

    done = run(deployed, tmp_path, "anonymise", "--replace")

    assert done.code == 0, done.text
    rows = copied_rows(deployed)
    assert len(rows) == len(ROWS) - 1, "one payload is cut off in the middle"
    assert found_in(json.dumps(rows, default=str, ensure_ascii=False), list(PERSONAL)) == []
    assert found_in(done.text, list(PERSONAL)) == []


def test_anonymised_copy_can_be_rehearsed_in_testing_mode(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, cohort())
    live = table_rows(deployed, deployed.table)
    assert run(deployed, tmp_path, "anonymise", "--replace").code == 0

    done = run(deployed, tmp_path, "run", "--testing", SCHEMA_CHECK="reject", SCHEMA_CODES="reject")

    assert done.code == 0, done.text
    rows = copied_rows(deployed)
    assert {row["submission_status"] for row in rows} == {"testing"}
    assert len(rows) == CHILDREN
    assert table_rows(deployed, deployed.table) == live


@one_kind
def test_a_receiver_takes_every_invented_child_whole(
    deployed: TestDatabase, tmp_path: Path, server: SimulatorServer
) -> None:
    fill(deployed, deployed.table, cohort())
    assert run(deployed, tmp_path, "anonymise", "--replace").code == 0
    wanted = {
        json.loads(row["json_payload"])["la_child_id"]: normal(row["json_payload"])
        for row in copied_rows(deployed)
        if row["row_state"] != "deleted"
    }

    done = run(deployed, tmp_path, "run", "--live", **live_settings(server))

    assert done.code == 0, done.text
    assert {row["submission_status"] for row in copied_rows(deployed)} == {"sent"}
    held = {child: normal(json.dumps(payload)) for child, payload in server.simulator.all_held().items()}
    assert held == wanted
    assert len(held) == CHILDREN - DELETED


def test_the_query_of_the_page_finds_nobody_in_both_tables(deployed: TestDatabase, tmp_path: Path) -> None:
    (query,) = [block.text for block in blocks(DOCS / "anonymise.md") if block.language == "sql"]
    query = query.replace("ssd_api_data", f"{deployed.schema}.ssd_api_data" if deployed.schema else "ssd_api_data")
    fill(deployed, deployed.table, cohort())
    assert run(deployed, tmp_path, "anonymise", "--replace").code == 0

    assert deployed.rows(query.strip().rstrip(";")) == [(0,)]
    fill(deployed, deployed.anon_table, [staged("DEMO0000001")])
    assert deployed.rows(query.strip().rstrip(";")) == [(1,)]


@one_kind
def test_as_sent_changes_go_as_deltas(deployed: TestDatabase, tmp_path: Path, server: SimulatorServer) -> None:
    fill(deployed, deployed.table, cohort())
    assert run(deployed, tmp_path, "anonymise", "--replace", "--as-sent").code == 0
    states = {row["person_id"]: row["row_state"] for row in copied_rows(deployed)}

    done = run(deployed, tmp_path, "run", "--live", "--deltas", **live_settings(server))

    assert done.code == 0, done.text
    log = deployed.named("ssd_api_submission_log")
    kinds = dict(deployed.rows(f"SELECT person_id, kind FROM {log} ORDER BY id"))
    assert {states[person] for person, kind in kinds.items() if kind == "delta"} == {"updated"}
    assert {states[person] for person, kind in kinds.items() if kind == "deletion"} == {"deleted"}
    assert {states[person] for person, kind in kinds.items() if kind == "full"} == {"new"}
    assert {states[person] for person in states.keys() - kinds.keys()} == {"unchanged"}
