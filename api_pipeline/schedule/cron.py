"""Linux, macOS: lines in the crontab of one account, between two marks by which they are found again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from api_pipeline.errors import PipelineError
from api_pipeline.schedule import tools
from api_pipeline.schedule.job import ScheduledRun, SchedulerKind, Standing, refuse_control_signs

_MARK = "# d2i-csc-api schedule {name}: {which}"


class Cron:
    """Make, find and remove the lines in a crontab; `account` is "" for that of the account that runs the command."""

    kind = SchedulerKind.CRON

    def __init__(self, account: str = "") -> None:
        self._account = account

    def text(self, job: ScheduledRun) -> str:
        """Return the lines of the crontab, with their marks. Errors: SettingsError."""
        return "\n".join([_mark(job.name, "begin"), *_lines(job), _mark(job.name, "end")]) + "\n"

    def install(self, job: ScheduledRun) -> Sequence[str]:
        """Put the lines into the crontab, in place of those that are there. Errors: PipelineError."""
        kept, _ = _without(self._read(), job.name)
        self._write([*kept, *self.text(job).splitlines()])
        return [f"cron starts the run at {job.starts}, in {job.folder}; a start that is missed is not made up for."]

    def standing(self, name: str) -> Standing:
        """Return the lines of the crontab; cron keeps no outcome. Errors: PipelineError."""
        _, found = _without(self._read(), name)
        facts = {f"line {number}": line for number, line in enumerate(found, 1)}
        return Standing(self.kind, name, bool(found), facts)

    def remove(self, name: str) -> bool:
        """Take the lines out and return whether there were any. Errors: PipelineError."""
        kept, found = _without(self._read(), name)
        if found:
            self._write(kept)
        return bool(found)

    def _read(self) -> list[str]:
        done = tools.ask("crontab", [*self._whose(), "-l"])
        if done.code and "no crontab" not in done.said.lower():
            raise PipelineError(f"crontab -l ended with code {done.code}: {done.said or 'it said nothing'}")
        return [] if done.code else done.out.splitlines()

    def _write(self, lines: Sequence[str]) -> None:
        tools.order("crontab", [*self._whose(), "-"], "".join(f"{line}\n" for line in lines))

    def _whose(self) -> list[str]:
        return ["-u", self._account] if self._account else []


def _mark(name: str, which: str) -> str:
    return _MARK.format(name=name, which=which)


def _without(lines: Sequence[str], name: str) -> tuple[list[str], list[str]]:
    """Return the lines outside the marks of this name, and those between them.

    Errors: PipelineError where a mark lacks its other one: lines of other programs could stand behind it.
    """
    begin, end = _mark(name, "begin"), _mark(name, "end")
    kept: list[str] = []
    found: list[str] = []
    is_ours = False
    for line in lines:
        if line == (end if is_ours else begin):
            is_ours = not is_ours
        else:
            (found if is_ours else kept).append(line)
    if is_ours or {begin, end} & {*kept, *found}:
        raise PipelineError(
            f'The crontab does not have the lines "{begin}" and "{end}" as a pair, so it is not known which lines are '
            "the task's; nothing was changed. Correct them with: crontab -e"
        )
    return kept, found


def _lines(job: ScheduledRun) -> list[str]:
    refuse_control_signs(job)
    # cron takes a % for the end of the command, even between quotes, unless a \ stands before it.
    command = f"cd {shlex.quote(str(job.folder))} && {shlex.join(job.program)}".replace("%", "\\%")
    hours: dict[int, list[int]] = {}
    for time in job.times:
        hours.setdefault(time.minute, []).append(time.hour)
    return [f"{minute} {','.join(map(str, of_minute))} * * * {command}" for minute, of_minute in hours.items()]
