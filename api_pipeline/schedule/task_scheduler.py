"""Windows: a task for Task Scheduler, as XML of Microsoft's schema 1.2, made by schtasks."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

from api_pipeline.errors import SettingsError
from api_pipeline.schedule import tools
from api_pipeline.schedule.job import (
    DESCRIPTION,
    ScheduledRun,
    SchedulerKind,
    Standing,
    refuse_control_signs,
)

_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
# Task Scheduler puts variables and its own arguments in place of these, and has no way to write them as they are.
_REPLACED = re.compile(r"%[^%]+%|\$\(")
# Accounts of Windows itself: they have no password. Their task names them by their security identifier, and so does
# schtasks: of their names it knows some spellings alone.
_OF_WINDOWS = {"system": "S-1-5-18", "localservice": "S-1-5-19", "networkservice": "S-1-5-20"}
_TRIGGER = """\
    <CalendarTrigger>
      <StartBoundary>{day}T{time}:00</StartBoundary>
      <Enabled>true</Enabled>
      <ScheduleByDay>
        <DaysInterval>1</DaysInterval>
      </ScheduleByDay>
    </CalendarTrigger>
"""
_TASK = """\
<?xml version="1.0"{encoding}?>
<Task version="1.2" xmlns="{namespace}">
  <RegistrationInfo>
    <Description>{description}</Description>
  </RegistrationInfo>
  <Triggers>
{triggers}  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{account}</UserId>
{logon}      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT{hours}H{minutes}M</ExecutionTimeLimit>
    <Priority>7</Priority>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""
# Password, not S4U: without the password Windows opens neither its credential store nor other servers.
_LOGON = "      <LogonType>Password</LogonType>\n"


class TaskScheduler:
    """Make, find and remove a task of Windows Task Scheduler; `first_day` is from when on it runs."""

    kind = SchedulerKind.TASK_SCHEDULER

    def __init__(self, first_day: date) -> None:
        self._first_day = first_day

    def text(self, job: ScheduledRun) -> str:
        """Return the task in plain ASCII, the same in whatever code page it is saved. Errors: SettingsError."""
        return _xml(job, self._first_day, "").encode("ascii", "xmlcharrefreplace").decode("ascii")

    def file(self, job: ScheduledRun) -> bytes:
        """Return the task as the file that Task Scheduler itself would export: UTF-16 with a byte order mark."""
        return _xml(job, self._first_day, ' encoding="UTF-16"').replace("\n", "\r\n").encode("utf-16")

    def install(self, job: ScheduledRun) -> Sequence[str]:
        """Make or replace the task; schtasks itself asks for the account's password. Errors: PipelineError."""
        # A virus scanner may have the file open still: what then stays has no secret in it.
        with tempfile.TemporaryDirectory(prefix="d2i-csc-api-", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "task.xml"
            path.write_bytes(self.file(job))
            tools.converse("schtasks", ["/Create", "/F", "/TN", job.name, "/XML", str(path), *_login(job.account)])
        return (
            f'Task Scheduler starts "{job.name}" at {job.starts} as {job.account}, in {job.folder}.',
            f'Try it now: schtasks /Run /TN "{job.name}"',
        )

    def standing(self, name: str) -> Standing:
        """Return what schtasks knows of the task, in the words of this Windows. Errors: PipelineError."""
        done = tools.ask("schtasks", ["/Query", "/TN", name, "/V", "/FO", "LIST"])
        if done.code:
            # schtasks has one code for a task that is not there and for every other failure.
            return Standing(self.kind, name, is_installed=False, facts={"schtasks": done.said})
        pairs = (line.split(":", 1) for line in done.out.splitlines() if ":" in line)
        return Standing(self.kind, name, True, {key.strip(): value.strip() for key, value in pairs})

    def remove(self, name: str) -> bool:
        """Remove the task and return whether it was there. Errors: PipelineError."""
        if not self.standing(name).is_installed:
            return False
        tools.order("schtasks", ["/Delete", "/TN", name, "/F"])
        return True


def _xml(job: ScheduledRun, first_day: date, encoding: str) -> str:
    refuse_control_signs(job)
    for text in job.texts:
        if _REPLACED.search(text):
            raise SettingsError(
                f'Task Scheduler reads %...% and $( in "{text}" as variables, and there is no way to write them; use '
                "another folder."
            )
    if not job.account:
        raise SettingsError("The account of the task is not known; name it with --account DOMAIN\\user.")
    hours, minutes = divmod(job.longest_run_min, 60)
    of_windows = _identifier(job.account)
    return _TASK.format(
        encoding=encoding,
        namespace=_NAMESPACE,
        description=f"{DESCRIPTION}. Exit codes: d2i-csc-api --help",
        triggers="".join(_TRIGGER.format(day=first_day.isoformat(), time=time) for time in job.times),
        account=escape(of_windows or job.account),
        logon="" if of_windows else _LOGON,
        hours=hours,
        minutes=minutes,
        command=escape(job.program[0]),
        arguments=escape(subprocess.list2cmdline(job.program[1:])),
        folder=escape(str(job.folder)),
    )


def account_with_domain(name: str, domain: str) -> str:
    """Return an account of this machine with its domain; those of Windows itself belong to none."""
    return name if _identifier(name) or not domain else f"{domain}\\{name}"


def _login(account: str) -> list[str]:
    """Return the options of schtasks for an account: of Windows, managed by the domain, or with a password."""
    if identifier := _identifier(account):
        return ["/RU", identifier]
    return ["/RU", account, "/RP", "" if account.endswith("$") else "*"]


def _identifier(account: str) -> str | None:
    """Return the security identifier of an account of Windows itself, None for any other."""
    return _OF_WINDOWS.get(account.lower().removeprefix("nt authority\\").replace(" ", ""))
