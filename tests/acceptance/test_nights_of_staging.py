"""Nights of `run --stage --deltas` on a changing SSD: after each, the receiver holds exactly the cohort."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from api_pipeline.model import ElementPath
from api_pipeline.sandbox.simulator import Fault, FaultKind, SimulatorServer, When
from api_pipeline.sandbox.synthetic_ssd import ALL_CASES, SyntheticSsd
from api_pipeline.staging.build import Built, Withheld, build_payload
from api_pipeline.staging.cohort import eligibility
from api_pipeline.staging.joining import OF_OTHERS, joined
from api_pipeline.staging.meaning import meaning_hash
from api_pipeline.staging.rows import id_key
from api_pipeline.staging.tables import CIN_EPISODE, PROFESSIONAL, SSD_TABLES
from api_pipeline.staging.values import typed_rows
from api_pipeline.staging.window import window_for
from tests.properties.model import content
from tests.support.commands import Completed, invoke_cli
from tests.support.council_ssd import council, fill_synthetic, next_night
from tests.support.databases import TestDatabase
from tests.support.effort import IS_LONG, examples
from tests.support.ssd import DEFAULTS
from tests.support.world import World

NIGHTS = examples(3, 10)
# Those that end early come every third night, and those that are finished every second.
BAD_NIGHTS = examples(4, 10)
# A child of each case and some more. The cases of what happens to a child come first, and those of single values last:
# these are seen in the whole town alone.
WHOLE_TOWN = len(ALL_CASES) + 40
FEW = WHOLE_TOWN if IS_LONG else 120
TODAY = date.today()  # noqa: DTZ011 - the council's own day, for the runs as well
WINDOW, OPTIONS = window_for(TODAY), DEFAULTS
# A small town loses more than a twentieth of its children in a night, if a tenth of them changes.
SETTINGS = {"MAX_DELETED_SHARE": "0.5"}


@pytest.fixture(autouse=True)
def _no_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run stage as on the day on which the tests were collected, whatever the clock says since."""
    monkeypatch.setattr("api_pipeline.commands.stage.today", lambda: TODAY)


class Council:
    """A synthetic SSD in memory and in the database, the staging table, and what the receiver must hold."""

    def __init__(
        self,
        database: TestDatabase,
        server: SimulatorServer,
        folder: Path,
        seed: str,
        *,
        people: int = WHOLE_TOWN,
        purges: bool = False,
    ) -> None:
        self.purges = purges
        self.ssd = SyntheticSsd(people, TODAY)
        self.rng = random.Random(seed)
        self.world = World(database, server, folder)
        council(database, folder)
        fill_synthetic(database, self.ssd)

    def day(self) -> None:
        """Change a tenth of the people."""
        next_night(self.world.database, self.ssd, self.rng, 0.1, TODAY)

    def night(self, *options: str) -> Completed:
        """Stage and send; what a bad night left over is sent by a second run."""
        settings = {**SETTINGS, "PURGE_LEFT_WINDOW": self.purges}
        done = self.world.run("--stage", "--deltas", *options, BATCH_SIZE=20, MAX_IN_FLIGHT=3, **settings)
        assert done.code in (0, 1, 5), done.text
        return done

    def cohort(self) -> dict[str, Built | Withheld]:
        """Return what is built for each child in the cohort, from memory alone."""
        people = list(self.ssd.persons())
        rows: dict[str, list[Any]] = {
            table.name: typed_rows(table, [row for one in people for row in one.rows(table)]) for table in SSD_TABLES
        }
        rows[OF_OTHERS] = rows[CIN_EPISODE.name]
        columns = [[row.get(name) for name in PROFESSIONAL.column_names] for row in self.ssd.professionals()]
        staff = typed_rows(PROFESSIONAL, columns)
        everybody = joined(rows, {id_key(one.professional_id): one for one in staff})
        wanted = [one for one in everybody if eligibility(one, WINDOW, OPTIONS).is_in]
        return {one.person.person_id: build_payload(one, WINDOW, OPTIONS) for one in wanted}

    def compare(self) -> None:
        """Hold what the receiver holds against the cohort: every child in its newest version, and nobody else.

        Nothing but what is in the SSD outside the window may be held besides, and that only where it is not purged.
        """
        held = self.world.server.simulator.all_held()
        cohort = self.cohort()
        built = {child: one for child, one in cohort.items() if isinstance(one, Built)}
        assert held.keys() - (cohort.keys() - built.keys()) == built.keys()
        for child, one in built.items():
            rest = held[child] if self.purges else without(held[child], one.outside)
            assert meaning_hash(content(rest)) == meaning_hash(content(one.payload)), child
        due = self.world.database.count(
            self.world.database.table, "submission_status <> 'sent' AND row_state <> 'deleted'"
        )
        assert due == 0


