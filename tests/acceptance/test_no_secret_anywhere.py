"""Contract 6: no secret and nothing of a child in any stream, log, report, CSV or spool file, whatever goes wrong.

Secrets and personal values are planted in settings, rows and the receiver's answers; every command is run with all
that it can be made to say; and everything that it leaves outside the database is searched. The first scene of a command
is played by a program of its own, the others inside the test's process, which has compiled the redactor's patterns.
"""

from __future__ import annotations

import base64
import json
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus

import click
import pytest

from api_pipeline.cli import cli
from api_pipeline.sandbox.simulator import (
    LA_CODE,
    Answer,
    Fault,
    FaultKind,
    FaultTarget,
    Options,
    ReceiptShape,
    Refusal,
    Simulator,
    SimulatorServer,
)
from tests.support.commands import Completed, invoke_cli, run_cli, started_cli
from tests.support.databases import TestDatabase
from tests.support.sinks import HttpSink, http_sink
from tests.support.staging import Staged, fill, staged

CLIENT_SECRET = "Zx8~planted.Client/Secret+9"
SUPPLIER_KEY = "planted-Supplier-Key-77e1"
PROXY_PASSWORD = "planted+Proxy/Pass"
WRONG_PASSWORD = "planted;Wrong}Password"
TOKEN = "planted.Token-5f3a.x9Zq"
_SCENES_IN_AN_ACT = 8
HOOK_TOKEN = "planted-hook-c0ffee41"
MAIL_PASSWORD = "planted.Mail=Pass"
SECRETS = (CLIENT_SECRET, SUPPLIER_KEY, PROXY_PASSWORD, WRONG_PASSWORD, TOKEN, HOOK_TOKEN, MAIL_PASSWORD)

PERSONAL = ("Zephyrine", "Quillfeather", "O'Thistlewood", "2011-02-27", "27/02/2011", "ZE9 7QX", "Z874563219045")
TALE = (
    "surname 'Quillfeather' of Zephyrine Quillfeather (mother: O'Thistlewood), born 2011-02-27, that is 27/02/2011, "
    "of ZE9 7QX, UPN Z874563219045"
)


def payload(person: str, **members: object) -> str:
    details = {
        "unique_pupil_number": "Z874563219045",
        "first_name": "Zephyrine",
        "surname": "Quillfeather",
        "date_of_birth": "2011-02-27",
        "sex": "F",
        "postcode": "ZE9 7QX",
    }
    return json.dumps({"la_child_id": person, "child_details": details, **members})


ROWS: list[Staged] = [
    staged("1", payload("1")),
    staged("2", payload("2")),
    staged("3", payload("3")[:-7]),
    staged("4", payload("4", Quillfeather="Zephyrine")),
    staged("5", payload("5", child_details={"sex": "Zephyrine", "date_of_birth": "Quillfeather", "surname": 2})),
    staged("6", payload("6"), "Error", response=f"HTTP 400: {TALE}"),
    staged("7", payload("7"), "Sent", "Deleted", previous=payload("7")),
    staged("8", payload("8"), "Sent", "Unchanged", previous=payload("8")),
    staged("9", payload("9", disabilities=["Zephyrine Quillfeather"]), previous=payload("9")),
]


class Overheard(Simulator):
    """A receiver that refuses one child in words that quote it, and notes every token it issues."""

    def __init__(self) -> None:
        super().__init__(Options(client_secret=CLIENT_SECRET, supplier_key=SUPPLIER_KEY))
        self.tokens: list[str] = []

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        answer = super().handle(method, path, headers, body)
        self.tokens += re.findall(r'"access_token": ?"([^"]+)"', answer.body.decode("utf-8", "replace"))
        return answer


