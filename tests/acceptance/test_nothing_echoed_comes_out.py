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

from api_pipeline.settings.definitions import SETTINGS
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase
from tests.support.echoes import DISGUISES, ECHOES, found_in
from tests.support.effort import IS_LONG
from tests.support.hostile_answers import saying
from tests.support.hostile_receiver import TOKEN, HostileReceiver, Reply, Talk
from tests.support.staging import fill, staged, table_rows

# Of three letters, of lower-case words, with signs of regular expressions, with what ends a value of ODBC or of HTML.
CLIENT_SECRET = "marigold"
SUPPLIER_KEY = "a.*[bq$^(zw"
SHORT_SECRET = "qzk"
PROXY_PASSWORD = "{wq};=<zb>&\"'"
SECRETS = [CLIENT_SECRET, SUPPLIER_KEY, SHORT_SECRET, PROXY_PASSWORD, TOKEN]
# `Vocabulary` is a word that rules are made of: only the child's own record tells that it is a name.
CHILD = {
    "first_name": "Xiq",
    "surname": "Quillfeather-Vocabulary",
    "date_of_birth": "2011-02-27",
    "postcode": "ZE9 7QX",
    "unique_pupil_number": "Z874563219045",
}
VALUES = [*CHILD.values(), "Vocabulary"]


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
    rows = {row["person_id"]: row for row in table_rows(sweep.database, sweep.database.table)}
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


def misplaced() -> list[tuple[str, str]]:
    """Return each setting with a secret that is put there by mistake; with both of them in `scripts/test --long`."""
    both = (CLIENT_SECRET, SUPPLIER_KEY)
    return [
        (setting.name, value)
        for number, setting in enumerate(SETTINGS)
        for value in (both if IS_LONG else both[number % 2 :][:1])
    ]


def test_secret_in_another_setting_is_not_printed(tmp_path: Path) -> None:
    ours = {"CLIENT_SECRET": CLIENT_SECRET, "SUPPLIER_KEY": SUPPLIER_KEY, "TESTING_MODE": "false"}
    shown = []
    for name, value in misplaced():
        for arguments in ("config show --all", "config check --live --json", "run"):
            done = invoke_cli(arguments.split(), {**ours, name: value}, tmp_path)
            shown += [(name, arguments) for _ in found_in(done.text, [value])]
    assert shown == []


@pytest.mark.parametrize("value", [CLIENT_SECRET, SUPPLIER_KEY])
def test_secret_in_every_other_setting_is_not_printed(value: str, tmp_path: Path) -> None:
    for arguments in ("config show --all", "config check --live --json", "run"):
        done = invoke_cli(arguments.split(), {setting.name: value for setting in SETTINGS}, tmp_path)
        assert (done.code != 0 or "show" in arguments, found_in(done.text, [value])) == (True, []), arguments


# Every odd brace, quote and blank, and what other programs call a connection string.
CONNECTION_STRINGS = [
    "PWD={Hunter;2=}Zq",
    "PWD={Hunter;2=}}Zq}",
    "PWD={Hunter;2=}}Zq",
    "PWD='Hunter;2=}Zq'",
    'PWD="Hunter;2=}Zq"',
    "PWD = {Hunter;2=}}Zq",
    "pwd={Hunter;2=}}Zq}x",
    "UID={a;PWD=Hunter2Zq",
    "UID={a}};PWD=Hunter2Zq",
    "SERVER={x;PWD=Hunter2Zq",
    "DRIVER={x};SERVER=y;PWD=Hunter2Zq=",
    "PWD\u00a0=Hunter2Zq",
    "PW D=Hunter2Zq",
    "=Hunter2Zq",
    ";;;PWD==Hunter2Zq",
    "PWD={Hunter2Zq}}",
    "PWD={}Hunter2Zq}",
    "Driver={SQLite3};Database={/x;PWD=Hunter2Zq",
    "postgresql://u:Hunter2Zq@h/db",
    "mssql+pyodbc://u:Hunter2Zq@h/db?driver=x",
    "jdbc:sqlserver://h;user=u;password=Hunter2Zq",
    "DRIVER={PostgreSQL Unicode};SERVER=127.0.0.1;PORT=9;UID=a;PWD={Hunter2Zq",
    "DRIVER={PostgreSQL Unicode};SERVER={127.0.0.1;PWD=Hunter2Zq;PORT=9",
    "DRIVER={Hunter2Zq};PWD=Hunter2Zq",
    "sqlite:///x?password=Hunter2Zq",
    "sqlite:///u:Hunter2Zq@x",
    "sqlite://Hunter2Zq",
    "Hunter2Zq",
]


