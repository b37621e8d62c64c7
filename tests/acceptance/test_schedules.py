"""The ready files for schedulers: well formed, and what they start is silent, safe and told by its exit code."""

import itertools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from api_pipeline import errors
from tests.support.commands import ROOT, Completed, run_cli
from tests.support.databases import TestDatabase, missing
from tests.support.schedulers import KNOWN, NAMESPACE
from tests.support.staging import fill, staged

SCHEDULES = ROOT / "docs" / "schedules"
FOLDER = "C:\\csc-api"
# As the release names it (contract 1), and as the workflow builds it.
EXECUTABLE = "csc_api_pipeline.exe"
PAGE = (ROOT / "docs" / "schedule.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def text(name: str) -> str:
    return (SCHEDULES / name).read_text(encoding="utf-8")


def task() -> ElementTree.Element:
    return ElementTree.fromstring(text("csc-api.xml"))


def element(name: str) -> str:
    (found,) = task().iter(NAMESPACE + name)
    return found.text or ""


def windows_command(folder: Path) -> list[str]:
    # The folder is the test's own; a Windows path in it becomes one of this system.
    arguments = element("Arguments").replace("C:\\csc-api", folder.as_posix()).replace("\\", "/")
    assert element("Command") == f"{FOLDER}\\{EXECUTABLE}"
    return shlex.split(arguments)


def systemd_command(folder: Path) -> list[str]:
    (line,) = re.findall(r"^ExecStart=(.*)$", text("csc-api.service"), re.MULTILINE)
    program, *arguments = shlex.split(line.replace("/var/lib/csc-api", folder.as_posix()))
    assert program == "/opt/csc-api/bin/d2i-csc-api"
    return arguments


def cron_command(_folder: Path) -> list[str]:
    line = text("csc-api.cron").splitlines()[-1]
    when, command = re.split(r"\s+csc-api\s+(?=cd )", line)
    assert len(when.split()) == 5
    change, _, start = command.partition(" && ")
    assert change == "cd /var/lib/csc-api"
    assert "%" not in command, "cron takes a percent sign for the end of the command"
    return shlex.split(start)[1:]


COMMANDS = [windows_command, systemd_command, cron_command]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_scheduled_command_is_silent_and_leaves_log_and_report(
    deployed: TestDatabase, tmp_path: Path, command: Callable[[Path], list[str]]
) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2")])
    folder = tmp_path / "csc-api"
    folder.mkdir()
    (folder / ".env").write_text("\n".join(f"{name}={value}" for name, value in deployed.settings.items()), "utf-8")
    (folder / ".env").chmod(0o600)
    done = start(command(folder), folder)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (folder / "run.log").read_text(encoding="utf-8").strip()
    (report,) = (folder / "reports").glob("csc-api-run-*.html")
    assert (folder / "reports" / "index.html").is_file()
    assert "Every due record passed in testing mode" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_scheduled_command_reports_an_error_by_code_and_message(
    tmp_path: Path, command: Callable[[Path], list[str]]
) -> None:
    done = start(command(tmp_path), tmp_path)
    assert done.code == 2
    assert "DB_CONNECTION_STRING" in done.err


def start(arguments: list[str], folder: Path) -> Completed:
    """Start the program as a scheduler does: in the folder, without a terminal, with next to no environment."""
    return run_cli(arguments, {}, folder)


def test_the_task_has_only_elements_that_task_scheduler_knows() -> None:
    waiting = [task()]
    assert waiting[0].tag == NAMESPACE + "Task"
    assert waiting[0].attrib == {"version": "1.2"}
    while waiting:
        parent = waiting.pop()
        allowed = KNOWN.get(parent.tag.removeprefix(NAMESPACE), "").split()
        names = [child.tag.removeprefix(NAMESPACE) for child in parent]
        assert set(names) <= set(allowed), parent.tag
        waiting.extend(parent)


def test_the_task_file_can_be_read_whatever_the_code_page() -> None:
    raw = (SCHEDULES / "csc-api.xml").read_bytes()
    assert raw.isascii()
    assert b"encoding=" not in raw.splitlines()[0], "schtasks takes a file that claims another encoding for malformed"


def test_task_starts_after_a_missed_start_but_never_twice() -> None:
    assert element("MultipleInstancesPolicy") == "IgnoreNew"
    assert element("StartWhenAvailable") == "true"
    assert element("RunLevel") == "LeastPrivilege"
    assert element("LogonType") == "Password"


def test_systemd_accepts_unit_and_timer(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        missing("systemd is not installed")
    for name in ("csc-api.service", "csc-api.timer"):
        # What is checked is the file: the program and the account need not be on this machine.
        unit = text(name).replace("/opt/csc-api/bin/d2i-csc-api", sys.executable).replace("User=csc-api", "User=root")
        (tmp_path / name).write_text(unit, encoding="utf-8")
    command = [program, "verify", "--man=no", "--recursive-errors=no"]
    command += [str(tmp_path / "csc-api.service"), str(tmp_path / "csc-api.timer")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_page_shows_the_files_as_they_are() -> None:
    assert text("csc-api.cron").splitlines()[-1] in PAGE
    for name in ("csc-api.xml", "csc-api.service", "csc-api.timer", "csc-api.cron"):
        assert f"(schedules/{name})" in PAGE


def test_the_one_line_for_schtasks_is_short_enough_and_names_whole_paths() -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith("schtasks") and "/TR" in line]
    (started,) = re.findall(r'/TR "([^"]*)"', line)
    assert len(started) <= 261, "schtasks takes no more"
    program, *arguments = started.split()
    assert program == f"{FOLDER}\\{EXECUTABLE}"
    assert all(value.startswith("C:\\") for option, value in itertools.pairwise(arguments) if "-file" in option)


def test_every_exit_code_is_explained_with_what_task_scheduler_shows() -> None:
    faults = [fault for fault in vars(errors).values() if isinstance(fault, type)]
    codes = {fault.exit_code for fault in faults if issubclass(fault, errors.PipelineError)} | {0}
    (sentence,) = [line for line in RESULTS.splitlines() if line.startswith("Task Scheduler shows the codes")]
    shown = {int(code, 16) for code in re.findall(r"`(0x\w+)`", sentence)}
    said = {int(code) for code in re.findall(r"\b(\d+)\b", re.sub(r"`.*?`", "", sentence))}
    assert shown == said
    (first, last) = re.search(r"(\d+) to (\d+) as", sentence).groups()  # type: ignore[union-attr] # it is there
    assert {*range(int(first), int(last) + 1), *said} == codes
