"""Ten nights of a council: changes, deletions, returns, refusals, interruptions; after each the truth is compared."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.sandbox.invented_children import changed, invented_child
from api_pipeline.sandbox.simulator import (
    Fault,
    FaultKind,
    Refusal,
    SimulatorServer,
    When,
)
from tests.properties.model import content
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase, one_kind
from tests.support.effort import IS_LONG
from tests.support.staging import change, fill, row_of, staged, table_rows
from tests.support.world import live_settings

RECEIPT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def settings_of(database: TestDatabase, server: SimulatorServer, **more: str) -> dict[str, str]:
    few = {"MAX_ATTEMPTS": "2", "BATCH_SIZE": "10", "MAX_IN_FLIGHT": "3"}
    return {**database.settings, **live_settings(server), **few, **more}


@dataclass
class Council:
    """A table whose rows change from night to night as a build would change them."""

    database: TestDatabase
    rng: random.Random
    children: dict[str, dict[str, Any]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def join(self, count: int) -> None:
        rows = []
        for _ in range(count):
            payload = invented_child(self.rng, len(self.children) + 1)
            self.children[payload["la_child_id"]] = payload
            rows.append(staged(payload["la_child_id"], payload))
        fill(self.database, self.database.table, rows)

    def day(self) -> None:
        """Change some rows (some twice, over a version that was never sent), lets some go and some come back."""
        for person in self.rng.sample(sorted(self.children), len(self.children) // 3):
            if person in self.gone:
                self._stage(person, "Updated")
                self.gone.discard(person)
            elif self.rng.random() < 0.15:
                change(self.database, self.database.table, person, row_state="Deleted")
                self.gone.add(person)
            else:
                for _ in range(self.rng.choice([1, 1, 2])):
                    self.children[person] = changed(self.rng, self.children[person])
                    self._stage(person, "Updated")
        self.join(2)

    def _stage(self, person: str, state: str) -> None:
        text = json.dumps(self.children[person], ensure_ascii=False)
        row = row_of(self.database, self.database.table, person)
        change(
            self.database,
            self.database.table,
            person,
            previous_json_payload=row["json_payload"],
            previous_hash=row["current_hash"],
            json_payload=text,
            current_hash=self.rng.randbytes(32),
            row_state=state,
            submission_status="Pending",
        )


def misbehave(server: SimulatorServer, rng: random.Random) -> None:
    """Let one thing go wrong in the coming night."""
    first = rng.randrange(1, 6)
    match rng.randrange(6):
        case 0:
            server.simulator.add_fault(Fault(FaultKind.DROP, when=When.AFTER_ACCEPTING, first=first, last=first + 3))
        case 1:
            server.simulator.add_fault(Fault(FaultKind.DROP, when=When.BEFORE_ACCEPTING, first=first, last=first + 3))
        case 2:
            server.simulator.add_fault(Fault(FaultKind.ANSWER, status=503, first=first, last=first + 5))
        case 3:
            server.simulator.change(refusals=(Refusal(contains="RC1", is_named=rng.random() < 0.5),))
        case 4:
            server.simulator.expire_tokens()
        case _:
            pass


def compare(database: TestDatabase, server: SimulatorServer) -> None:
    """Child by child: what is `sent` is what the receiver holds, and the table of what is held says the same."""
    noted = {
        row["la_child_id"]: row["held_payload"] for row in table_rows(database, database.named("ssd_api_held"), "1")
    }
    for row in table_rows(database, database.table):
        person = row["person_id"]
        held = server.simulator.held(person)
        if row["submission_status"] != "sent":
            continue
        assert row["api_response"], "no row is sent without a receipt"
        if row["row_state"] == "deleted":
            assert held is None
            assert person not in noted
        elif row["row_state"] == "unchanged":
            assert content(held) == content(json.loads(row["json_payload"]))
            assert content(json.loads(noted[person])) == content(held)


@pytest.mark.parametrize(
    ("database", "mode"),
    # Each mode on one of them.
    [
        ("sqlite", "--deltas"),
        ("postgresql-odbc", "--full"),
        *([("sqlite", "--full"), ("postgresql-odbc", "--deltas")] if IS_LONG else []),
    ],
    indirect=["database"],
)
def test_receiver_holds_the_newest_version_after_each_of_ten_nights(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path, mode: str
) -> None:
    council = Council(deployed, random.Random(f"{mode} {deployed.name}"))
    council.join(40)
    settings = settings_of(deployed, server)
    for _night in range(10):
        misbehave(server, council.rng)
        limit = ["--limit", str(council.rng.randrange(5, 60))] if council.rng.random() < 0.3 else []
        done = invoke_cli(["run", mode, *limit], settings, tmp_path)
        assert done.code in (0, 1, 5), done.text
        compare(deployed, server)
        server.simulator.clear_faults()
        server.simulator.change(refusals=())
        council.day()
    assert invoke_cli(["run", mode], settings, tmp_path).code == 0
    compare(deployed, server)
    living = {person: content(payload) for person, payload in council.children.items() if person not in council.gone}
    assert {person: content(held) for person, held in server.simulator.all_held().items()} == living
    assert deployed.count(deployed.named("ssd_api_unconfirmed")) == 0
    assert "nothing was due" in invoke_cli(["run", mode], settings, tmp_path).out


@one_kind
@pytest.mark.parametrize("mode", ["--deltas", "--full"])
def test_adopted_table_is_not_sent_again(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path, mode: str
) -> None:
    old = {"la_child_id": "1", "child_details": {"first_name": "A", "surname": "B"}}
    new = {"la_child_id": "1", "child_details": {"first_name": "A", "surname": "C"}}
    rows = {
        "held": staged("held", {**old, "la_child_id": "held"}, "Sent", "Unchanged", response=RECEIPT),
        "same": staged("same", {**old, "la_child_id": "same"}, "Pending", "Updated", response=RECEIPT),
        "changed": staged("changed", {**new, "la_child_id": "changed"}, "Pending", "Updated", response=RECEIPT),
        "never": staged("never", {**new, "la_child_id": "never"}, "Pending", "Updated", response=None),
        "failed": staged("failed", {**new, "la_child_id": "failed"}, "Error", "Updated", response="HTTP 500"),
        "new": staged("new", {**new, "la_child_id": "new"}, "Pending", "New"),
        "gone": staged("gone", {**old, "la_child_id": "gone"}, "Sent", "Deleted", response=RECEIPT),
    }
    fill(deployed, deployed.table, rows.values())
    for person in ("held", "same", "changed", "never", "failed", "gone"):
        before = json.dumps({**old, "la_child_id": person})
        change(deployed, deployed.table, person, previous_json_payload=before)
    assert invoke_cli(["run", mode], settings_of(deployed, server), tmp_path).code == 0
    sent = {record["la_child_id"]: record for record in map(json.loads, server.simulator.accepted_records)}
    assert set(sent) == {"changed", "never", "failed", "new", "gone"}
    delta = {"la_child_id": "changed", "child_details": {"surname": "C"}}
    assert sent["changed"] == (delta if mode == "--deltas" else {**new, "la_child_id": "changed"})
    for person in ("never", "failed", "new"):
        assert sent[person] == {**new, "la_child_id": person}
    assert sent["gone"] == {"la_child_id": "gone", "purge": True}
    assert row_of(deployed, deployed.table, "same")["api_response"].startswith("NOT SENT")
    assert row_of(deployed, deployed.table, "held") == {
        **row_of(deployed, deployed.table, "held"),
        "submission_status": "Sent",
        "api_response": RECEIPT,
    }


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_resync_purges_and_sends_whole_even_what_is_sent(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    settings = settings_of(deployed, server)
    assert invoke_cli(["run"], settings, tmp_path).code == 0
    before = len(server.simulator.accepted_records)
    assert invoke_cli(["run", "--resync", "--person-id", "2"], settings, tmp_path).code == 0
    records = [json.loads(record) for record in server.simulator.accepted_records[before:]]
    assert [(record["la_child_id"], record.get("purge")) for record in records] == [("2", True), ("2", None)]
    assert {row["submission_status"] for row in table_rows(deployed, deployed.table)} == {"sent"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_purge_whose_record_was_interrupted_is_finished_by_the_next_run(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    episode = {"social_care_episode_id": "E1", "closure_date": "2026-01-01"}
    closed = {"la_child_id": "1", "social_care_episodes": [episode]}
    fill(deployed, deployed.table, [staged("1", closed)])
    settings = settings_of(deployed, server)
    assert invoke_cli(["run"], settings, tmp_path).code == 0
    reopened = {"la_child_id": "1", "social_care_episodes": [{"social_care_episode_id": "E1"}]}
    change(
        deployed,
        deployed.table,
        "1",
        json_payload=json.dumps(reopened),
        current_hash=b"r" * 32,
        submission_status="Pending",
        row_state="Updated",
    )
    server.simulator.add_fault(Fault(FaultKind.ANSWER, status=503, first=3, last=5))
    assert invoke_cli(["run", "--deltas"], settings, tmp_path).code == 5
    assert "social_care_episodes" not in content(server.simulator.held("1"))
    assert row_of(deployed, deployed.table, "1")["submission_status"] == "error"
    assert invoke_cli(["run", "--deltas"], settings, tmp_path).code == 0
    assert server.simulator.held("1") == reopened
    assert row_of(deployed, deployed.table, "1")["submission_status"] == "sent"
