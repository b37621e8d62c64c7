"""Contract 6: no secret and nothing of a child in any stream, log, report, CSV or spool file, whatever goes wrong.

Secrets and personal values are planted in settings, rows and the receiver's answers; every command is run with all
that it can be made to say; and everything that it leaves outside the database is searched. The first scene of a command
is played by a program of its own, the others inside the test's process, which has compiled the redactor's patterns.
"""

from __future__ import annotations

import base64
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus

import click
import pytest

from api_pipeline.cli import cli
from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support import telltale_scenes
from tests.support.commands import Completed, invoke_cli, run_cli, started_cli
from tests.support.databases import TestDatabase
from tests.support.planted import PERSONAL, SECRETS, TALE, found_in
from tests.support.sinks import http_sink
from tests.support.telltale_scenes import SCENES, Scene
from tests.support.telltale_world import Overheard, World, telltale_trigger

_SCENES_IN_AN_ACT = 8


def command_names() -> list[str]:
    return cli.list_commands(click.Context(cli))


def acts() -> list[tuple[str, int]]:
    """Return the commands that there are, each with the first scene of a part that one test plays."""
    return [
        (name, first) for name in command_names() for first in range(0, len(SCENES.get(name, [])), _SCENES_IN_AN_ACT)
    ]


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
        # Windows sends no interrupt to another program: there it is ended.
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
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
    assert not missing, (
        f"a new command must be searched as well: add scenes for {missing} to {telltale_scenes.__file__}"
    )


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
