"""What a run counts adds up to what was due, in run, status, report and metrics alike, however the run ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from api_pipeline.sandbox.simulator import Fault, Refusal
from tests.support.staging import staged
from tests.support.world import World

OUTCOMES = ("accepted", "unchanged", "invalid", "rejected", "undelivered", "not_tried")
DUE = 12


@pytest.fixture
def world(world: World) -> World:
    world.stage(DUE - 1)
    world.fill([staged("Broken", payload="{}")])
    return world


def nothing(_world: World) -> None:
    """Let everything go well."""


def refuse(world: World) -> None:
    world.server.simulator.change(refusals=(Refusal(ids=frozenset({"P0001", "P0004"}), message="no"),))


def away(world: World) -> None:
    world.server.simulator.add_fault(Fault(status=500, times=None))


def sent_before(world: World) -> None:
    assert world.run().code == 1
    world.database.execute(f"UPDATE {world.database.named(world.database.table)} SET submission_status = 'pending'")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("prepare", "arguments"),
    [
        (nothing, ()),
        (refuse, ()),
        (away, ()),
        (away, ("--batch-size", "2")),
        (refuse, ("--limit", "5")),
        (sent_before, ("--deltas",)),
        (nothing, ("--testing",)),
    ],
)
def test_what_became_of_the_rows_adds_up_to_what_was_due(
    world: World, prepare: Callable[[World], None], arguments: tuple[str, ...]
) -> None:
    prepare(world)
    done = world.run("--json", *arguments, METRICS_FILE="csc.prom", MAX_ATTEMPTS=1)
    run = json.loads(done.out)
    rows = 5 if "--limit" in arguments else DUE
    assert run["due"] == sum(run[name] for name in OUTCOMES) == rows
    assert run["deleted"] <= run["accepted"]

    status = world.command("status")
    line = next(line for line in status.out.splitlines() if run["run_id"] in line)
    due, accepted, unchanged, failed, left, code = map(int, line.replace(run["run_id"], "").split()[-6:])
    assert due == accepted + unchanged + failed + left == rows
    assert (accepted, unchanged, left, code) == (run["accepted"], run["unchanged"], run["not_tried"], done.code)

    text = (world.folder / "csc.prom").read_text(encoding="utf-8")
    assert sum(map(float, re.findall(r"^csc_api_run_records\{.*\} (\S+)$", text, re.MULTILINE))) == rows

    written = world.command("report", "--json", "--run-id", run["run_id"])
    page = (world.folder / json.loads(written.out)["file"]).read_text(encoding="utf-8")
    tiles = [int(count) for count in re.findall(r"<dt>[^<]+</dt><dd>([0-9]+)</dd>", page.partition("</dl>")[0])]
    assert tiles[0] == sum(tiles[1:]) == rows
