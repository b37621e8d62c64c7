"""What a command's logs look like to those who collect them: files, syslog, the Event Log; contract 6."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path

import pytest

from api_pipeline import __version__
from api_pipeline.logs.handlers import LogOptions, set_up_logging
from api_pipeline.logs.redaction import Redactor
from api_pipeline.sandbox.simulator import Fault, FaultTarget
from tests.support.commands import invoke_cli
from tests.support.databases import TestDatabase
from tests.support.world import World

# As much of pywin32 as the standard library's handler uses, which notes what it would have told Windows.
_EVENT_LOG_UTILITIES = """
seen = []
def AddSourceToRegistry(name, library, log):
    seen.append(("source", name, log))
def ReportEvent(name, message_id, category, kind, texts):
    seen.append((name, kind, texts[0]))
"""
_EVENT_LOG = "EVENTLOG_ERROR_TYPE, EVENTLOG_WARNING_TYPE, EVENTLOG_INFORMATION_TYPE = 1, 2, 4"

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_json_log_has_one_event_a_line_with_the_run_id(world: World) -> None:
    world.stage(3)
    done = world.run("--log-file", "run.log", LOG_FORMAT="json")
    assert done.code == 0, done.text

    events = [json.loads(line) for line in (world.folder / "run.log").read_text(encoding="utf-8").splitlines()]
    (run_id,) = world.database.rows("SELECT run_id FROM ssd_api_runs")[0]
    assert len(events) > 1
    assert {event["run_id"] for event in events} == {run_id}
    assert {event["mode"] for event in events} == {"live"}
    assert all(event["level"] in ("INFO", "WARNING") and event["time"] and event["message"] for event in events)


def test_log_file_appends_and_names_each_run(world: World) -> None:
    for night in range(3):
        world.stage(1, first=night)
        assert world.run("--log-file", "run.log").code == 0

    text = (world.folder / "run.log").read_text(encoding="utf-8")
    runs = set(re.findall(r"(?m)^\S+ [A-Z]+ ([0-9a-f-]{36}) ", text))
    assert len(runs) == 3
    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+ [A-Z]+ [0-9a-f-]{36} ", line) for line in text.splitlines())


def test_unwritable_log_file_ends_the_run_before_sending(world: World) -> None:
    world.stage(1)
    done = world.run("--log-file", str(world.folder / "nowhere" / "run.log"))

    assert done.code == 2
    assert "LOG_FILE" in done.err
    assert world.requests() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has an Event Log")
@pytest.mark.parametrize("kept", ["database", "settings"])
@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        (["status", "--log-file"], "LOG_FILE"),
        (["validate", "--csv"], "--csv"),
        (["stage", "--issues-csv"], "--issues-csv"),
        (["run", "--testing"], "METRICS_FILE"),
        (["sdr", "config", "--log-file"], "LOG_FILE"),
    ],
)
def test_database_and_settings_file_are_not_written_over(
    deployed: TestDatabase, tmp_path: Path, kept: str, arguments: list[str], setting: str
) -> None:
    (tmp_path / "link.db").symlink_to(deployed.settings["DB_CONNECTION_STRING"].removeprefix("sqlite:///"))
    (tmp_path / ".env").write_text("LOG_FORMAT=text\n", encoding="utf-8")
    path = tmp_path / ("link.db" if kept == "database" else ".env")
    before = path.read_bytes()
    given = {"METRICS_FILE": str(path)} if setting == "METRICS_FILE" else {}

    refused = invoke_cli([*arguments, *([] if given else [str(path)])], {**deployed.settings, **given}, tmp_path)

    assert refused.code == 2, refused.text
    assert f"{setting}: expected another file than the {kept} file, got" in refused.err
    assert path.read_bytes() == before


def test_event_log_outside_windows_ends_the_run_before_sending(world: World) -> None:
    world.stage(1)
    done = world.run(LOG_TO="eventlog")

    assert done.code == 2
    assert 'needs Windows and the package pywin32 (pip install "csc_api_pipeline-' in done.err
    assert f'"csc_api_pipeline-{__version__}-py3-none-any.whl[eventlog]"' in done.err
    assert world.requests() == 0


@pytest.mark.usefixtures("database")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has an Event Log of its own")
def test_event_log_gets_each_event_by_level_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "win32evtlogutil.py").write_text(_EVENT_LOG_UTILITIES, encoding="ascii")
    (tmp_path / "win32evtlog.py").write_text(_EVENT_LOG, encoding="ascii")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "platform", "win32")
    log = logging.getLogger("api_pipeline.delivery.run")
    with set_up_logging(LogOptions("run-9", log_to="eventlog"), None, Redactor(["hush-hush"])):
        log.info("batch 3 accepted")
        log.warning("batch 4 hush-hush")
        log.error("batch 5 lost")
    monkeypatch.undo()

    source, *events = sys.modules["win32evtlogutil"].seen
    assert source == ("source", "d2i-csc-api", "Application")
    assert [(name, kind) for name, kind, _ in events] == [("d2i-csc-api", 4), ("d2i-csc-api", 2), ("d2i-csc-api", 1)]
    assert events[1][2].endswith(" WARNING run-9 batch 4 ***")


def test_failed_run_is_an_error_in_the_log_with_its_exit_code(world: World) -> None:
    world.stage(1)
    world.server.simulator.add_fault(Fault(target=FaultTarget.TOKEN, status=401, times=None))
    assert world.run("--log-file", "run.log").code == 4
    assert world.run("--log-file", "run.log", DB_CONNECTION_STRING=f"sqlite:///{world.folder}/gone.db").code == 3
    world.server.simulator.clear_faults()
    assert world.run("--log-file", "run.log").code == 0
    lines = (world.folder / "run.log").read_text(encoding="utf-8").splitlines()
    ends = [line.split()[1] for line in lines if re.search(r"with exit code [034]\b", line)]
    assert ends == ["ERROR", "ERROR", "INFO"]


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_error_that_ended_a_run_is_said_in_full_once(world: World, options: list[str]) -> None:
    world.stage(1)
    world.server.simulator.add_fault(Fault(target=FaultTarget.TOKEN, status=401, times=None))

    done = world.run(*options)

    assert done.code == 4
    assert done.err.splitlines()[-1].startswith("Error: The token service refused the credentials")
    assert done.out.splitlines()[-1].startswith("Result: the run ended early: access was refused")
    assert done.text.count("The token service refused the credentials") == 1
