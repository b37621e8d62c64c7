"""A receiver that gives back what it was sent, in every way there is: none of it comes out of any command (contract 6).

Each child is refused in words that quote one of its values or one of the secrets, in one of the ways of
`support.echoes`. One run sends them all; then every command that can speak of them is run, and everything that it
writes is searched, the submission log and the journal too. `test_no_secret_anywhere.py` has the faults and the streams
of programs of their own; this is about echoes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.echoed_values import CHILD, CLIENT_SECRET, SECRETS, SHORT_SECRET, SUPPLIER_KEY, VALUES
from tests.support.echoes import DISGUISES, ECHOES, found_in
from tests.support.effort import IS_LONG
from tests.support.hostile_receiver import HostileReceiver, Reply, Talk
from tests.support.staging import fill, rows_by_person, staged


@dataclass
class Sweep:
    """A table of children, the receiver that quotes them, and what each is refused with.

    `openly` has the secret, by child, that a refusal quotes in a way that servers have.
    """

    database: TestDatabase
    receiver: HostileReceiver
    folder: Path
    reasons: dict[str, str]
    openly: dict[str, str]

    @property
    def settings(self) -> dict[str, str]:
        return {
            **self.database.settings,
            **self.receiver.settings,
            "CLIENT_ID": "council-999",
            "CLIENT_SECRET": CLIENT_SECRET,
            "SCOPE": "scope",
            "SUPPLIER_KEY": SUPPLIER_KEY,
            "XPORTER_MANAGEMENT_SECRET": SHORT_SECRET,
            "PROXY_URL": "http://job:%7Bwq%7D%3B%3D%3Czb%3E%26%22%27@127.0.0.1:9",
            "LA_CODE": "999",
            "TESTING_MODE": "false",
            "DB_RETRY_S": "0",
        }

    def play(self, arguments: str, **settings: str) -> Completed:
        return invoke_cli(arguments.split(), {**self.settings, **settings}, self.folder)

    def leaks(self, done: Completed) -> list[str]:
        """Return where something stands that must not, without the value itself."""
        places = {"output": done.out, "errors": done.err}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.suffix not in (".db", ".sqlite", ".db-wal", ".db-shm"):
                places[path.name] = path.read_text(encoding="utf-8", errors="replace")
        return [
            f"{place}: {found}..." for place, text in places.items() if (found := found_in(text, [*SECRETS, *VALUES]))
        ]


def refusing(reasons: dict[str, str]) -> Reply:
    """Return a reply that refuses each record for its own reason, and a record that has none for all of them."""

    def reply(talk: Talk) -> None:
        errors = {
            f"[{n}].child_details": [reasons.get(child, str(reasons))[:3000]]
            for n, child in enumerate(talk.heard.children)
        }
        talk.answer(json.dumps({"title": "One or more validation errors", "errors": errors}).encode(), 400)

    return reply


def echoed(number: int) -> list[str]:
    """Return what the way of this number gives back: two values and a secret, and all in `scripts/test --long`."""
    if IS_LONG:
        return [*VALUES, *SECRETS]
    return [VALUES[number % len(VALUES)], VALUES[(number + 1) % len(VALUES)], SECRETS[number % len(SECRETS)]]


@pytest.fixture
def sweep(deployed: TestDatabase, tmp_path: Path) -> Iterator[Sweep]:
    echoes = [(value, way) for number, way in enumerate(ECHOES) for value in echoed(number)]
    reasons = {
        f"P{number}": f"surname is not valid: {ECHOES[way](value)} is not allowed"
        for number, (value, way) in enumerate(echoes)
    }
    openly = {
        f"P{number}": value
        for number, (value, way) in enumerate(echoes)
        # A secret in base64 is looked for as it is, and this way writes it in lower case.
        if value in SECRETS and len(value) > 3 and way not in DISGUISES | {"in base64", "in hexadecimal"}
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    rows = [staged(child, {"la_child_id": child, "child_details": {**CHILD, "sex": "F"}}) for child in reasons]
    fill(deployed, deployed.table, rows)
    with HostileReceiver(otherwise=refusing(reasons)) as receiver:
        yield Sweep(deployed, receiver, folder, reasons, openly)


COMMANDS = [
    "status",
    "status --json",
    "report --folder later",
    "explain P1",
    "explain P18 --json",
    "explain nobody",
    "validate --csv findings.csv",
    "run --dry-run --json",
    "run --deltas --report later",
    "test-endpoint --send-test-record",
    "test-endpoint --json",
    "test-db-connection --json",
    "test-schema",
    "smoke",
    "config show --all --json",
    "config check --live",
    "secrets list",
    "xporter config",
    "xporter status",
    "requeue --matching surname",
    "run --testing --report later --json",
]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_echo_comes_out_of_any_command(sweep: Sweep) -> None:
    done = sweep.play("--verbose --log-file run.log run --report reports --json")
    assert (done.code, sweep.leaks(done)) == (1, [])
    rows = rows_by_person(sweep.database)
    assert {row["submission_status"] for row in rows.values()} == {"error"}
    answers = "\n".join(str(row["api_response"]) for row in rows.values())
    assert set(found_in(answers, VALUES)) == {value[:4] for value in VALUES}, "the table keeps what the receiver said"
    told = {child: found_in(rows[child]["api_response"], [secret]) for child, secret in sweep.openly.items()}
    assert {child: found for child, found in told.items() if found} == {}, "but for our secrets"
    for table in ("ssd_api_submission_log", "ssd_api_runs"):
        kept = "\n".join(str(row) for row in sweep.database.rows(f"SELECT * FROM {sweep.database.named(table)}"))
        assert found_in(kept, [*SECRETS, *VALUES]) == [], table
    log_format = {"LOG_FORMAT": "json"}
    played = {command: sweep.play(f"--verbose --log-file json.log {command}", **log_format) for command in COMMANDS}
    assert {command: leak for command, done in played.items() if (leak := sweep.leaks(done))} == {}
    assert {command: done.text for command, done in played.items() if "Traceback" in done.text} == {}
