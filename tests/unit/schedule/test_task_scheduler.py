"""The XML for Task Scheduler: parsed, and checked against the elements and words of Microsoft's schema 1.2."""

from __future__ import annotations

from datetime import date
from pathlib import PureWindowsPath
from xml.etree import ElementTree

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.schedule.job import ScheduledRun, start_times
from api_pipeline.schedule.task_scheduler import TaskScheduler, account_with_domain
from tests.support.schedulers import KNOWN, NAMESPACE, split_command_line

FOLDER = PureWindowsPath("C:\\Programme & Daten\\Jürgen's <csc>")
SCHEDULER = TaskScheduler(date(2026, 1, 1))


def job(account: str = "DOMAIN\\svc-csc-api", folder: PureWindowsPath = FOLDER) -> ScheduledRun:
    program = (str(folder / "csc_api_pipeline.exe"), "run", "--quiet", "--log-file", str(folder / "run.log"), 'a"b\\')
    return ScheduledRun("csc-api", program, folder, start_times(["02:00", "05:00"]), account)


def only(task: ElementTree.Element, name: str) -> str:
    (found,) = task.iter(NAMESPACE + name)
    return found.text or ""


@pytest.mark.parametrize("text", [SCHEDULER.text(job()), SCHEDULER.file(job())], ids=["printed", "file"])
def test_task_holds_the_program_and_its_folder_word_for_word(text: str | bytes) -> None:
    task = ElementTree.fromstring(text)
    assert only(task, "Command") == job().program[0]
    assert split_command_line(only(task, "Arguments")) == list(job().program[1:])
    assert only(task, "WorkingDirectory") == str(FOLDER)
    assert only(task, "UserId") == "DOMAIN\\svc-csc-api"


def test_task_has_only_elements_that_task_scheduler_knows() -> None:
    waiting = [ElementTree.fromstring(SCHEDULER.text(job()))]
    assert waiting[0].tag == NAMESPACE + "Task"
    while waiting:
        parent = waiting.pop()
        names = [child.tag.removeprefix(NAMESPACE) for child in parent]
        assert set(names) <= set(KNOWN.get(parent.tag.removeprefix(NAMESPACE), "").split()), parent.tag
        waiting.extend(parent)


def test_task_makes_up_for_a_missed_start_and_never_runs_twice() -> None:
    task = ElementTree.fromstring(SCHEDULER.text(job()))
    assert only(task, "StartWhenAvailable") == "true"
    assert only(task, "MultipleInstancesPolicy") == "IgnoreNew"
    assert only(task, "ExecutionTimeLimit") == "PT2H45M"
    assert only(task, "LogonType") == "Password"
    assert only(task, "RunLevel") == "LeastPrivilege"
    starts = [start.text for start in task.iter(f"{NAMESPACE}StartBoundary")]
    assert starts == ["2026-01-01T02:00:00", "2026-01-01T05:00:00"]


def test_file_is_utf_16_with_a_mark_as_task_scheduler_exports_it() -> None:
    raw = SCHEDULER.file(job())
    assert raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    assert raw.decode("utf-16").startswith('<?xml version="1.0" encoding="UTF-16"?>\r\n<Task ')


def test_printed_task_is_the_same_in_every_code_page() -> None:
    assert SCHEDULER.text(job()).isascii()
    assert "encoding" not in SCHEDULER.text(job()).splitlines()[0]


def test_account_of_windows_itself_is_named_by_its_identifier() -> None:
    task = ElementTree.fromstring(SCHEDULER.text(job("NT AUTHORITY\\NETWORK SERVICE")))
    assert only(task, "UserId") == "S-1-5-20"
    assert list(task.iter(f"{NAMESPACE}LogonType")) == []


def test_account_has_its_domain_unless_it_is_one_of_windows_itself() -> None:
    """A task that SYSTEM makes is for SYSTEM, and not for the account of the machine."""
    assert account_with_domain("svc-csc-api", "DOMAIN") == "DOMAIN\\svc-csc-api"
    assert account_with_domain("svc-csc-api", "") == "svc-csc-api"
    for name, identifier in (("SYSTEM", "S-1-5-18"), ("LOCAL SERVICE", "S-1-5-19"), ("NETWORK SERVICE", "S-1-5-20")):
        task = ElementTree.fromstring(SCHEDULER.text(job(account_with_domain(name, "WORKGROUP"))))
        assert only(task, "UserId") == identifier


@pytest.mark.parametrize("folder", ["C:\\a%TEMP%b", "C:\\x$(Arg0)"])
def test_folder_that_would_be_read_as_a_variable_is_refused(folder: str) -> None:
    with pytest.raises(SettingsError, match="as variables"):
        SCHEDULER.text(job(folder=PureWindowsPath(folder)))


def test_one_percent_sign_means_itself() -> None:
    task = ElementTree.fromstring(SCHEDULER.text(job(folder=PureWindowsPath("C:\\100% csc"))))
    assert only(task, "WorkingDirectory") == "C:\\100% csc"


def test_a_task_without_an_account_is_refused() -> None:
    with pytest.raises(SettingsError, match="--account"):
        SCHEDULER.text(job(account=""))
