"""The four tests of the surroundings as an operator runs them: by the installed command, as text and for machines."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultTarget, SimulatorServer
from tests.support.commands import Completed, clean_environment, run_cli
from tests.support.databases import TestDatabase, missing
from tests.support.ports import closed_port
from tests.support.staging import fill, staged, table_rows
from tests.support.world import live_settings

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def settings(deployed: TestDatabase, server: SimulatorServer) -> dict[str, str]:
    """Return the settings of a council with whom all is well, and a pending row that nobody may touch."""
    fill(deployed, deployed.table, [staged("P1")])
    return {**deployed.settings, **live_settings(server)}


def installed(args: list[str], settings: dict[str, str], folder: Path) -> Completed:
    """Run the command as pip installed it."""
    scripts = Path(sysconfig.get_path("scripts"))
    program = next((path for path in scripts.glob("d2i-csc-api*")), None)
    if program is None:
        missing("the command d2i-csc-api is not installed in this environment")
    done = subprocess.run(
        [program, *args],
        env=clean_environment(settings),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    return Completed(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("command", "last", "start"),
    [
        ("test-db-connection", "test-db-connection: passed", run_cli),
        ("test-schema", "test-schema: passed", run_cli),
        ("test-endpoint", "test-endpoint: passed", run_cli),
        ("smoke", "smoke: all passed", run_cli),
        ("run-smoke", "smoke: all passed", installed),
    ],
)
def test_installed_command_passes_where_all_is_well(
    command: str, last: str, start: Callable[..., Completed], settings: dict[str, str], tmp_path: Path
) -> None:
    done = start([command], settings, tmp_path)

    assert (done.code, done.err) == (0, ""), done.text
    assert done.out.splitlines()[-1] == last
    assert done.out.isascii()


def test_smoke_runs_all_three_and_sums_up(settings: dict[str, str], tmp_path: Path) -> None:
    lines = run_cli(["smoke"], settings, tmp_path).out.splitlines()

    assert [line for line in lines if line.startswith("test-") and ":" not in line] == [
        *("test-db-connection", "test-schema", "test-endpoint")
    ]
    at = lines.index("Summary")
    assert [line.split()[:2] for line in lines[at + 1 : -1]] == [
        ["test-db-connection", "ok"],
        ["test-schema", "ok"],
        ["test-endpoint", "ok"],
    ]


def test_no_test_touches_a_row_or_sends_a_record(
    settings: dict[str, str], deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    before = table_rows(deployed, deployed.table)
    for command in ("test-db-connection", "test-schema", "test-endpoint", "smoke"):
        assert run_cli([command], settings, tmp_path).code == 0

    assert table_rows(deployed, deployed.table) == before
    stats = server.simulator.stats()
    assert (stats.requests, stats.records_accepted, stats.batches_accepted) == (2, 0, 0)
    assert deployed.count("ssd_api_runs") == 0
    assert deployed.count("ssd_api_submission_log") == 0


def test_smoke_continues_after_an_error_and_returns_its_code(
    settings: dict[str, str], server: SimulatorServer, tmp_path: Path
) -> None:
    server.simulator.add_fault(Fault(target=FaultTarget.TOKEN, status=401, times=None))
    refused = run_cli(["smoke"], settings, tmp_path)
    assert refused.code == 4, refused.text
    assert refused.out.splitlines()[-1] == "smoke: exit code 4"

    no_database = {**settings, "DB_CONNECTION_STRING": f"sqlite:///{tmp_path / 'nowhere.db'}"}
    both = run_cli(["smoke"], no_database, tmp_path)
    assert both.code == 3, both.text
    assert both.out.count("failed at connect (exit code 3)") == 4
    assert both.out.count("failed at token (exit code 4)") == 2


def test_smoke_json_contains_all_three(settings: dict[str, str], tmp_path: Path) -> None:
    closed = {**settings, "API_ENDPOINT": f"https://127.0.0.1:{closed_port()}"}
    done = run_cli(["smoke", "--json"], closed, tmp_path)

    document = json.loads(done.out)
    assert (done.code, document["exit_code"], document["ok"]) == (5, 5, False)
    assert [(test["test"], test["ok"]) for test in document["tests"]] == [
        ("test-db-connection", True),
        ("test-schema", True),
        ("test-endpoint", False),
    ]
    assert document["tests"][2]["steps"][-1]["name"] == "TCP"
    assert "refused" in document["tests"][2]["steps"][-1]["detail"]


def test_smoke_json_shows_the_database_as_its_own_test_does(settings: dict[str, str], tmp_path: Path) -> None:
    alone = json.loads(run_cli(["test-db-connection", "--json"], settings, tmp_path).out)
    first = json.loads(run_cli(["smoke", "--json"], settings, tmp_path).out)["tests"][0]
    assert [step["detail"] for step in first["steps"]] == [step["detail"] for step in alone["steps"]]


@pytest.mark.parametrize("command", ["test-db-connection", "test-schema", "test-endpoint"])
def test_text_and_json_say_the_same(command: str, settings: dict[str, str], tmp_path: Path) -> None:
    text = run_cli([command], settings, tmp_path)
    steps = json.loads(run_cli([command, "--json"], settings, tmp_path).out)["steps"]

    heads = [line.split()[0] for line in text.out.splitlines()[1:-1] if line[2:3] != " "]
    assert heads == [step["name"].split()[0] for step in steps]
    for step in steps:
        assert all(line in text.out for line in step["detail"].splitlines())
        assert step["seconds"] >= 0


def test_smoke_in_testing_mode_skips_an_unset_endpoint_and_tests_the_rest(
    deployed: TestDatabase, tmp_path: Path
) -> None:
    text = run_cli(["smoke"], deployed.settings, tmp_path)
    assert text.code == 0, text.text
    assert text.out.splitlines()[-1] == "smoke: all passed, test-endpoint was skipped"
    document = json.loads(run_cli(["smoke", "--json"], deployed.settings, tmp_path).out)
    assert document["tests"][2]["steps"][0]["status"] == "skipped"


def test_smoke_tests_the_database_if_settings_of_the_endpoint_are_missing(
    deployed: TestDatabase, server: SimulatorServer, tmp_path: Path
) -> None:
    live = {**deployed.settings, "TESTING_MODE": "false"}
    done = run_cli(["smoke", "--json"], live, tmp_path)

    document = json.loads(done.out)
    assert (done.code, document["exit_code"]) == (2, 2)
    assert [test["ok"] for test in document["tests"]] == [True, True, False]
    assert "API_ENDPOINT is missing" in document["tests"][2]["steps"][0]["detail"]
    assert server.simulator.stats().token_requests == 0


def test_smoke_ends_at_wrong_settings_of_the_database(database: TestDatabase, tmp_path: Path) -> None:
    wrong = {"DB_CONNECTION_STRING": database.connection_string, "BATCH_SIZE": "x"}
    done = run_cli(["smoke", "--json"], wrong, tmp_path)

    document = json.loads(done.out)
    assert (done.code, document["exit_code"]) == (2, 2)
    assert "BATCH_SIZE: expected" in document["tests"][0]["steps"][0]["detail"]


def test_quiet_prints_nothing_on_success_and_everything_on_failure(
    settings: dict[str, str], server: SimulatorServer, tmp_path: Path
) -> None:
    for command in ("test-db-connection", "test-schema", "test-endpoint", "smoke"):
        assert run_cli([command, "--quiet"], settings, tmp_path).text == ""

    server.simulator.change(refuse_supplier_key=True)
    done = run_cli(["smoke", "--quiet"], settings, tmp_path)
    assert done.code == 4
    assert "The receiver refused access (HTTP 403)" in done.out
    assert done.out.splitlines()[-1] == "smoke: exit code 4"
