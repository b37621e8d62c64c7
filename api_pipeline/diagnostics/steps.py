"""The result of a test: its steps, each with a time, and one exit code, as lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from api_pipeline.errors import PipelineError, first_exit_code
from api_pipeline.run_summary import counted


class Status(str, Enum):
    """How a step ended. A remark is worth reading and stops nothing."""

    OK = "ok"
    REMARK = "remark"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was found (`detail`), how long it took in seconds, and, where it helps, what to do."""

    name: str
    status: Status
    detail: str
    seconds: float = 0.0
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What one test found. `exit_code` is 0 unless a step failed."""

    test: str
    steps: tuple[Step, ...]
    exit_code: int

    @property
    def is_ok(self) -> bool:
        """Return whether nothing failed."""
        return self.exit_code == 0

    @property
    def was_skipped(self) -> bool:
        """Return whether no step was done."""
        return bool(self.steps) and all(step.status is Status.SKIPPED for step in self.steps)


class StepFailed(Exception):
    """A step that ends its test: what happened, what to do, and the exit code that it stands for."""

    def __init__(self, detail: str, advice: str, exit_code: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.advice = advice
        self.exit_code = exit_code


@dataclass(slots=True)
class StepResult:
    """What the step under way has found so far; the step's own code fills it in."""

    detail: str = ""
    status: Status = Status.OK
    advice: str = ""


@dataclass(slots=True)
class StepWalk:
    """Do the steps of a test one after the other and time each; after one that fails no other is done."""

    test: str
    clock: Callable[[], float] = time.perf_counter
    steps: list[Step] = field(default_factory=list)
    exit_code: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[StepResult]:
        """Time one step. Errors: StepFailed, after it was recorded; a PipelineError becomes one."""
        finding = StepResult()
        started = self.clock()
        try:
            yield finding
        except (StepFailed, PipelineError) as error:
            advice = error.advice if isinstance(error, StepFailed) else ""
            self.exit_code = error.exit_code
            self.steps.append(Step(name, Status.FAILED, str(error), self.clock() - started, advice))
            raise StepFailed(str(error), advice, error.exit_code) from None
        self.steps.append(Step(name, finding.status, finding.detail, self.clock() - started, finding.advice))

    def add(self, name: str, status: Status, detail: str, advice: str = "") -> None:
        """Record something that took no time of its own."""
        self.steps.append(Step(name, status, detail, 0.0, advice))

    def report(self) -> Report:
        """Return what was found so far."""
        return Report(self.test, tuple(self.steps), self.exit_code)


def settings_report(test: str, error: PipelineError) -> Report:
    """Return the report of a test that ended at its settings."""
    return Report(test, (Step("settings", Status.FAILED, str(error)),), error.exit_code)


def endpoint_not_set() -> Report:
    """Return the report of `test-endpoint` where the settings lack an address of it and need none."""
    detail = "API_ENDPOINT and TOKEN_ENDPOINT are not both set; testing mode needs neither"
    return Report("test-endpoint", (Step("settings", Status.SKIPPED, detail),), 0)


def exit_code_of(reports: Sequence[Report]) -> int:
    """Return one exit code for several tests, by the contract's precedence."""
    return first_exit_code(report.exit_code for report in reports)


def report_lines(report: Report) -> list[str]:
    """Return a report as plain lines: one for each step, one below it for the advice, one for the outcome."""
    width = max((len(step.name) for step in report.steps), default=0)
    lines = [report.test]
    for number, step in enumerate(report.steps):
        head = f"  {step.name:<{width}}  {step.status.value:<7}  {_time(step):>8}  "
        first, *rest = step.detail.splitlines() or [""]
        lines.append(f"{head}{first}".rstrip())
        lines.extend(f"{' ' * len(head)}{line}" for line in rest)
        # The same advice for several steps in a row is said once, behind the last of them.
        if step.advice and step.advice != next((later.advice for later in report.steps[number + 1 :]), ""):
            first, *rest = step.advice.splitlines()
            lines.append(f"{' ' * len(head)}What to do: {first}")
            lines.extend(f"{' ' * len(head)}{line}" for line in rest)
    lines.append(f"{report.test}: {outcome(report)}")
    return lines


def outcome(report: Report) -> str:
    """Return the outcome of a test in a few words."""
    failed = [step for step in report.steps if step.status is Status.FAILED]
    if failed:
        return f"failed at {failed[0].name} (exit code {report.exit_code})"
    if report.was_skipped:
        return f"skipped: {report.steps[0].detail}"
    remarks = sum(step.status is Status.REMARK for step in report.steps)
    return f"passed, with {counted(remarks, '{remark|remarks}')}" if remarks else "passed"


def summary_table(reports: Sequence[Report]) -> list[str]:
    """Return one line for each test: outcome and time."""
    width = max(len(report.test) for report in reports)
    lines = ["Summary"]
    for report in reports:
        seconds = sum(step.seconds for step in report.steps)
        status = "skipped" if report.was_skipped else "ok" if report.is_ok else "FAILED"
        lines.append(f"  {report.test:<{width}}  {status:<7}  {seconds:>6.2f} s  {outcome(report)}")
    code = exit_code_of(reports)
    skipped = [report.test for report in reports if report.was_skipped]
    passed = f"all passed, {' and '.join(skipped)} was skipped" if skipped else "all passed"
    lines.append(f"smoke: {passed if code == 0 else f'exit code {code}'}")
    return lines


def _time(step: Step) -> str:
    return "" if step.status is Status.SKIPPED else f"{step.seconds:.2f} s"