@dataclass
class World:
    """A database with rows, a receiver that talks too much, and a folder in which nothing may be told."""

    database: TestDatabase
    simulator: Overheard
    server: SimulatorServer
    folder: Path
    sink: HttpSink
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def database_password(self) -> str:
        """The password in the connection string."""
        return self.database.connection_string.partition("PWD=")[2].partition(";")[0]

    def restart(self) -> None:
        """Stage the rows anew and take all faults out of the receiver."""
        self.database.execute(f"DELETE FROM {self.database.table}")
        for table in (self.database.table, self.database.anon_table):
            self.database.execute(f"DROP TRIGGER IF EXISTS telltale ON {table}")
        fill(self.database, self.database.table, ROWS)
        self.simulator.clear_faults()
        refusal = Refusal(ids=frozenset({"2"}), message=TALE)
        self.simulator.change(refusals=(refusal,), refuse_supplier_key=False)
        self.settings = {
            **self.database.settings,
            "API_ENDPOINT": self.server.base_url,
            "TOKEN_ENDPOINT": self.server.token_url,
            "CLIENT_ID": self.simulator.options.client_id,
            "CLIENT_SECRET": CLIENT_SECRET,
            "SCOPE": self.simulator.options.scope,
            "SUPPLIER_KEY": SUPPLIER_KEY,
            "LA_CODE": LA_CODE,
            "TESTING_MODE": "false",
            "MAX_ATTEMPTS": "2",
            "RETRY_MAX_WAIT_S": "0",
            "DB_RETRY_S": "0",
            "PROXY_URL": f"http://operator:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "NOTIFY_WEBHOOK": f"{self.sink.url}/{HOOK_TOKEN}",
            "NOTIFY_WHEN": "always",
            "NOTIFY_EMAIL_TO": "team@council.example",
            "NOTIFY_EMAIL_FROM": "csc-api@council.example",
            "NOTIFY_EMAIL_SERVER": "127.0.0.1",
            "NOTIFY_EMAIL_PORT": "9",
            "NOTIFY_EMAIL_PASSWORD": MAIL_PASSWORD,
            **dict.fromkeys(
                ("PING_URL", "XPORTER_PING_URL", "XPORTER_WRITE_BACK_PING_URL", "SDR_PING_URL"),
                f"{self.sink.url}/ping/{HOOK_TOKEN}",
            ),
            "METRICS_FILE": "metrics.prom",
        }
        self.sink.status = 200
        self.sink.asked.clear()


@dataclass(frozen=True)
class Scene:
    """One way to run a command. `code` is the exit code that shows the scene to be what it is meant to be."""

    arguments: str
    code: int | None = 0
    before: Callable[[World], None] = lambda _world: None
    stdin: str = ""
    serves: bool = False


def fault(**members: object) -> Callable[[World], None]:
    """Make the receiver answer every request that way."""
    return lambda world: world.simulator.add_fault(Fault(times=None, **members))  # type: ignore[arg-type] # the names are those of a fault


def setting(**settings: str) -> Callable[[World], None]:
    return lambda world: world.settings.update(settings)


def wrong_password(world: World) -> None:
    text = world.database.connection_string
    world.settings["DB_CONNECTION_STRING"] = re.sub("PWD=.*", "PWD={planted;Wrong}}Password}", text)


def open_brace(world: World) -> None:
    text = world.database.connection_string
    world.settings["DB_CONNECTION_STRING"] = re.sub("PWD=.*", f"PWD={{{WRONG_PASSWORD}", text)


def telltale_trigger(world: World) -> None:
    """Let the database refuse the write-back in words that quote the row, as a trigger of a council's own might."""
    table = world.database.table
    world.database.execute(
        "CREATE OR REPLACE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.submission_status IN ('sent', 'pending') THEN "
        "RAISE EXCEPTION 'no change of %', NEW.json_payload; END IF; RETURN NEW; END $$"
    )
    world.database.execute(f"CREATE TRIGGER telltale BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION tell()")


def telltale_copy(world: World) -> None:
    """Let the database refuse the copy's rows in words that quote the live ones."""
    world.database.execute(
        "CREATE OR REPLACE FUNCTION tell_copy() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'not beside %', (SELECT MAX(json_payload) FROM {world.database.table}); END $$"
    )
    table = world.database.anon_table
    world.database.execute(
        f"CREATE TRIGGER telltale BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION tell_copy()"
    )


def refused_hook(world: World) -> None:
    world.sink.status = 500


def refused_key(world: World) -> None:
    world.simulator.change(refuse_supplier_key=True)


_SECRET_PAGE = f"client_secret={CLIENT_SECRET} is not the secret; SupplierKey: {SUPPLIER_KEY}; {TALE}"
_GRANTED = json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600})
_BAD_GRANT = json.dumps({"error": "invalid_client", "error_description": _SECRET_PAGE})
_REDIRECT = {"Location": f"http://127.0.0.1:9/login?key={quote_plus(SUPPLIER_KEY)}&who=Quillfeather"}

