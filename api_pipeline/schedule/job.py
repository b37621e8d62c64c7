"""What is to be started, where, as whom and when; the same for every scheduler."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePath, PureWindowsPath
from typing import Protocol

from api_pipeline.errors import SettingsError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_DAY_MIN = 24 * 60
_LEAST_GAP_MIN = 30
_SPARE_MIN = 15
_LONGEST_RUN_MIN = 6 * 60
DESCRIPTION = "Send due children's social care records to the Department for Education"


class SchedulerKind(Enum):
    """The schedulers."""

    TASK_SCHEDULER = "task-scheduler"
    SYSTEMD = "systemd"
    SYSTEMD_USER = "systemd-user"
    CRON = "cron"


@dataclass(frozen=True, slots=True, order=True)
class StartTime:
    """A time of day, local to the machine."""

    hour: int
    minute: int

    def __str__(self) -> str:
        return f"{self.hour:02}:{self.minute:02}"

    @property
    def minutes(self) -> int:
        """Return the minutes since midnight."""
        return 60 * self.hour + self.minute


@dataclass(frozen=True, slots=True)
class ScheduledRun:
    """The nightly run: `program` is the whole command, its first part an absolute path; `times` are sorted.

    `writes_to` are the folders besides `folder` in which the run writes. `account` is "" for the account that asks.
    """

    name: str
    program: tuple[str, ...]
    folder: PurePath
    times: tuple[StartTime, ...]
    account: str = ""
    writes_to: tuple[PurePath, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Return every text that stands in the task."""
        return (*self.program, str(self.folder), self.account, *map(str, self.writes_to))

    @property
    def starts(self) -> str:
        """Return the times in words."""
        return " and ".join(map(str, self.times))

    @property
    def longest_run_min(self) -> int:
        """Return how many minutes one run may take: it ends before the next start, so that no start is skipped."""
        return min(_LONGEST_RUN_MIN, _least_gap_min(self.times) - _SPARE_MIN)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a task is there, and what its scheduler says of it, by name."""

    kind: SchedulerKind
    name: str
    is_installed: bool
    facts: Mapping[str, str] = field(default_factory=dict)


class Scheduler(Protocol):
    """What each scheduler does for a job."""

    @property
    def kind(self) -> SchedulerKind:
        """Return which scheduler it is."""

    def text(self, job: ScheduledRun) -> str:
        """Return the task as the scheduler's own text."""

    def install(self, job: ScheduledRun) -> Sequence[str]:
        """Make the task, or replace it, and return sentences about it. Errors: PipelineError."""

    def standing(self, name: str) -> Standing:
        """Return what the scheduler knows of the task. Errors: PipelineError."""

    def remove(self, name: str) -> bool:
        """Remove the task and return whether it was there. Errors: PipelineError."""


def checked_name(name: str) -> str:
    """Return the name of a task. Errors: SettingsError."""
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f'--name: expected letters, digits, - and _, at most 60 of them, got "{name}"; for example csc-api.'
        )
    return name


def start_times(texts: Sequence[str]) -> tuple[StartTime, ...]:
    """Return times of day such as 02:00, sorted, each once. Errors: SettingsError, also where two nearly meet."""
    times = []
    for text in texts:
        match = _TIME.fullmatch(text.strip())
        if not match:
            raise SettingsError(f'--at: expected a time of day such as 02:00, got "{text}".')
        times.append(StartTime(int(match[1]), int(match[2])))
    ordered = sorted(set(times))
    if _least_gap_min(ordered) < _LEAST_GAP_MIN:
        raise SettingsError(
            f"--at: expected starts at least {_LEAST_GAP_MIN} minutes apart, because a run that is at work makes the "
            f"next start end at once; got {', '.join(map(str, ordered))}."
        )
    return tuple(ordered)


def _least_gap_min(times: Sequence[StartTime]) -> int:
    """Return the least time between two starts in minutes; a day where there is one start."""
    starts = [time.minutes for time in times]
    return min((starts[number] - starts[number - 1]) % _DAY_MIN or _DAY_MIN for number in range(len(starts)))


def mapped_drives(job: ScheduledRun, is_mapped: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the drives in a task's paths that are mapped network drives, each once; `is_mapped` says it of "Z:".

    The letter belongs to the session of the account that mapped it, so a task of another session does not have it.
    """
    drives = {PureWindowsPath(text).drive.upper() for text in job.texts}
    return tuple(sorted(drive for drive in drives if len(drive) == len("Z:") and is_mapped(drive)))


def refuse_control_signs(job: ScheduledRun) -> None:
    """Refuse what no task can hold: a line end, another control character, a byte of another encoding than UTF-8.

    Errors: SettingsError.
    """
    for text in job.texts:
        if any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in text):
            raise SettingsError(
                f"A scheduled task cannot hold the line end, control character or byte of another encoding in "
                f"{text!r}; use another path."
            )
