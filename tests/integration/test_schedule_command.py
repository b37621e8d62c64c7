"""`schedule`: printed, made, looked at and removed, with stand-ins for the schedulers' programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.commands import Completed, clean_environment, invoke_cli, run_cli
from tests.support.schedulers import NAMESPACE, split_command_line, stand_ins

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins are programs of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a working folder with a settings file, whose name has blanks and a percent sign."""
    path = tmp_path / "csc api 100%"
    path.mkdir()
    (path / ".env").write_text("CLIENT_SECRET=not-for-the-task\nTESTING_MODE=false\n", encoding="utf-8")
    return path


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    return stand_ins(tmp_path / "machine")


def calls(machine: dict[str, str]) -> list[list[str]]:
    text = (Path(machine["STAND_INS"]) / "calls.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def schedule(words: str, machine: dict[str, str], folder: Path) -> Completed:
    return invoke_cli(["schedule", *words.split()], machine, folder)


@pytest.mark.parametrize("kind", ["task-scheduler", "systemd", "systemd-user", "cron"])
def test_printing_makes_nothing_and_names_this_program_and_folder(
    kind: str, machine: dict[str, str], folder: Path
) -> None:
    done = schedule(f"--kind {kind} --at 01:15", machine, folder)
    assert (done.code, done.err) == (0, "")
    shown = done.out.replace("%%", "%").replace("\\%", "%")
    assert "d2i-csc-api" in shown
    assert str(folder / "run.log") in shown
    assert "not-for-the-task" not in shown
    assert not (Path(machine["STAND_INS"]) / "calls.jsonl").exists()


def test_task_that_would_send_nothing_is_printed_with_a_warning(machine: dict[str, str], tmp_path: Path) -> None:
    assert "there is no .env in" in schedule("--kind cron", machine, tmp_path).err
    (tmp_path / ".env").write_text("LA_CODE=845\n", encoding="utf-8")
    assert "TESTING_MODE is on in" in schedule("--kind cron", machine, tmp_path).err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "task.env given by --env-file does not exist"),
        ("TESTING_MODE=perhaps\n", "TESTING_MODE: expected true or false"),
        ("TESTING_MODE=false\nLA_CODE='845\n", "cannot be read (LA_CODE)"),
    ],
)
def test_settings_that_the_task_cannot_use_are_named(
    content: str | None, said: str, machine: dict[str, str], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "task.env").write_text(content, encoding="utf-8")
    warned = schedule("--kind cron --env-file task.env", machine, tmp_path).err
    assert said in warned
    assert "TESTING_MODE is on" not in warned


def test_options_of_the_call_go_into_the_task(machine: dict[str, str], folder: Path) -> None:
    done = schedule("--kind cron --env-file live.env --log-file /var/log/csc.log --stage", machine, folder)
    assert "--log-file /var/log/csc.log" in done.out
    assert f"--env-file '{folder}/live.env' --stage".replace("%", "\\%") in done.out


def test_home_folder_stands_for_its_sign_in_the_log_file_of_the_task(machine: dict[str, str], folder: Path) -> None:
    home = folder.parent / "home"
    done = schedule("--kind cron --log-file ~/csc.log", {**machine, "HOME": str(home)}, folder)
    assert f"--log-file {home}/csc.log " in done.out
    refused = schedule("--kind cron --log-file ~nobody-of-this-name/csc.log", machine, folder)
    assert (refused.code, refused.out) == (2, "")
    assert "--log-file: expected a path without ~" in refused.err


def test_cron_lines_are_replaced_and_removed_and_others_stay(machine: dict[str, str], folder: Path) -> None:
    table = Path(machine["STAND_INS"]) / "crontab"
    before = "MAILTO=ops\n5 4 * * * backup\n"
    table.write_text(before, encoding="utf-8")
    assert schedule("status --kind cron", machine, folder).code == 1
    for time in ("01:00", "03:00"):
        assert schedule(f"--kind cron --at {time} --install", machine, folder).code == 0
    installed = table.read_text(encoding="utf-8")
    assert installed.startswith(before)
    assert installed.count("d2i-csc-api run") == 1
    assert "\n0 3 * * * cd " in installed
    status = schedule("status --kind cron --json", machine, folder)
    assert (status.code, json.loads(status.out)["is_installed"]) == (0, True)
    assert "was removed" in schedule("remove --kind cron", machine, folder).out
    assert table.read_text(encoding="utf-8") == before
    assert "was not there" in schedule("remove --kind cron", machine, folder).out


def test_crontab_of_another_account_is_asked_for(machine: dict[str, str], folder: Path) -> None:
    assert schedule("--kind cron --account nobody --install", machine, folder).code == 0
    assert calls(machine) == [["crontab", "-u", "nobody", "-l"], ["crontab", "-u", "nobody", "-"]]


