"""The Python interface gives what the commands print, with the same safety catches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import api_pipeline
from api_pipeline import as_table, diagnose, load_settings, make_trial_database, rehearse, run, status, validate
from api_pipeline.errors import DatabaseError, SettingsError
from api_pipeline.reports.result_tables import Table
from api_pipeline.sandbox.simulator import Conditions, Options, Simulator, SimulatorServer
from api_pipeline.settings.definitions import SETTINGS
from api_pipeline.settings.model import Settings
from tests.support.commands import clean_environment
from tests.support.databases import TestDatabase
from tests.support.staging import child, fill, staged, table_rows
from tests.support.world import live_settings

LIVE = "ssd_api_data_staging"


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for setting in SETTINGS:
        for name in (setting.name, *setting.aliases):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.chdir(tmp_path)


def trial(children: int = 300) -> Settings:
    return load_settings(DB_CONNECTION_STRING=make_trial_database("trial.db", children), TABLE_NAME=LIVE)


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import sys, api_pipeline; print([name for name in sys.modules if name.startswith('api_pipeline.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment({}), capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "['api_pipeline._version']"


def test_every_name_of_the_interface_can_be_taken_from_the_package() -> None:
    for name in api_pipeline.__all__:
        assert getattr(api_pipeline, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = api_pipeline.no_such_name


def test_a_rehearsal_leaves_every_due_row_testing_and_says_what_it_found() -> None:
    settings = trial()

    result = rehearse(settings)

    after = {(row.row_state, row.submission_status): row.rows for row in status(settings).counts}
    assert (result.is_testing, result.exit_code, result.rejected) == (True, 1, 2)
    assert result.due == result.accepted + result.rejected
    assert sum(rows for (_, word), rows in after.items() if word == "testing") == result.accepted
    assert ("new", "sent") not in after
    assert [count.rows for count in result.counts][:2] == [result.due, result.accepted]
    assert "2 records are in error" in result.result


def test_rehearsal_sends_nothing_with_live_settings(database: TestDatabase) -> None:
    database.deploy()
    fill(database, database.table, [staged("P1")])
    with SimulatorServer() as server:
        settings = load_settings(**database.settings, **live_settings(server))
        assert not settings.testing_mode
        result = rehearse(settings)
        assert server.simulator.all_held() == {}
    assert (result.is_testing, result.accepted) == (True, 1)
    assert [row["submission_status"] for row in table_rows(database, database.table)] == ["testing"]


@pytest.mark.strict
def test_a_live_run_sends_and_writes_back(database: TestDatabase) -> None:
    database.deploy()
    fill(database, database.table, [staged("P1"), staged("P2"), staged("P3")])
    with SimulatorServer() as server:
        settings = load_settings(**database.settings, **live_settings(server))
        first, second = run(settings, limit=2), run(settings, person_id="P3")
        assert set(server.simulator.all_held()) == {"P1", "P2", "P3"}
    assert [(one.accepted, one.exit_code) for one in (first, second)] == [(2, 0), (1, 0)]
    assert {row["submission_status"] for row in table_rows(database, database.table)} == {"sent"}
    assert [past.accepted for past in status(settings).runs] == [1, 2]


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself an interrupt on Windows")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_interrupt_writes_back_what_is_in_flight(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [staged(f"P{number}") for number in range(40)])
    with SimulatorServer(Simulator(Options(conditions=Conditions(latency_s=0.3)))) as server:
        settings = load_settings(**deployed.settings, **live_settings(server), BATCH_SIZE=1)

        def interrupt() -> None:
            while not server.simulator.all_held():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        before = signal.getsignal(signal.SIGINT)
        result = run(settings)
        held = set(server.simulator.all_held())
    rows = table_rows(deployed, deployed.table)
    assert result.exit_code == 130
    assert 0 < result.not_tried < 40
    assert {row["person_id"] for row in rows if row["submission_status"] == "sent"} == held
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_findings_name_rule_place_and_people_and_no_value(deployed: TestDatabase, tmp_path: Path) -> None:
    broken = child("P2", child_details={"first_name": "Secretname", "sex": "Unexpected"})
    fill(deployed, deployed.table, [staged("P1"), staged("P2", broken)])
    settings = load_settings(**deployed.settings)

    result = validate(settings, csv_path=tmp_path / "findings.csv")

    (finding,) = [rule for rule in result.rules if rule.severity == "schema"]
    assert (result.rows, result.refused_rows) == (2, 1)
    assert (finding.rule, finding.place, finding.examples) == ("maxLength", "$.child_details.sex", ("P2",))
    written = (tmp_path / "findings.csv").read_text(encoding="utf-8-sig")
    assert "P2" in written
    assert "Unexpected" not in str(as_table(result.rules)) + written


def test_diagnostics_list_each_step_as_a_row_without_secrets(database: TestDatabase) -> None:
    database.deploy()
    with SimulatorServer() as server:
        settings = load_settings(**database.settings, **live_settings(server))
        rows = diagnose(settings)
    assert {row.test for row in rows} == {"test-db-connection", "test-schema", "test-endpoint"}
    assert {row.status for row in rows} <= {"ok", "remark", "skipped"}
    assert settings.client_secret not in repr(rows)
    assert settings.supplier_key not in repr(rows)


def test_diagnostics_say_what_is_wrong_and_that_no_receiver_is_set() -> None:
    rows = diagnose(load_settings(DB_CONNECTION_STRING="sqlite:///no-such-file.db"))
    by_test = {row.test: row for row in rows}
    assert by_test["test-db-connection"].status == "failed"
    assert by_test["test-endpoint"].status == "skipped"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_limit_may_be_a_whole_number_of_another_library(deployed: TestDatabase) -> None:
    class Number:
        def __index__(self) -> int:
            return 2

    fill(deployed, deployed.table, [staged("P1"), staged("P2"), staged("P3")])
    assert rehearse(load_settings(**deployed.settings), limit=Number()).accepted == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("selection", "named"), [({"limit": 0}, "limit: "), ({"limit": "3"}, "limit: "), ({"person_id": " "}, "person_id ")]
)
def test_selection_that_would_take_no_row_is_an_error(selection: dict[str, Any], named: str, tmp_path: Path) -> None:
    settings = load_settings(DB_CONNECTION_STRING=make_trial_database(tmp_path / "trial.db", 3))
    with pytest.raises(SettingsError, match=f"^{named}"):
        rehearse(settings, **selection)


def test_unknown_setting_name_is_reported() -> None:
    with pytest.raises(SettingsError, match="TABEL_NAME is not a setting"):
        load_settings(TABEL_NAME="x")


def test_live_settings_pass_the_same_safety_checks() -> None:
    with pytest.raises(SettingsError, match="API_ENDPOINT"):
        load_settings(DB_CONNECTION_STRING="sqlite:///x.db", TESTING_MODE=False)


def test_unusable_database_raises_the_same_error_as_the_command() -> None:
    settings = load_settings(DB_CONNECTION_STRING="sqlite:///no-such-file.db")
    for action in (rehearse, validate, status):
        with pytest.raises(DatabaseError):
            action(settings)


def test_existing_sample_database_is_never_overwritten(tmp_path: Path) -> None:
    make_trial_database(tmp_path / "one" / "trial.db", 5)
    with pytest.raises(SettingsError, match="is there already"):
        make_trial_database(tmp_path / "one" / "trial.db", 5)


def test_rows_show_as_a_table_on_a_console_and_in_a_notebook() -> None:
    table = Table(("person id", "answer"), [("P1", "a < b"), ("P22", "")])
    assert str(table) == "person id  answer\nP1         a < b\nP22"
    assert "<td>a &lt; b</td>" in table._repr_html_()
    assert str(as_table([])) == ""
