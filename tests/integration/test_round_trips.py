"""How many statements a batch of 100 records and 1,000 people cost, as the page for administrators says."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.db.odbc import OdbcConnection
from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.commands import ROOT, Completed, invoke_cli
from tests.support.council_ssd import AS_OF, council
from tests.support.databases import TestDatabase
from tests.support.staging import child, staged
from tests.support.world import World

SAID = re.compile(
    r"`run`: at most (\d+) statements \(PostgreSQL\) or (\d+) \(SQLite by ODBC\) and one commit for 100 full records; "
    r"`stage`: at most (\d+) and one commit for 1,000 new people"
)
# What may be saved before the page is no longer true.
SLACK = 2

over_odbc = pytest.mark.parametrize("database", ["sqlite-odbc", "postgresql-odbc"], indirect=True)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the statements that the program sends in this process, from now on."""
    found: list[str] = []
    run = OdbcConnection._run

    def seen(self: OdbcConnection, sql: str, *args: Any) -> Any:
        found.append(getattr(sql, "name", sql[:40]))
        return run(self, sql, *args)

    monkeypatch.setattr(OdbcConnection, "_run", seen)
    return found


def documented(place: int) -> int:
    """Return a number of the page."""
    said = SAID.search((ROOT / "docs" / "dba.md").read_text(encoding="utf-8"))
    assert said is not None
    return int(said.groups()[place])


def counted(sent: list[str], command: Callable[[], Completed]) -> int:
    sent.clear()
    done = command()
    assert done.code == 0, done.text
    return len(sent)


@over_odbc
def test_a_batch_takes_no_more_statements_than_the_page_says(
    database: TestDatabase, tmp_path: Path, sent: list[str]
) -> None:
    with SimulatorServer() as server:
        world = World(database.deploy(), server, tmp_path)
        costs = []
        for batches in (2, 6):
            world.fill(
                [staged(f"{batches}x{number:04}", child(f"{batches}x{number:04}")) for number in range(batches * 100)]
            )
            costs.append(counted(sent, lambda: world.run(BATCH_SIZE=100)))

    # An answer that comes late can cost a transaction of its own, once or twice in a run on a busy machine.
    each = (costs[1] - costs[0]) // 4
    said = documented(0 if database.name.startswith("postgresql") else 1)
    assert said - SLACK <= each <= said, each


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_a_thousand_people_take_no_more_statements_than_the_page_says(
    database: TestDatabase, tmp_path: Path, sent: list[str]
) -> None:
    ssd = council(database.deploy(), tmp_path)
    stage = partial(invoke_cli, ["stage", "--as-of", AS_OF], {**database.settings, "TESTING_MODE": "true"}, tmp_path)
    costs = []
    for first in (10_000, 11_000):
        ssd.many_children([str(number) for number in range(first, first + 1000)])
        for table in (database.table, database.named("ssd_api_built")):
            database.execute(f"DELETE FROM {table}")
        costs.append(counted(sent, stage))

    each = costs[1] - costs[0]
    assert documented(2) - SLACK <= each <= documented(2), each