# What may go wrong between us and the receiver, for every command that talks to it.
_RECEIVER_SCENES: list[tuple[Callable[[World], None], int]] = [
    (fault(status=500, body=_SECRET_PAGE), 5),
    (fault(status=401, body=f"Bearer {TOKEN} of {TALE}"), 4),
    (fault(status=403, body=_SECRET_PAGE), 4),
    (fault(status=302, headers=_REDIRECT), 1),
    (fault(target=FaultTarget.TOKEN, status=401, body=_BAD_GRANT), 4),
    (fault(target=FaultTarget.TOKEN, status=200, body=_GRANTED), 4),
    (fault(target=FaultTarget.TOKEN, status=200, body=_SECRET_PAGE), 5),
    (fault(target=FaultTarget.TOKEN, kind=FaultKind.DROP), 5),
    (refused_key, 4),
]


def on_receiver(arguments: str) -> list[Scene]:
    return [Scene(arguments, code, before) for before, code in _RECEIVER_SCENES]


_DATABASE_FAULTS: list[Callable[[World], None]] = [wrong_password, open_brace]


def on_database(arguments: str) -> list[Scene]:
    return [Scene(arguments, 3, before) for before in _DATABASE_FAULTS]


def unchecked(scenes: list[Scene]) -> list[Scene]:
    """Return the same scenes for a command whose exit codes have tests of their own."""
    return [Scene(scene.arguments, None, scene.before, scene.stdin) for scene in scenes]


SCENES: dict[str, list[Scene]] = {
    "run": [
        Scene("run", 1),
        Scene("run --deltas --report reports", 1),
        Scene("run --testing --report reports", 1),
        Scene("run --resync --batch-size 1", 1),
        Scene("run --dry-run", 1),
        Scene("run --dry-run --deltas --json", 1),
        Scene("run --json --report reports", 1),
        Scene("run", 1, setting(NO_PROXY="elsewhere.example")),
        Scene("run", 1, fault(status=400, body=f"<html>{_SECRET_PAGE}</html>")),
        Scene("run", 1, fault(kind=FaultKind.RECEIPTS, shape=ReceiptShape.LOGIN_PAGE)),
        Scene("run", 1, refused_hook),
        Scene("run", 3, telltale_trigger),
        Scene("run", 2, setting(API_ENDPOINT=f"http://operator:{quote(PROXY_PASSWORD, safe='')}@receiver.example")),
        Scene("run", 2, setting(DB_CONNECTION_STRING=f"SERVER=x;PWD={WRONG_PASSWORD}", LA_CODE="", BATCH_SIZE="x")),
        *on_receiver("run"),
        *on_database("run"),
    ],
    "validate": [
        Scene("validate --csv findings.csv", 1),
        Scene("validate --all", 1),
        Scene("validate --json", 1),
        *on_database("validate"),
    ],
    "status": [Scene("status"), Scene("status --json"), *on_database("status")],
    "explain": [
        *(Scene(f"explain {person}") for person in "123456"),
        *(Scene(f"explain {person} --json") for person in "45789"),
        Scene("explain nobody", 2),
        Scene("explain 1 --with-values", 2),
        *on_database("explain 1"),
    ],
    "report": [Scene("report --folder reports"), Scene("report --json --folder reports"), *on_database("report")],
    "requeue": [
        Scene("requeue --json"),
        Scene("requeue --matching born"),
        Scene("requeue", 3, telltale_trigger),
        *on_database("requeue"),
    ],
    "anonymise": [
        Scene("anonymise --replace"),
        Scene("anonymise --replace --dry-run --json"),
        Scene("anonymise", 2),
        Scene("anonymise --replace --target ssd_api_data_staging", 2),
        Scene("anonymise --replace", 3, telltale_copy),
        *on_database("anonymise"),
    ],
    "deploy-schema": [
        Scene("deploy-schema"),
        Scene("deploy-schema --apply --json"),
        *on_database("deploy-schema --apply"),
    ],
    "preflight": [Scene("preflight"), Scene("preflight --dialect sqlite --schema x.y.z", 2)],
    "demo": [Scene("demo --children 30 --folder demo")],
    "simulate-api": [Scene("simulate-api --port 0", None, serves=True)],
    "test-db-connection": [
        Scene("test-db-connection"),
        Scene("test-db-connection --json"),
        *on_database("test-db-connection"),
    ],
    "test-schema": [Scene("test-schema"), Scene("test-schema --json"), *on_database("test-schema")],
    "test-endpoint": [
        Scene("test-endpoint"),
        Scene("test-endpoint --json"),
        # Nothing is in error here where nothing was sent: what a run would call a refusal is an address gone wrong.
        *(Scene("test-endpoint", code if code > 1 else 5, before) for before, code in _RECEIVER_SCENES),
        Scene("test-endpoint", 0, setting(NO_PROXY="elsewhere.example")),
        Scene("test-endpoint --send-test-record", 1, fault(status=422, body=_SECRET_PAGE)),
    ],
    "test-notify": [Scene("test-notify", 5), Scene("test-notify --json", 5, refused_hook)],
    "smoke": [
        Scene("smoke"),
        Scene("smoke --json"),
        # Its parts have scenes of their own above; these are for what it makes of a fault.
        Scene("smoke", 3, wrong_password),
        Scene("smoke", 4, fault(target=FaultTarget.TOKEN, status=401, body=_BAD_GRANT)),
        Scene("smoke --json", 4, fault(status=403, body=_SECRET_PAGE)),
    ],
    "init": [
        Scene("init --unattended --env-file other.env --store --no-rehearse"),
        Scene("init --unattended --env-file other.env --no-store --replace", 1),
        Scene("init --unattended --env-file third.env", 3, wrong_password),
        Scene("init --unattended --env-file third.env", 3, open_brace),
    ],
    "config": [
        Scene("config show"),
        Scene("config show --all --json"),
        Scene("config check --live"),
        Scene("config show", None, wrong_password),
        Scene("config show", None, open_brace),
        Scene("config check --json", 2, setting(API_ENDPOINT=f"https://x.example/1?subscription-key={SUPPLIER_KEY}")),
    ],
    "schedule": [
        *(Scene(f"schedule --kind {kind}") for kind in ("task-scheduler", "systemd", "cron")),
        Scene("schedule --at 2", 2),
    ],
    "secrets": [
        Scene("secrets list --json"),
        # The store of this sweep forgets what it is given, which is found out.
        Scene("secrets set CLIENT_SECRET", 2, stdin=f"{CLIENT_SECRET}\n"),
        Scene("secrets delete SUPPLIER_KEY"),
    ],
    "sdr": [
        Scene("sdr config --example"),
        Scene("sdr status", None, setting(SDR_CLIENT_SECRET=CLIENT_SECRET)),
        Scene("sdr returns", None, setting(SDR_CLIENT_SECRET=CLIENT_SECRET, TESTING_MODE="false")),
        Scene("sdr check", None, wrong_password),
    ],
    "xporter": [
        Scene("xporter config"),
        Scene("xporter status", None, setting(XPORTER_MANAGEMENT_SECRET=CLIENT_SECRET)),
        Scene("xporter collect", None, setting(XPORTER_MANAGEMENT_SECRET=CLIENT_SECRET)),
        Scene("xporter status", None, wrong_password),
        Scene(
            "xporter write-back", None, setting(XPORTER_MANAGEMENT_SECRET=CLIENT_SECRET, XPORTER_WRITE_BACK="conduct")
        ),
    ],
    "stage": [Scene("stage", None), Scene("stage --dry-run --json", None), *unchecked(on_database("stage"))],
}


