"""What this machine offers: the scheduler of its kind, the account, and the command that starts this program."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from api_pipeline.schedule.cron import Cron
from api_pipeline.schedule.job import ScheduledRun, SchedulerKind, start_times
from api_pipeline.schedule.machine import default_kind, is_mapped_drive, own_account, own_program, scheduler
from api_pipeline.schedule.task_scheduler import TaskScheduler


def test_command_that_starts_this_program_starts_it(tmp_path: Path) -> None:
    program = own_program()
    assert Path(program[0]).is_absolute()
    done = subprocess.run([*program, "--version"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "d2i-csc-api" in done.stdout


def test_script_beside_python_is_taken_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert own_program() == [str(tmp_path / "python"), "-m", "api_pipeline"]
    script = tmp_path / ("d2i-csc-api.exe" if os.name == "nt" else "d2i-csc-api")
    script.touch()
    assert own_program() == [str(script)]


def test_stand_alone_executable_starts_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "d2i-csc-api"))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert own_program() == [str(tmp_path / "d2i-csc-api")]


def test_drive_of_this_machine_is_no_mapped_one() -> None:
    assert not is_mapped_drive(os.environ.get("SYSTEMDRIVE", "C:"))


def test_drive_that_windows_calls_remote_is_a_mapped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"Z:\\": 4, "D:\\": 3}
    windows = SimpleNamespace(kernel32=SimpleNamespace(GetDriveTypeW=kinds.__getitem__))
    monkeypatch.setattr(ctypes, "windll", windows, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert [is_mapped_drive(drive) for drive in ("Z:", "D:")] == [True, False]


def test_default_is_a_scheduler_of_this_system() -> None:
    on_windows = default_kind() is SchedulerKind.TASK_SCHEDULER
    assert on_windows is (os.name == "nt")
    assert isinstance(scheduler(SchedulerKind.TASK_SCHEDULER, ""), TaskScheduler)


@pytest.mark.skipif(os.name == "nt", reason="cron is not there")
def test_own_account_is_not_named_to_cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    crontab = tmp_path / "crontab"
    crontab.write_text(f'#!/bin/sh\necho "$@" >> {told}\n', encoding="utf-8")
    crontab.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for account in (own_account(), "somebody-else"):
        cron = scheduler(SchedulerKind.CRON, account)
        assert isinstance(cron, Cron)
        cron.standing("csc-api")
    assert told.read_text(encoding="utf-8").splitlines() == ["-l", "-u somebody-else -l"]


@pytest.mark.skipif(os.name == "nt", reason="systemd is not there")
@pytest.mark.parametrize("base", ["", "/somewhere/config"])
def test_units_of_a_user_stand_in_the_folder_of_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", base)
    job = ScheduledRun("csc-api", ("/opt/d2i-csc-api", "run"), tmp_path, start_times(["02:00"]))
    own = scheduler(SchedulerKind.SYSTEMD_USER, "").text(job)
    assert own.startswith(f"# {base or tmp_path / '.config'}/systemd/user/csc-api.service\n")
    assert scheduler(SchedulerKind.SYSTEMD, "").text(job).startswith("# /etc/systemd/system/csc-api.service\n")
