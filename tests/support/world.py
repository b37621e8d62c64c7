"""A small world to run the whole job in: a staging table, the embedded receiver over real HTTP, and the command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import orjson

from api_pipeline.sandbox.simulator import (
    CLIENT_ID,
    CLIENT_SECRET,
    LA_CODE,
    SCOPE,
    SUPPLIER_KEY,
    Simulator,
    SimulatorServer,
)
from tests.properties.model import content
from tests.support.commands import Completed, invoke_cli, started_cli
from tests.support.databases import TestDatabase
from tests.support.staging import Staged, change, fill, hash_of, rows_by_person, staged, text_of

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
# Columns that a run may write; of an untouched row none of them may have changed either.
WRITTEN = ("submission_status", "row_state", "api_response", "previous_json_payload", "submission_timestamp")


@dataclass
class World:
    """A database with rows, a receiver, a folder to run in, and settings that fit them together."""

    database: TestDatabase
    server: SimulatorServer
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    before: dict[str, dict[str, Any]] = field(default_factory=dict)

    def stage(self, count: int, first: int = 0) -> list[str]:
        """Put in `count` pending rows of invented children and return their person ids."""
        persons = [f"P{number:04d}" for number in range(first, first + count)]
        self.fill([staged(person) for person in persons])
        return persons

    def fill(self, rows: list[Staged]) -> None:
        """Put rows in and remembers how they stood before the run."""
        fill(self.database, self.database.table, rows)
        self.remember()

    def restage(self, person: str, payload: dict[str, Any] | str) -> None:
        """Change a person's rows as a build does that finds another payload."""
        change(
            self.database,
            self.database.table,
            person,
            json_payload=text_of(payload),
            current_hash=hash_of(payload),
            row_state="updated",
            submission_status="pending",
        )

    def remember(self) -> None:
        """Note how the rows stand now, as what an untouched row must look like later."""
        self.before = self.rows()

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return every row by person."""
        return rows_by_person(self.database)

    def environment(self, **settings: object) -> dict[str, str]:
        """Return the environment of a live run: those of the world, and what is named here."""
        return {
            **self.database.settings,
            **live_settings(self.server),
            **self.settings,
            **{name: str(value) for name, value in settings.items()},
        }

    def run(self, *args: str, **settings: object) -> Completed:
        """Run the job inside this process."""
        return invoke_cli(["run", *args], self.environment(**settings), self.folder)

    def command(self, *args: str) -> Completed:
        """Run a command inside this process."""
        return invoke_cli(args, self.environment(), self.folder)

    def started(self, *args: str, **settings: object) -> AbstractContextManager[Popen[str]]:
        """Start the job as a program of its own."""
        return started_cli(["run", *args], self.environment(**settings), self.folder)

    def requests(self) -> int:
        """Return how many POSTs to the children endpoint came."""
        return self.server.simulator.stats().requests

    def check(self, expected: Mapping[str, str]) -> None:
        """Hold every row against what is expected of it: `sent`, `untouched`, or `error: ` and a pattern."""
        rows = self.rows()
        assert rows.keys() == expected.keys()
        on_record = recorded(self.database)
        for person, word in expected.items():
            _check_row(self, person, rows[person], word, on_record)

    def words(self) -> dict[str, str]:
        """Say of each row what became of it, for faults whose victims only the run itself chooses."""
        return {person: _word(row, self.before[person]) for person, row in self.rows().items()}


def live_settings(server: SimulatorServer) -> dict[str, str]:
    """Return the settings of a live run against a receiver, without waits between two tries."""
    return {
        "API_ENDPOINT": server.base_url,
        "TOKEN_ENDPOINT": server.token_url,
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "SCOPE": SCOPE,
        "SUPPLIER_KEY": SUPPLIER_KEY,
        "LA_CODE": LA_CODE,
        "TESTING_MODE": "false",
        "RETRY_MAX_WAIT_S": "0",
        "MAX_ATTEMPTS": "3",
        "DB_RETRY_S": "10",
    }


def _check_row(
    world: World, person: str, row: Mapping[str, Any], word: str, on_record: Mapping[str, dict[str, Any]]
) -> None:
    """Hold one row against what became of it, and what the receiver holds and its control table say of the child."""
    before = world.before[person]
    assert row["json_payload"] == before["json_payload"]
    if word == "sent":
        _check_sent(world, row, on_record)
    elif word == "untouched":
        assert {name: row[name] for name in WRITTEN} == {name: before[name] for name in WRITTEN}, person
    else:
        pattern = word.removeprefix("error: ")
        assert row["submission_status"] == "error", person
        assert re.search(pattern, row["api_response"]), f"{person}: {row['api_response']}"
        unwritten = [name for name in WRITTEN if name not in ("submission_status", "api_response")]
        assert {name: row[name] for name in unwritten} == {name: before[name] for name in unwritten}, person


def _check_sent(world: World, row: Mapping[str, Any], on_record: Mapping[str, dict[str, Any]]) -> None:
    child = orjson.loads(row["json_payload"])["la_child_id"]
    receipts = [_UUID.findall(receipt)[0] for receipt in world.server.simulator.receipts(child)]
    assert (row["submission_status"], row["row_state"]) == ("sent", "unchanged"), row["person_id"]
    assert row["api_response"] in receipts, "a row is sent with a receipt that the receiver never gave"
    assert row["previous_json_payload"] == row["json_payload"]
    assert bytes(row["previous_hash"]) == bytes(row["current_hash"])
    assert content(world.server.simulator.held(child) or {}) == normal(row["json_payload"])
    assert on_record.get(child) == normal(row["json_payload"])


def normal(text: str) -> dict[str, Any]:
    """Return what a payload says, whatever the order of its elements: without nulls, purge flags and empty arrays."""
    said: dict[str, Any] = content(orjson.loads(text))
    return said


def held_now(simulator: Simulator) -> dict[str, dict[str, Any]]:
    """Return what the receiver holds, by child, in the form of `normal`."""
    return {child: content(payload) for child, payload in simulator.all_held().items()}


def recorded(database: TestDatabase) -> dict[str, dict[str, Any]]:
    """Return what the control table says that the receiver holds, by child."""
    found = database.rows(f"SELECT la_child_id, held_payload FROM {database.named('ssd_api_held')}")
    return {str(child): normal(text) for child, text in found}


def _word(row: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    status = row["submission_status"].lower()
    if status == before["submission_status"].lower():
        return "untouched"
    return "sent" if status == "sent" else f"error: ^{re.escape(row['api_response'])}$"
