"""Every command that the documentation shows is one the program takes, and those that can run here are run."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click
import pytest

from api_pipeline.cli import cli
from api_pipeline.db import connect
from api_pipeline.sandbox.sample_table import make_trial_table
from api_pipeline.sandbox.simulator import SimulatorServer
from api_pipeline.sandbox.synthetic_ssd import SyntheticSsd, create_tables, fill
from api_pipeline.sql import ddl
from tests.support.commands import invoke_cli, run_cli
from tests.support.documents import DOCS, Shown, blocks, shown_commands
from tests.support.world import live_settings

SHOWN = shown_commands()
DISTINCT = {shown.words: shown for shown in SHOWN}
# A command that is only parsed here, by the word that tells it, and why.
NOT_RUN = {
    "simulate-api": "serves until it is stopped; the simulator's own tests start it",
    "secrets": "needs a credential store; its own tests have one",
    "C:\\csc-api\\.env": "a file of a Windows machine",
    "schedule": "asks the scheduler of the machine; its own tests have stand-ins",
    "xporter": "asks schools; its own tests have some",
}
# The invented children of the trial table hold a few records that are broken on purpose.
MAY_FIND_ERRORS = ("run", "validate")


def parse(command: click.Command, name: str, words: list[str]) -> None:
    """Parse a call as the program would, without doing anything. Errors: click.ClickException."""
    context = click.Context(command, info_name=name)
    try:
        if isinstance(command, click.Group):
            _, rest, _ = command.make_parser(context).parse_args(words)
            if rest:
                inner = command.get_command(context, rest[0])
                assert inner is not None, f"there is no command {rest[0]}"
                parse(inner, rest[0], rest[1:])
        else:
            command.make_context(name, words)
    except click.exceptions.Exit:
        pass  # --help and --version end at once


def test_the_program_takes_every_command_that_is_shown() -> None:
    refused = []
    for shown in DISTINCT.values():
        try:
            parse(cli, "d2i-csc-api", list(shown.words))
        except (click.ClickException, AssertionError) as error:
            refused.append((shown.page, shown.line, str(error)))
    assert refused == []


def test_the_pages_show_every_command() -> None:
    def names(group: click.Group) -> Iterator[str]:
        yield from group.list_commands(click.Context(group))

    in_use = {word for shown in SHOWN for word in shown.words}
    assert [name for name in names(cli) if name not in in_use] == []


def runnable() -> list[Shown]:
    """Return the commands to be run; not the whole demo, which the test of the first page runs word for word."""
    return [
        shown
        for words, shown in DISTINCT.items()
        if not any(word in NOT_RUN for word in words) and " ".join(words) != "demo"
    ]


@pytest.fixture(scope="module")
def receiver() -> Iterator[SimulatorServer]:
    with SimulatorServer() as server:
        yield server


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database such as a council has after its first rehearsal."""
    path = tmp_path_factory.mktemp("trial") / "trial.db"
    settings = {"DB_CONNECTION_STRING": make_trial_table(path, 120), "TABLE_NAME": "ssd_api_data_staging"}
    done = invoke_cli(["run", "--limit", "5"], settings, path.parent)
    assert done.code == 0, done.text
    with sqlite3.connect(path) as connection:
        # The person whom the pages name.
        connection.execute("UPDATE ssd_api_data_staging SET person_id = 'P1001' WHERE id = 1")
        connection.execute("CREATE TABLE ssd_api_data_staging_rehearsal AS SELECT * FROM ssd_api_data_staging")
    connection.close()
    return path


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database such as a council has before its first staging: a small SSD, and an empty staging table."""
    path = tmp_path_factory.mktemp("council") / "council.db"
    connection = connect(f"sqlite:///{path}", create=True)
    ddl.apply(connection.execute, connection.dialect, "ssd_api_data_staging")
    create_tables(connection.execute, connection.dialect)
    fill(connection, SyntheticSsd(60, date(2026, 8, 10)))
    connection.close()
    return path


@pytest.mark.parametrize("shown", runnable(), ids=lambda shown: shown.line)
def test_what_is_shown_does_what_it_says(
    shown: Shown, tmp_path: Path, trial: Path, council: Path, receiver: SimulatorServer
) -> None:
    is_staging = {"stage", "--stage"} & set(shown.words)
    shutil.copy(council if is_staging else trial, tmp_path / "trial.db")
    settings = {
        **live_settings(receiver),
        "DB_CONNECTION_STRING": f"sqlite:///{tmp_path / 'trial.db'}",
        "TABLE_NAME": "ssd_api_data_staging",
        "TESTING_MODE": "true",
    }
    if "--env-file" in shown.words:
        file = tmp_path / shown.words[shown.words.index("--env-file") + 1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(f"{name}={value}" for name, value in settings.items()), encoding="utf-8")
        file.chmod(0o600)
        settings = {}
    done = invoke_cli(list(shown.words), settings, tmp_path)
    expected = (0, 1) if set(shown.words[:1]) & set(MAY_FIND_ERRORS) or not shown.words else (0,)
    assert done.code in expected, done.text
    assert "failed unexpectedly" not in done.text


def test_first_page_works_word_for_word_on_a_fresh_machine(tmp_path: Path) -> None:
    outputs = {}
    for block in blocks(DOCS / "index.md"):
        if block.language == "ini":
            file = tmp_path / block.info.removeprefix('title="').removesuffix('"')
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            for line in block.text.splitlines():
                done = run_cli(line.split()[1:], {}, tmp_path)
                assert done.code == 0, f"{line}\n{done.text}"
                outputs[line] = done.out
    assert (tmp_path / ".env").is_file()
    assert "nothing is due any more" in outputs["d2i-csc-api demo"]
    assert "Last runs" in outputs["d2i-csc-api status"]
    assert list(tmp_path.glob("*.html"))


def test_what_status_prints_for_machines_is_json(tmp_path: Path, trial: Path) -> None:
    settings = {"DB_CONNECTION_STRING": f"sqlite:///{trial}", "TABLE_NAME": "ssd_api_data_staging"}
    done = invoke_cli(["status", "--json"], settings, tmp_path)
    assert set(json.loads(done.out)) == {"counts", "oldest_pending", "errors", "remarks", "runs"}