def test_timer_of_a_user_is_made_shown_and_removed(machine: dict[str, str], folder: Path) -> None:
    units = Path(machine["XDG_CONFIG_HOME"]) / "systemd" / "user"
    assert schedule("status --kind systemd-user", machine, folder).code == 1
    done = schedule("--kind systemd-user --install", machine, folder)
    assert (done.code, done.err) == (0, "")
    assert {path.name: path.stat().st_mode & 0o777 for path in units.iterdir()} == {
        "csc-api.service": 0o644,
        "csc-api.timer": 0o644,
    }
    assert ["systemctl", "--user", "enable", "--now", "csc-api.timer"] in calls(machine)
    status = schedule("status --kind systemd-user", machine, folder)
    assert status.code == 0
    assert "ExecMainStatus: 5" in status.out
    assert schedule("remove --kind systemd-user", machine, folder).code == 0
    assert list(units.iterdir()) == []


def test_task_scheduler_is_given_a_file_and_asks_for_the_password_itself(machine: dict[str, str], folder: Path) -> None:
    plain = folder.parent / "csc api"
    plain.mkdir()
    command = ["schedule", "--kind", "task-scheduler", "--account", "DOMAIN\\svc-csc-api", "--install"]
    done = run_cli(command, machine, plain)
    assert (done.code, "no .env" in done.err) == (0, True)
    (call,) = calls(machine)
    assert call[:5] == ["schtasks", "/Create", "/F", "/TN", "csc-api"]
    assert call[-4:] == ["/RU", "DOMAIN\\svc-csc-api", "/RP", "*"]
    assert not Path(call[6]).exists(), "the file is for schtasks alone"
    task = ElementTree.fromstring((Path(machine["STAND_INS"]) / "task.xml").read_bytes())
    (arguments,) = (element.text or "" for element in task.iter(f"{NAMESPACE}Arguments"))
    assert split_command_line(arguments)[-1] == str(plain / "reports")
    assert "Last Result: 0" in schedule("status --kind task-scheduler", machine, plain).out
    assert schedule("remove --kind task-scheduler", machine, plain).code == 0
    assert schedule("status --kind task-scheduler", machine, plain).code == 1


def test_managed_account_has_no_password(machine: dict[str, str], tmp_path: Path) -> None:
    done = invoke_cli(
        ["schedule", "--kind", "task-scheduler", "--account", "DOMAIN\\gmsa$", "--install"], machine, tmp_path
    )
    assert done.code == 0
    assert calls(machine)[0][-4:] == ["/RU", "DOMAIN\\gmsa$", "/RP", ""]


@pytest.mark.parametrize("account", ["NT AUTHORITY\\LOCAL SERVICE", "LocalService", "NT Authority\\LocalService"])
def test_account_of_windows_itself_is_named_by_its_identifier(
    machine: dict[str, str], tmp_path: Path, account: str
) -> None:
    done = invoke_cli(["schedule", "--kind", "task-scheduler", "--account", account, "--install"], machine, tmp_path)
    assert done.code == 0
    assert calls(machine)[0][-2:] == ["/RU", "S-1-5-19"]


def test_scheduler_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    done = invoke_cli(["schedule", "status", "--kind", "cron"], {"PATH": str(tmp_path)}, folder)
    assert done.code == 2
    assert "crontab was not found on this machine; choose another scheduler with --kind." in done.err


def test_scheduler_that_refuses_is_quoted(machine: dict[str, str], folder: Path) -> None:
    (Path(machine["STAND_INS"]) / "programs" / "crontab").write_text("#!/bin/sh\necho no room >&2; exit 3\n", "utf-8")
    done = schedule("--kind cron --install", machine, folder)
    assert (done.code, "crontab -l ended with code 3: no room" in done.err) == (1, True)


@pytest.mark.parametrize("missing", ["begin", "end"])
@pytest.mark.parametrize("action", ["status", "remove", "--install"])
def test_lines_of_other_jobs_stay_where_a_mark_of_ours_is_missing(
    missing: str, action: str, machine: dict[str, str], folder: Path
) -> None:
    schedule("--kind cron --install", machine, folder)
    crontab = Path(machine["STAND_INS"]) / "crontab"
    lines = [line for line in crontab.read_text("utf-8").splitlines() if not line.endswith(f": {missing}")]
    text = "\n".join([*lines, "0 1 * * * backup", ""])
    crontab.write_text(text, "utf-8")
    done = schedule(f"{action} --kind cron", machine, folder)
    assert done.code == 1
    assert "so it is not known which lines are the task's; nothing was changed." in done.err
    assert crontab.read_text("utf-8") == text


def test_working_folder_that_is_gone_is_named(machine: dict[str, str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    start = f"import os, sys; os.rmdir({str(gone)!r}); sys.argv[0] = 'd2i-csc-api'; "
    start += "from api_pipeline.cli import main; main(['schedule', '--kind', 'cron'])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", start], env=clean_environment(machine), capture_output=True, cwd=gone, text=True
    )
    assert (done.returncode, "The working folder cannot be used" in done.stderr) == (2, True)


def test_what_cron_would_start_is_the_nightly_run(folder: Path, machine: dict[str, str]) -> None:
    line = schedule("--kind cron", machine, folder).out.splitlines()[1]
    command = line.split(None, 5)[5].replace("\\%", "%")
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=clean_environment({}), capture_output=True, cwd="/", encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (2, ""), "the settings file names no database"
    assert "DB_CONNECTION_STRING is missing" in done.stderr
    assert str(folder / ".env") in done.stderr
