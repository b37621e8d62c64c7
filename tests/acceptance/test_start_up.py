"""What the program loads before it does anything: a help text must not wait for drivers, HTTP and JSON Schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

_LOADED = """
import json, sys
before = set(sys.modules)
from api_pipeline.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print()
print(json.dumps([code or 0, sorted(set(sys.modules) - before)]))
"""
_LOADED_BY_EACH = """
import json, sys
before = set(sys.modules)
from api_pipeline.cli import main
found = []
for words in json.loads(sys.argv[1]):
    try:
        code = main([*words, "--help"])
    except SystemExit as end:
        code = end.code
    found.append([words, code or 0, sorted(set(sys.modules) - before)])
    before |= set(sys.modules)
print()
print(json.dumps(found))
"""
_OURS = {
    *("api_pipeline", "api_pipeline._version", "api_pipeline.cli", "api_pipeline.commands"),
    *("api_pipeline.commands.common", "api_pipeline.commands.hints", "api_pipeline.commands.lazy_group"),
    "api_pipeline.errors",
    *("api_pipeline.common", "api_pipeline.common.private_files", "api_pipeline.common.terminal"),
    *("api_pipeline.logs", "api_pipeline.logs.output", "api_pipeline.logs.plain_text"),
}
# Loaded by a command of that kind when it works, never for its help.
_SLOW = {
    *("pyodbc", "sqlite3", "requests", "urllib3", "ssl", "http", "jsonschema_rs", "orjson", "keyring", "truststore"),
    *("dotenv", "tenacity", "email", "logging", "asyncio", "jinja2", "rich"),
}
HELP = [
    *([name] for name in ("run", "stage", "status", "anonymise", "requeue", "deploy-schema", "secrets", "demo")),
    *(["sdr"], ["sdr", "submit"], ["sdr", "returns"], ["xporter"], ["xporter", "collect"], ["xporter", "schools"]),
]


def loaded(*arguments: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """Return the modules that a call of the program loads beyond those of a bare Python."""
    command = [sys.executable, "-c", _LOADED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return set(modules)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_load_click_and_a_dozen_small_modules(option: str) -> None:
    found = loaded(option)

    assert {name for name in found if name.startswith("api_pipeline")} == _OURS
    packages = {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names)
    assert packages == {"api_pipeline", "click"}
    assert not {name.partition(".")[0] for name in found} & _SLOW


def test_help_of_a_command_loads_no_driver_and_no_client() -> None:
    command = [sys.executable, "-c", _LOADED_BY_EACH, json.dumps(HELP)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout.splitlines()[-1])

    assert [words for words, _, _ in found] == HELP, done.stderr
    assert [words for words, code, _ in found if code != 0] == []
    # What one help text loads, those after it have as well: the first one is named.
    slow = [(words, _SLOW & {name.partition(".")[0] for name in names}) for words, _, names in found]
    assert [(words, names) for words, names in slow if names] == []


def test_status_loads_no_client_no_planner_and_no_store_of_secrets(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'staging.db'}"
    environment = {**os.environ, "DB_CONNECTION_STRING": address, "PYTHON_KEYRING_BACKEND": ""}
    environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
    loaded("deploy-schema", "--apply", environment=environment)

    found = loaded("status", environment=environment)

    assert "api_pipeline.outbox.status" in found
    assert "logging.handlers" not in found
    assert not found & {"api_pipeline.assembly.run", "api_pipeline.delivery.planner", "api_pipeline.diagnostics.steps"}
    assert not {name.partition(".")[0] for name in found} & {"requests", "urllib3", "ssl", "tenacity", "jsonschema_rs"}
    if sys.platform.startswith("linux"):
        assert "keyring" not in found


def test_sending_loads_nothing_that_only_a_refused_record_needs() -> None:
    loading = "import api_pipeline.assembly.run, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, timeout=60, check=True)
    found = set(json.loads(done.stdout))

    assert "api_pipeline.csc_api.answers" in found
    assert not found & {"api_pipeline.csc_api.error_paths", "html", "jinja2", "rich", "keyring", "pyodbc"}
