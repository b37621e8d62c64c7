"""The units of systemd and the lines of cron: what they hold is what is started, whatever signs are in a path."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.schedule.cron import Cron
from api_pipeline.schedule.job import ScheduledRun, start_times
from api_pipeline.schedule.systemd import Systemd
from tests.support.databases import missing

AWKWARD = "nightly run 100% of $HOME \"and\" 'more' \\x;y"
NEEDS_POSIX = pytest.mark.skipif(os.name == "nt", reason="systemd and cron are not on Windows")


def job(folder: Path, program: Path, *arguments: str) -> ScheduledRun:
    return ScheduledRun("csc-api", (str(program), *arguments), folder, start_times(["02:00", "05:00", "12:30"]), "root")


def witness(folder: Path) -> Path:
    """Make a program that writes down its arguments and its working folder."""
    program = folder / "witness"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], os.getcwd()]))\n", encoding="utf-8"
    )
    program.chmod(0o755)
    return program


@NEEDS_POSIX
def test_cron_line_starts_the_program_with_its_arguments_word_for_word(tmp_path: Path) -> None:
    folder = tmp_path / AWKWARD
    folder.mkdir()
    text = Cron().text(job(folder, witness(folder), "run", str(folder / "run.log")))
    _, line, other, _ = text.splitlines()
    assert line.startswith("0 2,5 * * * ")
    assert other.startswith("30 12 * * * ")
    # cron ends the command at a % that has no \ before it, and takes that \ away; then /bin/sh has it.
    command = re.split(r"(?<!\\)%", line.split(None, 5)[5])[0].replace("\\%", "%")
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True, cwd="/")
    assert json.loads(done.stdout) == [["run", str(folder / "run.log")], str(folder)]


@NEEDS_POSIX
@pytest.mark.parametrize("is_user", [True, False])
def test_systemd_accepts_service_and_timer(tmp_path: Path, is_user: bool) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        missing("systemd is not installed")
    folder = tmp_path / "nightly run 100% of all"
    folder.mkdir()
    files = Systemd(tmp_path, is_user=is_user).files(job(folder, witness(folder), "run", AWKWARD))
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [program, "verify", "--man=no", "--recursive-errors=no", *(["--user"] if is_user else [])]
    done = subprocess.run(
        [*command, *(str(tmp_path / name) for name in files)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_systemd_takes_no_sign_of_a_path_for_a_variable() -> None:
    files = Systemd(Path("/units"), is_user=False).files(job(Path("/srv/a%b c"), Path("/opt/x y/run"), "$HOME%t", "\\"))
    service = files["csc-api.service"]
    assert "WorkingDirectory=/srv/a%%b c\n" in service
    assert 'ExecStart="/opt/x y/run" $$HOME%%t "\\\\"\n' in service
    assert 'ReadWritePaths="-/srv/a%%b c"\n' in service
    assert "ProtectHome=yes" in service


def test_timer_makes_up_for_a_missed_start() -> None:
    timer = Systemd(Path("/units"), is_user=False).files(job(Path("/srv"), Path("/opt/run")))["csc-api.timer"]
    assert "Persistent=true\n" in timer
    assert re.findall(r"OnCalendar=\*-\*-\* (.*)", timer) == ["02:00:00", "05:00:00", "12:30:00"]


@pytest.mark.parametrize("place", ["/home/csc/x", "/tmp/x"])
def test_a_unit_hides_no_folder_that_the_run_uses(place: str) -> None:
    service = Systemd(Path("/units"), is_user=False).files(job(Path(place), Path("/opt/run")))["csc-api.service"]
    assert ("ProtectHome=yes" in service, "PrivateTmp=yes" in service) == ("/tmp" in place, "/home" in place)


@pytest.mark.parametrize("name", ["a$b", "a'b", 'a"b', "a\\b"])
def test_program_that_systemd_would_refuse_is_refused_first(name: str) -> None:
    with pytest.raises(SettingsError, match="in the program's path"):
        Systemd(Path("/units"), is_user=True).text(job(Path("/srv"), Path("/opt") / name))


@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "a\tb\x7f", "d\udcfcr"])
def test_no_scheduler_takes_a_line_end_or_a_foreign_byte_in_a_path(text: str) -> None:
    for scheduler in (Cron(), Systemd(Path("/units"), is_user=True)):
        with pytest.raises(SettingsError, match="line end, control character or byte"):
            scheduler.text(job(Path("/srv") / text, Path("/opt/run")))
