"""What this machine and this process are: the scheduler in use, the account, and how this program is started."""

from __future__ import annotations

import getpass
import os
import sys
from datetime import date
from pathlib import Path

from api_pipeline.schedule.cron import Cron
from api_pipeline.schedule.job import Scheduler, SchedulerKind
from api_pipeline.schedule.systemd import SYSTEM_UNITS, Systemd
from api_pipeline.schedule.task_scheduler import TaskScheduler, account_with_domain

_BOOTED_BY_SYSTEMD = Path("/run/systemd/system")
# What Windows calls DRIVE_REMOTE.
_REMOTE_DRIVE = 4


def default_kind() -> SchedulerKind:
    """Return the scheduler of this machine: for root the system's, for another account its own."""
    if os.name == "nt":
        return SchedulerKind.TASK_SCHEDULER
    if not _BOOTED_BY_SYSTEMD.is_dir():
        return SchedulerKind.CRON
    return SchedulerKind.SYSTEMD if os.geteuid() == 0 else SchedulerKind.SYSTEMD_USER


def own_account() -> str:
    """Return the account of this process, on Windows with its domain; "" where the system has no name for it."""
    try:
        if os.name == "nt":
            # Variables say something else: LOGNAME may be anything, and USERNAME of SYSTEM is the name of the machine.
            return account_with_domain(os.getlogin(), os.environ.get("USERDOMAIN", ""))
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def is_mapped_drive(drive: str) -> bool:
    """Return whether a drive such as "Z:" is a mapped network drive of this session; never outside Windows."""
    if sys.platform != "win32":
        return False
    # Slow to import, and needed on Windows alone.
    import ctypes

    return int(ctypes.windll.kernel32.GetDriveTypeW(f"{drive}\\")) == _REMOTE_DRIVE


def own_program() -> list[str]:
    """Return the command that starts this program, by absolute path: the executable, the script, or Python."""
    own = Path(sys.executable).absolute()
    if getattr(sys, "frozen", False):
        return [str(own)]
    script = own.with_name("d2i-csc-api.exe" if os.name == "nt" else "d2i-csc-api")
    return [str(script)] if script.is_file() else [str(own), "-m", "api_pipeline"]


def scheduler(kind: SchedulerKind, account: str) -> Scheduler:
    """Return the scheduler of this kind; `account` is "" for the account that asks."""
    if kind is SchedulerKind.TASK_SCHEDULER:
        return TaskScheduler(date.today())  # noqa: DTZ011 - Task Scheduler counts in the machine's own days
    if kind is SchedulerKind.CRON:
        return Cron("" if account == own_account() else account)
    is_user = kind is SchedulerKind.SYSTEMD_USER
    return Systemd(_user_units() if is_user else SYSTEM_UNITS, is_user=is_user)


def _user_units() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "systemd" / "user"
