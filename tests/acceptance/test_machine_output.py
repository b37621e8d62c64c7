"""What commands print with --json follows its schema, and the schemas only ever grow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click
import jsonschema_rs
import pytest

from api_pipeline.cli import cli
from api_pipeline.db import connect
from api_pipeline.documents import schemas
from api_pipeline.sandbox.sample_table import make_trial_table
from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sandbox.synthetic_ssd import SyntheticSsd, create_tables, fill
from api_pipeline.sql import ddl
from tests.support.commands import Completed, invoke_cli, run_cli
from tests.support.keyrings import store_settings
from tests.support.schedulers import stand_ins
from tests.support.world import live_settings

GOLDEN = Path(__file__).with_name("json_members.json")
# Their output is tried in test_machine_output_of_services.
OTHER_SERVICES = ("sdr ", "xporter ")
# What a call needs besides the words that name it.
WORDS = {
    "explain PERSON_ID --json": "explain P1001 --json",
    "anonymise --json": "anonymise --replace --json",
    "schedule --json": "schedule --kind cron --json",
    "schedule status --json": "schedule status --kind cron --json",
    "schedule remove --json": "schedule remove --kind cron --json",
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a database as after a first rehearsal, one before its first staging, and a scheduler."""
    folder = tmp_path_factory.mktemp("machine")
    settings = {"DB_CONNECTION_STRING": make_trial_table(folder / "trial.db", 40), "TABLE_NAME": "ssd_api_data_staging"}
    assert invoke_cli(["run", "--limit", "5"], settings, folder).code == 0
    with sqlite3.connect(folder / "trial.db") as connection:
        connection.execute("UPDATE ssd_api_data_staging SET person_id = 'P1001' WHERE id = 1")
    connection.close()
    council = connect(f"sqlite:///{folder / 'council.db'}", create=True)
    ddl.apply(council.execute, council.dialect, "ssd_api_data_staging")
    create_tables(council.execute, council.dialect)
    fill(council, SyntheticSsd(20, date(2026, 8, 10)))
    council.close()
    stand_ins(folder / "machine")
    return folder


def call(words: str, folder: Path, receiver: SimulatorServer) -> Completed:
    database = "council.db" if "stage" in words.split()[0] or "--stage" in words else "trial.db"
    environment = {
        **live_settings(receiver),
        "DB_CONNECTION_STRING": f"sqlite:///{folder / database}",
        "TABLE_NAME": "ssd_api_data_staging",
        "TESTING_MODE": "true",
        "PATH": f"{folder / 'machine' / 'programs'}",
        "STAND_INS": str(folder / "machine"),
    }
    return invoke_cli(words.split(), environment, folder)


@pytest.mark.parametrize(
    "words", [words for words in schemas.SCHEMAS if not words.startswith(("secrets", *OTHER_SERVICES))]
)
def test_output_of_a_command_follows_its_schema(words: str, folder: Path, receiver: SimulatorServer) -> None:
    done = call(WORDS.get(words, words), folder, receiver)
    jsonschema_rs.validate(schemas.schema(schemas.SCHEMAS[words]), json.loads(done.out))
    assert done.code in (0, 1), done.text


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("stage --dry-run --json", "stage"),
        ("validate --all --csv findings.csv --json", "validate"),
        ("anonymise --replace --dry-run --json", "anonymise"),
        ("schedule --kind cron --install --json", "schedule"),
        ("config show --all --live --json", "config"),
        ("run --deltas --json", "run"),
    ],
)
def test_output_with_other_options_follows_the_same_schema(
    words: str, name: str, folder: Path, receiver: SimulatorServer
) -> None:
    found = json.loads(call(words, folder, receiver).out)
    jsonschema_rs.validate(schemas.schema(name), found)


@pytest.mark.parametrize("words", ["test-db-connection --json", "smoke --json"])
def test_a_text_that_looks_like_a_password_takes_no_sign_of_json_with_it(words: str, tmp_path: Path) -> None:
    place = tmp_path / "Password=hush"
    place.mkdir()
    done = invoke_cli(words.split(), {"DB_CONNECTION_STRING": make_trial_table(place / "council.db", 1)}, tmp_path)
    jsonschema_rs.validate(schemas.schema(schemas.SCHEMAS[words]), json.loads(done.out))
    assert "hush" not in done.out


def test_output_of_secrets_follows_its_schema(tmp_path: Path) -> None:
    store = store_settings(tmp_path / "store.json")
    for words, name in (("set NOTIFY_WEBHOOK", "secret"), ("list", "secrets"), ("delete NOTIFY_WEBHOOK", "secret")):
        done = run_cli(["secrets", *words.split(), "--json"], store, tmp_path, stdin="https://hooks.example/x\n")
        assert done.code == 0, done.text
        jsonschema_rs.validate(schemas.schema(name), json.loads(done.out))


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


def test_every_command_with_json_has_a_schema() -> None:
    with_json = {
        name for name, command in commands(cli) if any("--json" in parameter.opts for parameter in command.params)
    }
    # What is written in capitals stands for a value.
    named = {
        " ".join(word for word in words.split() if not (word.isupper() or word.startswith("--")))
        for words in schemas.SCHEMAS
    }
    assert with_json == named


def test_commands_without_json_are_these_alone() -> None:
    without = {
        name
        for name, command in commands(cli)
        if not any("--json" in parameter.opts for parameter in command.params)
        and name not in ("config", "secrets", "sdr", "xporter")
    }
    # A script is for programs as it is; the others talk to a person or serve.
    assert without == {
        *("init", "preflight", "demo", "simulate-api", "sdr demo", "sdr simulate"),
        *("xporter config", "xporter demo", "xporter simulate-api"),
    }


def members(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of each member that a schema promises, with its types."""
    kind = schema.get("type", "enum" if "enum" in schema else "const")
    if path:
        yield f"{path}: {kind if isinstance(kind, str) else ' or '.join(kind)}"
    for name, inner in schema.get("properties", {}).items():
        yield from members(inner, f"{path}.{name}" if path else name)
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from members(schema[part], f"{path}[]")


def test_no_member_of_an_earlier_schema_is_gone() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    now = {name: set(members(schemas.schema(name))) for name in golden}
    assert {
        name: sorted(set(earlier) - now[name]) for name, earlier in golden.items() if set(earlier) - now[name]
    } == {}
    names = {*schemas.SCHEMAS.values(), "notification"}
    missing = {name: sorted(set(members(schemas.schema(name))) - set(golden.get(name, []))) for name in names}
    assert {name: new for name, new in missing.items() if new} == {}, f"add the new members to {GOLDEN.name}"


def test_a_schema_refuses_what_it_does_not_name(folder: Path, receiver: SimulatorServer) -> None:
    found = json.loads(call("status --json", folder, receiver).out)
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schemas.schema("status"), {**found, "surname": "x"})