@pytest.mark.parametrize("text", CONNECTION_STRINGS)
def test_no_odd_connection_string_shows_its_password(text: str, tmp_path: Path) -> None:
    settings = {"DB_CONNECTION_STRING": text, "SDR_DB_CONNECTION_STRING": text, "DB_RETRY_S": "0"}
    for command in ("test-db-connection --json", "status", "run", "config show --all", "xporter status", "sdr status"):
        done = invoke_cli(f"--verbose --log-file x.log {command}".split(), settings, tmp_path)
        log = tmp_path / "x.log"
        shown = done.text + (log.read_text(encoding="utf-8") if log.exists() else "")
        assert ("Hunter" in shown, "Zq" in shown, "Traceback" in shown) == (False, False, False), command


# The wings: what TEC and the School Data API say is echoed nowhere either.
WINGS = [
    "sdr test-endpoint",
    "sdr returns",
    "sdr submit 202608",
    "sdr validate 202608",
    "sdr status",
    "xporter check",
    "xporter schools list",
    "xporter collect",
    "xporter status",
]


def saying_everywhere(status: int) -> Reply:
    """Return a reply that quotes every value and secret in each member that an error may have."""
    ways = ("as it is", "lower case", "with entities", "percent-encoded", "as JSON", "cut by a tag")
    page = " ".join(ECHOES[way](value) for value in (*VALUES, *SECRETS) for way in ways)
    names = ("error", "errorCode", "message", "Message", "ExceptionMessage", "ExceptionType", "Type", "content")
    return saying(json.dumps(dict.fromkeys(names, page) | {"errors": [{"code": page, "localId": page}]}), status)


def given_a_token(talk: Talk) -> None:
    talk.answer(json.dumps({"access_token": TOKEN, "token": TOKEN, "Token": TOKEN, "expires_in": 3600}).encode())


def scopes(talk: Talk) -> None:
    talk.answer(json.dumps({"Scopes": ["edubase", "sims.student.read"], "ExceptionMessage": None}).encode())


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("has_token", [True, False])
def test_no_echo_comes_out_of_the_commands_of_the_wings(status: int, has_token: bool, tmp_path: Path) -> None:
    echoing = saying_everywhere(status)
    with HostileReceiver(otherwise=echoing, token=given_a_token if has_token else echoing) as receiver:
        receiver.pages["/api/v1/Scopes"] = scopes
        origin = receiver.settings["TOKEN_ENDPOINT"].removesuffix("/token")
        settings = {
            "DB_CONNECTION_STRING": f"sqlite:///{tmp_path / 'wings.db'}",
            "SDR_API_ENDPOINT": origin,
            "SDR_EID": "6001",
            "SDR_TOKEN_ENDPOINT": f"{origin}/token",
            "SDR_CLIENT_ID": "provider",
            "SDR_CLIENT_SECRET": CLIENT_SECRET,
            "SDR_SCOPE": "scope",
            "SDR_WAIT_BLOCKED_S": "0",
            "TESTING_MODE": "false",
            "MAX_ATTEMPTS": "1",
            "LA_CODE": "999",
            "XPORTER_BASE_URL": origin,
            "XPORTER_TOKEN_URL": f"{origin}/token/",
            "XPORTER_RELYING_PARTY": "council",
            "XPORTER_MANAGEMENT_SECRET": SUPPLIER_KEY,
            "XPORTER_SCHOOLS": "9991234",
            "XPORTER_SECRET_9991234": SHORT_SECRET,
            "XPORTER_READY_WAIT_S": "0",
        }
        for command in ("sdr deploy-schema --apply", "xporter deploy-schema --apply"):
            assert invoke_cli(command.split(), settings, tmp_path).code == 0
        played = {
            command: invoke_cli(f"--verbose --log-file wings.log {command}".split(), settings, tmp_path)
            for command in WINGS
        }
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("wings.log"))
    shown = {command: found_in(done.text, [*SECRETS, *VALUES]) for command, done in played.items()}
    assert {command: found for command, found in shown.items() if found} == {}
    assert found_in(written, [*SECRETS, *VALUES]) == []
    assert {command: done.code for command, done in played.items() if "Traceback" in done.text} == {}
    assert len(receiver.heard) > 5, "the commands did ask"
