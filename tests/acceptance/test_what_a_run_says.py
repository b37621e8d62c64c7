"""What the summary and the log say of a run that was limited, ended early or did not begin."""

from __future__ import annotations

import re

from api_pipeline.sandbox.simulator.faults import Fault
from tests.support.databases import one_kind
from tests.support.staging import change, table_rows
from tests.support.world import World


@one_kind
def test_run_reports_rows_left_out_by_its_limit(world: World) -> None:
    world.stage(5)
    done = world.run("--limit", "3")
    assert (done.code, "the rest is still due" in done.text) == (0, True)
    done = world.run("--limit", "2")
    assert (done.code, "everything due was accepted" in done.text) == (0, True)


@one_kind
def test_run_that_ends_early_counts_the_rows_it_did_not_reach(world: World) -> None:
    world.stage(330)
    change(world.database, world.database.table, "P0329", submission_status="sent")
    world.server.simulator.add_fault(Fault(status=401, times=None))
    done = world.run(BATCH_SIZE=10)
    assert done.code == 4
    assert re.search(r"^ +due +329$", done.text, re.MULTILINE)
    assert re.search(r"^ +not tried +329$", done.text, re.MULTILINE)
    runs = world.database.rows(f"SELECT due, not_tried FROM {world.database.named('ssd_api_runs')}")
    assert [tuple(run) for run in runs] == [(329, 329)]


@one_kind
def test_the_log_tells_a_run_from_its_beginning_to_its_end(world: World) -> None:
    world.stage(5)
    log = world.folder / "run.log"
    assert world.run("--quiet", "--log-file", str(log), BATCH_SIZE=2).code == 0
    text = log.read_text(encoding="utf-8")
    for part in (
        "live mode, full payloads, table",
        "POST of a batch of 2: HTTP 20",
        "batch 3 written back: 1 accepted",
    ):
        assert part in text
    assert "exit code 0: 5 due, 5 accepted" in text


@one_kind
def test_the_log_tells_why_a_run_did_not_begin(world: World) -> None:
    log = world.folder / "run.log"
    assert world.run("--quiet", "--log-file", str(log), TABLE_NAME="no_such_table").code == 3
    text = log.read_text(encoding="utf-8")
    assert "ended with exit code 3: The" in text
    assert "no_such_table" in text


@one_kind
def test_bundle_without_certificates_stops_before_the_database(world: World) -> None:
    world.stage(1)
    bundle = world.folder / "bundle.pem"
    bundle.write_text("no certificate", encoding="ascii")
    done = world.run(CA_BUNDLE=str(bundle))
    assert (done.code, "CA_BUNDLE names" in done.text) == (2, True)
    assert not table_rows(world.database, world.database.named("ssd_api_runs"), "run_id")
