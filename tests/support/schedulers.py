"""What Windows and the schedulers of Linux make of a command line, and stand-ins for their programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
# The elements of the Task Scheduler schema that the file may use, each with where it stands.
KNOWN = {
    "Task": "RegistrationInfo Triggers Principals Settings Actions",
    "RegistrationInfo": "Description",
    "Triggers": "CalendarTrigger",
    "CalendarTrigger": "StartBoundary Enabled ScheduleByDay",
    "ScheduleByDay": "DaysInterval",
    "Principals": "Principal",
    "Principal": "UserId LogonType RunLevel",
    "Settings": "MultipleInstancesPolicy DisallowStartIfOnBatteries StopIfGoingOnBatteries AllowHardTerminate "
    "StartWhenAvailable RunOnlyIfNetworkAvailable AllowStartOnDemand Enabled Hidden RunOnlyIfIdle WakeToRun "
    "ExecutionTimeLimit Priority",
    "Actions": "Exec",
    "Exec": "Command Arguments WorkingDirectory",
}

# A program that keeps what it is called with, and behaves as the one that it stands in for: the last arguments and
# standard input go to a file, and crontab and systemctl remember.
_STAND_IN = """#!{python}
import json, os, pathlib, sys
store = pathlib.Path(os.environ["STAND_INS"])
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with (store / "calls.jsonl").open("a", encoding="utf-8") as calls:
    calls.write(json.dumps([name, *arguments]) + chr(10))
table = store / "crontab"
if name == "crontab":
    if arguments[-1] == "-l":
        if not table.exists():
            sys.exit("no crontab for " + os.environ.get("USER", "somebody"))
        sys.stdout.write(table.read_text(encoding="utf-8"))
    else:
        table.write_text(sys.stdin.read(), encoding="utf-8")
elif name == "systemctl" and "show" in arguments:
    unit = arguments[arguments.index("show") + 1]
    is_there = (pathlib.Path(os.environ["XDG_CONFIG_HOME"]) / "systemd/user" / unit).exists()
    print("LoadState=" + ("loaded" if is_there else "not-found"))
    print("ExecMainStatus=5" if unit.endswith(".service") else "LastTriggerUSec=Fri 2026-11-27 02:00:07 GMT")
elif name == "schtasks":
    task = store / "task.xml"
    if "/Create" in arguments:
        task.write_bytes(pathlib.Path(arguments[arguments.index("/XML") + 1]).read_bytes())
    elif not task.exists():
        sys.exit("ERROR: The system cannot find the file specified.")
    elif "/Query" in arguments:
        print("TaskName:      " + chr(92) + "csc-api" + chr(10) + "Last Result:   0")
    elif "/Delete" in arguments:
        task.unlink()
"""


def stand_ins(folder: Path) -> dict[str, str]:
    """Put stand-ins for crontab, systemctl and schtasks into a folder; return the environment in which they are found.

    They are programs of their own on PATH, as the real ones are; the folder keeps what they were called with.
    """
    programs = folder / "programs"
    programs.mkdir(parents=True)
    for name in ("crontab", "systemctl", "schtasks"):
        (programs / name).write_text(_STAND_IN.format(python=sys.executable), encoding="utf-8")
        (programs / name).chmod(0o755)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "STAND_INS": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }


def split_command_line(line: str) -> list[str]:
    """Return the words of a command line as the C runtime of Windows splits it."""
    words: list[str] = []
    word, is_quoted, backslashes, has_begun = "", False, 0, False
    for letter in f"{line} ":
        if letter == "\\":
            backslashes += 1
            has_begun = True
            continue
        if letter == '"':
            word += "\\" * (backslashes // 2)
            if backslashes % 2:
                word += '"'
            else:
                is_quoted = not is_quoted
            has_begun = True
        else:
            word += "\\" * backslashes
            if letter in " \t" and not is_quoted:
                if has_begun:
                    words.append(word)
                word, has_begun = "", False
            else:
                word += letter
                has_begun = True
        backslashes = 0
    return words
