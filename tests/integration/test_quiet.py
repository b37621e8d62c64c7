"""`--quiet`: nothing where all is well, and what is wrong where the exit code says that something is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase
from tests.support.staging import fill, staged

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
COMMANDS = (["validate"], ["run", "--dry-run"], ["run"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_quiet_command_prints_nothing_where_all_is_well(
    command: list[str], deployed: TestDatabase, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1")])
    done = invoke_cli([*command, "--quiet"], deployed.settings, tmp_path)
    assert (done.code, done.text) == (0, "")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_quiet_command_says_what_its_exit_code_is_about(
    command: list[str], deployed: TestDatabase, tmp_path: Path
) -> None:
    fill(deployed, deployed.table, [staged("P1", payload="{}")])
    done = invoke_cli([*command, "--quiet"], deployed.settings, tmp_path)
    assert done.code == 1
    assert "1" in done.out


def test_quiet_set_up_says_why_its_rehearsal_failed(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("P1", payload="{}")])
    options = ["--table", deployed.table, "--unattended", "--quiet"]
    connection = {"DB_CONNECTION_STRING": deployed.connection_string}
    done = invoke_cli(["init", *options], connection, tmp_path)
    assert done.code == 1
    assert "1 record is in error" in done.out