def command_names() -> list[str]:
    return cli.list_commands(click.Context(cli))


def acts() -> list[tuple[str, int]]:
    """Return the commands that there are, each with the first scene of a part that one test plays."""
    return [
        (name, first) for name in command_names() for first in range(0, len(SCENES.get(name, [])), _SCENES_IN_AN_ACT)
    ]


@cache
def forms(value: str) -> set[str]:
    """Return the ways in which a value can be written down, in lower case."""
    in_json = json.dumps(value)[1:-1]
    written = {value, in_json, quote(value, safe=""), quote(value), quote_plus(value), value.replace("}", "}}")}
    written |= {repr(value)[1:-1], value.replace("&", "&amp;").replace("'", "&#x27;"), value.replace(" ", "")}
    return {form.lower() for form in written}


@cache
def encoded(value: str) -> set[str]:
    """Return the ways in which base64 can carry a value: alone, and behind a user as basic authentication writes it."""
    pairs = [value, f"operator:{value}"]
    return {base64.b64encode(pair.encode()).decode().rstrip("=").lower() for pair in pairs}


def found_in(text: str, values: list[str]) -> list[str]:
    """Return the first letters of those values that a text holds in any form."""
    lowered = text.lower()
    return [value[:4] for value in values if any(form in lowered for form in forms(value) | encoded(value))]


