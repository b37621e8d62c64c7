"""A machine without unixODBC: every command that opens an ODBC database names the package that is missing."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.commands import clean_environment
from tests.support.documents import DOCS

COMMANDS = (
    *("run", "run --dry-run", "validate", "status", "requeue", "explain 1001", "report", "stage", "anonymise"),
    *("test-db-connection", "test-schema", "smoke", "deploy-schema", "deploy-schema --apply"),
    *("init --unattended --kind postgresql --server s --database d", "sdr status", "sdr deploy-schema --apply"),
    *("xporter status", "xporter deploy-schema --apply"),
)
ODBC = {"DB_CONNECTION_STRING": "Driver={PostgreSQL Unicode};Server=db.invalid;Database=csc;UID=nightly;PWD=hidden-1"}
TRUSTED = {"USER_SERVER": "sql01.invalid", "USER_DATABASE": "csc"}
# What the loader says where the library of a current wheel of pyodbc is not on the machine.
PROGRAM = """
    import contextlib, io, json, sys

    class WithoutLibrary:
        def find_spec(self, name, path=None, target=None):
            if name == "pyodbc":
                raise ImportError("libodbc.so.2: cannot open shared object file: No such file or directory")

    sys.meta_path.insert(0, WithoutLibrary())
    from api_pipeline.cli import main

    for command in json.loads(sys.argv[1]):
        said = io.StringIO()
        sys.argv[1:] = command.split()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                code = main() or 0
            except SystemExit as end:
                code = end.code
        print(json.dumps([command, code, said.getvalue()]))
"""


def tried(environment: dict[str, str], commands: tuple[str, ...], folder: Path) -> dict[str, tuple[int, str]]:
    """Run commands in one process that cannot load ODBC; return code and output of each."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), json.dumps(commands)],
        env=clean_environment({**environment, "TABLE_NAME": "ssd_api_data_staging"}),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return {command: (code, said) for command, code, said in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("settings", [ODBC, TRUSTED], ids=["string", "trusted"])
def test_every_command_names_the_missing_package_and_ends_with_3(settings: dict[str, str], tmp_path: Path) -> None:
    # Without its kind of database, `init` and the other services know no trusted connection.
    commands = COMMANDS if settings is ODBC else ("run", "test-db-connection", "smoke", "sdr status")
    for command, (code, said) in tried(settings, commands, tmp_path).items():
        assert code == 3, (command, said)
        assert "(libodbc.so.2)" in said, (command, said)
        for package in ("apt-get install unixodbc", "dnf install unixODBC", "brew install unixodbc"):
            assert package in said, (command, said)
        assert "hidden-1" not in said, command
        assert "Traceback" not in said, command


def test_embedded_database_needs_no_odbc(tmp_path: Path) -> None:
    environment = {"DB_CONNECTION_STRING": f"sqlite:///{tmp_path / 'staging.db'}"}
    found = tried(environment, ("deploy-schema --apply", "status", "test-db-connection"), tmp_path)
    assert {code for code, _ in found.values()} == {0}, found


def test_install_page_names_the_package_of_each_system() -> None:
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    for words in ("apt-get install unixodbc", "dnf install unixODBC", "brew install unixodbc", "exit code 3"):
        assert words in page