def without(held: dict[str, Any], paths: Iterable[ElementPath]) -> dict[str, Any]:
    """Return what is held without the parts that the paths lead to."""
    result: dict[str, Any] = orjson.loads(orjson.dumps(held))
    for *way, last in paths:
        place: Any = result
        for step in way:
            found = _step(place, step)
            place = found if found is not None else {}
        if isinstance(place, list):
            place[:] = [one for one in place if last not in _ids(one)]
        else:
            place.pop(last, None)
    return result


def _step(place: Any, step: str) -> Any:
    if isinstance(place, dict):
        return place.get(step)
    return next((one for one in place if step in _ids(one)), None)


def _ids(element: dict[str, Any]) -> set[Any]:
    return {value for name, value in element.items() if name.endswith("_id")}


@pytest.mark.parametrize(
    ("database", "purges"),
    # What is purged does not depend on the kind of database, so that each way is tried on one of them.
    [("sqlite", True), ("postgresql-odbc", False), *([("sqlite", False)] if IS_LONG else [])],
    indirect=["database"],
)
def test_receiver_holds_the_cohort_after_each_of_many_stagings(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path, purges: bool
) -> None:
    people = WHOLE_TOWN if purges else FEW
    town = Council(deployed, server, tmp_path, f"{deployed.name} {purges}", people=people, purges=purges)
    for _ in range(NIGHTS):
        assert town.night().code == 0
        town.compare()
        town.day()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_next_run_completes_failed_nights(deployed: TestDatabase, server: SimulatorServer, tmp_path: Path) -> None:
    town = Council(deployed, server, tmp_path, "bad nights", people=FEW)
    for night in range(BAD_NIGHTS):
        first = town.rng.randrange(1, 4)
        when = town.rng.choice([When.BEFORE_ACCEPTING, When.AFTER_ACCEPTING])
        server.simulator.add_fault(Fault(FaultKind.DROP, when=when, first=first, last=first + 3))
        town.night(*(["--limit", "15"] if night % 3 == 2 else []))
        server.simulator.clear_faults()
        if night % 2:
            assert town.night().code == 0
            town.compare()
        town.day()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_staging_that_is_refused_sends_nothing(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    town = Council(deployed, server, tmp_path, "refused", people=FEW)
    assert town.night("--limit", "5").code == 0
    before = server.simulator.stats().requests
    deployed.execute("DELETE FROM ssd_person")

    done = town.world.run("--stage", "--deltas")

    assert done.code == 3
    assert "Empty, although staged payloads were made from it: ssd_person" in done.err
    assert server.simulator.stats().requests == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_testing_mode_stages_the_live_table_and_sends_nothing(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    council(deployed, tmp_path).children("1001")
    environment = {"DB_CONNECTION_STRING": deployed.connection_string}

    done = invoke_cli(["run", "--stage"], environment, tmp_path)

    assert done.code == 0, done.text
    rows = deployed.rows(f"SELECT person_id, submission_status FROM {deployed.table}")
    assert rows == [("1001", "testing")]
    assert server.simulator.stats().requests == 0
