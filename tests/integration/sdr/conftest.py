"""A provider in a folder of its own: an embedded database, a simulated TEC over real HTTP, and the command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest

from api_pipeline.sandbox.simulator.tec import TecOptions, TecServer, TecSimulator
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.tec import returns

PERIOD = "202608"


@dataclass
class Provider:
    """A database with staged records, a TEC, and the settings that fit them together."""

    database: TestDatabase
    server: TecServer
    folder: Path

    @property
    def table(self) -> str:
        """The staging table, as SDR_TABLE_NAME."""
        return self.database.named("sdr_staging")

    @property
    def simulator(self) -> TecSimulator:
        """The simulated TEC."""
        return self.server.simulator

    def settings(self, **settings: object) -> dict[str, str]:
        """Return the environment of a live run without waits."""
        return {
            "DB_CONNECTION_STRING": self.database.connection_string,
            "SDR_TABLE_NAME": self.table,
            **self.server.settings(),
            "TESTING_MODE": "false",
            "RETRY_MAX_WAIT_S": "0",
            "SDR_POLL_S": "0.01",
            "SDR_WAIT_BLOCKED_S": "0",
            "READ_TIMEOUT_S": "1",
            **{name: str(value) for name, value in settings.items()},
        }

    def sdr(self, *args: str, **settings: object) -> Completed:
        """Run a command of the group in this process."""
        return invoke_cli(["sdr", *args], self.settings(**settings), self.folder)

    def stage(self, collection: str, local_id: str, **record: Any) -> None:
        """Put a record into the staging table, in the place of one with its id."""
        self.database.execute(f"DELETE FROM {self.table} WHERE collection = ? AND local_id = ?", [collection, local_id])
        self.database.execute(
            f"INSERT INTO {self.table} (collection, local_id, json_payload) VALUES (?, ?, ?)",
            [collection, local_id, orjson.dumps(record).decode()],
        )

    def stage_learners(self, count: int) -> None:
        """Stage invented learners whom validation passes."""
        for number in range(count):
            self.stage("learners", f"s{number}", studentIdentificationCode=f"s{number}", gender="F")

    def stage_wrong_enrolment(self) -> None:
        """Stage an enrolment in a course that is not in the register: validation finds an error in it."""
        self.stage("course-enrolments", "e1", studentIdentificationCode="s0", courseCode="none")

    def submit_learners(self, count: int) -> None:
        """Stage invented learners and submit them, as a night before the test did."""
        self.stage_learners(count)
        done = self.sdr("submit", PERIOD)
        assert done.code == 0, done.text

    def held(self, collection: str = "learners") -> dict[str, Any]:
        """Return what TEC holds of a collection."""
        return self.simulator.held(int(PERIOD))[collection]


@pytest.fixture
def provider(database: TestDatabase, tmp_path: Path) -> Iterator[Provider]:
    """Yield a provider whose tables are made by the command itself."""
    with TecServer(TecSimulator(TecOptions(returns=returns(datetime.now(timezone.utc))))) as server:
        made = Provider(database, server, tmp_path)
        done = made.sdr("deploy-schema", "--apply")
        assert done.code == 0, done.text
        yield made