def leaks(world: World, done: Completed) -> list[str]:
    """Return where something planted stands, without the value itself."""
    values = [*SECRETS, world.database_password, *world.simulator.tokens, *PERSONAL]
    places = {"standard output": done.out, "standard error": done.err}
    places |= {f"notification {number}": body for number, (_, _, body) in enumerate(world.sink.asked)}
    for path in sorted(world.folder.rglob("*")):
        # The settings file that `init` was asked to write holds the secrets where there is no credential store.
        if path.is_file() and not path.name.startswith("other.env"):
            places[str(path.relative_to(world.folder))] = path.read_bytes().decode("utf-8", "replace")
    return [f"{place}: {found}..." for place, text in places.items() for found in found_in(text, values)]


def call(world: World, scene: Scene, log_format: str) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the settings of a scene."""
    arguments = ["--verbose", "--log-file", f"{log_format}.log", *scene.arguments.split()]
    return arguments, {**world.settings, "LOG_FORMAT": log_format}


def play_here(world: World, scene: Scene, log_format: str, streams: pytest.CaptureFixture[str]) -> Completed:
    """Play a scene inside this process; what a driver writes past Python's streams is in its outputs as well."""
    streams.readouterr()
    done = invoke_cli(*call(world, scene, log_format), world.folder)
    past = streams.readouterr()
    return Completed(done.code, done.out + past.out, done.err + past.err)


def play(world: World, scene: Scene, log_format: str) -> Completed:
    """Play a scene as a program of its own."""
    arguments, settings = call(world, scene, log_format)
    if not scene.serves:
        return run_cli(arguments, settings, world.folder, stdin=scene.stdin)
    with started_cli(arguments, settings, world.folder) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    return Completed(process.returncode, first + out, err)


@pytest.fixture
def world(deployed: TestDatabase, tmp_path: Path) -> Iterator[World]:
    simulator = Overheard()
    folder = tmp_path / "folder"
    folder.mkdir()
    with SimulatorServer(simulator) as server, http_sink() as sink:
        world = World(deployed, simulator, server, folder, sink)
        world.restart()
        yield world


def test_every_command_has_its_scenes() -> None:
    missing = set(command_names()) - set(SCENES)
    assert not missing, f"a new command must be searched as well: add its scenes for {missing}"


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
@pytest.mark.parametrize(("name", "first"), acts())
def test_no_planted_secret_appears_in(name: str, first: int, world: World, capfd: pytest.CaptureFixture[str]) -> None:
    for number, scene in enumerate(SCENES[name][first : first + _SCENES_IN_AN_ACT], first):
        world.restart()
        scene.before(world)
        log_format = ("text", "json")[number % 2]
        is_apart = number == 0 or scene.serves or scene.stdin
        done = play(world, scene, log_format) if is_apart else play_here(world, scene, log_format, capfd)
        told = f"scene {number}, {scene.arguments}"
        assert leaks(world, done) == [], told
        assert scene.code is None or done.code == scene.code, f"{told}: {done.text}"


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_planted_secrets_were_used(world: World) -> None:
    done = play(world, Scene("run"), "json")
    answers = world.database.rows(f"SELECT api_response FROM {world.database.table} WHERE person_id = '2'")
    assert TALE in answers[0][0], "the table alone keeps what the receiver said"
    assert "Quillfeather" in json.dumps(world.simulator.all_held())
    assert world.simulator.tokens, "a token was issued"
    assert len(world.sink.asked) == 3, "others were told"
    assert "csc_api_run_records" in (world.folder / "metrics.prom").read_text(encoding="utf-8")
    assert done.err.count("person") > 2, "the verbose stream does tell of records"
    assert (world.folder / "json.log").stat().st_size > 0
    assert leaks(world, done) == []


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_receipts_kept_in_a_file_are_searched_as_well(world: World) -> None:
    telltale_trigger(world)
    done = play(world, Scene("run"), "text")
    assert done.code == 3
    (spool,) = world.folder.glob("unwritten-receipts-*.jsonl")
    assert '"person_id": "1"' in spool.read_text(encoding="utf-8")
    assert leaks(world, done) == []


@pytest.mark.parametrize("value", [*SECRETS, *PERSONAL])
def test_the_search_finds_a_value_however_it_is_written(value: str) -> None:
    for text in (value, value.upper(), json.dumps({"a": value}), quote_plus(value), repr([value])):
        assert found_in(f"before {text} after", [value]) == [value[:4]]
    basic = base64.b64encode(f"operator:{value}".encode()).decode()
    assert found_in(f"Proxy-Authorization: Basic {basic}", [value]) == [value[:4]]
    assert found_in("nothing of the kind", [value]) == []
