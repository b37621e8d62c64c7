"""What the operator sees of a run on the console: progress while it lasts, and the summary at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

import click

from api_pipeline.errors import AuthenticationRefused, DatabaseError, ServiceUnavailable, SettingsError
from api_pipeline.logs.progress_line import ProgressLine
from api_pipeline.outbox.staging_table import FILL_THE_TABLE
from api_pipeline.run_summary import LABELS, RunSummary, counted

if TYPE_CHECKING:
    from api_pipeline.outbox.status import Overview, PastRun

_WIDTH = 30


class ConsoleProgress:
    """Show how far a run is: a bar on a terminal, a line now and then otherwise, nothing when `quiet`."""

    def __init__(self, stream: TextIO, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = ProgressLine(stream, quiet=quiet, clock=clock)
        self._clock = clock
        self._started = clock()
        self._total = 0

    def set_total(self, rows: int) -> None:
        """Set how many rows may be due."""
        self._total = rows

    def update(self, summary: RunSummary) -> None:
        """Show the counts as they stand now."""
        if self._line.is_due():
            self._line.show(self._text(summary, self._clock() - self._started))

    def close(self) -> None:
        """Clear the bar, so that the summary stands alone."""
        self._line.close()

    def _text(self, summary: RunSummary, seconds: float) -> str:
        done = summary.decided
        rate = done / seconds if seconds > 0 else 0.0
        left = f", about {max(0, self._total - done) / rate:.0f} s left" if rate and self._total else ""
        mode = "TESTING " if summary.is_testing else ""
        if not self._line.is_terminal:
            return f"{mode}{done} of about {self._total} records done, {rate:.0f} a second{left}"
        share = min(1.0, done / self._total) if self._total else 0.0
        bar = ("#" * round(share * _WIDTH)).ljust(_WIDTH, ".")
        return f"{mode}[{bar}] {done}/{self._total} records, {rate:.0f} a second{left}"


def summary_lines(summary: RunSummary, *, errors_follow: bool = False) -> list[str]:
    """Return the summary of a run: one line a count, then what to do next. Plain ASCII.

    Where `errors_follow`, the sentences of the errors that ended the run are shown elsewhere, and not here as well.
    """
    lines = [f"Run {summary.run_id} on {summary.table}, {summary.seconds:.1f} s"]
    if summary.is_testing:
        lines.append("TESTING mode: nothing left this machine, the receiver was simulated.")
    lines += [f"  {label:<24}{getattr(summary, name):>9}" for name, label in LABELS.items()]
    lines += [f"  {remark}" for remark in summary.remarks]
    is_said = errors_follow and summary.errors and not summary.was_stopped
    result = _ended_early(summary) if is_said else result_line(summary)
    return [*lines, f"Result: {result} (exit code {summary.exit_code})"]


_ENDED_BY = {
    DatabaseError.exit_code: "the database could not be used",
    AuthenticationRefused.exit_code: "access was refused",
    ServiceUnavailable.exit_code: "the service could not be reached or kept failing",
    SettingsError.exit_code: "the settings do not allow it",
}


def _ended_early(summary: RunSummary) -> str:
    """Return that the run ended early, in a few words; the sentence that says more stands on standard error."""
    words = _ENDED_BY.get(summary.exit_code, "an error ended it")
    which = "another run --resync takes" if summary.is_resync else "the next run sends"
    left = f"; rows left as they were, which {which}: {summary.not_tried}" if summary.not_tried else ""
    return f"the run ended early: {words}{left}"


def result_line(summary: RunSummary) -> str:
    """Return one sentence: what came of the run and what to do next."""
    if summary.was_stopped:
        left = counted(summary.not_tried, "{row was|rows were}")
        rest = "; run --resync again for the rest" if summary.is_resync else ", and the next run sends the rest"
        return f"stopped by a signal; {left} left as they were{rest}"
    if summary.errors:
        return " ".join(str(error) for error in summary.errors)
    if summary.undelivered:
        lost = counted(summary.undelivered, "{record|records}")
        return f"the receiver could not be reached or kept failing for {lost}; the next run tries again"
    if summary.in_error:
        failed = counted(summary.in_error, "{record is|records are}")
        return f"{failed} in error; see api_response in the table, or: d2i-csc-api status"
    if summary.unknown_status:
        rows = counted(summary.unknown_status, "{row has|rows have}")
        return (
            f"{rows} a status that no run takes; correct submission_status in the table "
            "(d2i-csc-api status shows the words)"
        )
    if summary.is_table_empty:
        return f"the table {summary.table} is empty, so nothing was due; {FILL_THE_TABLE}"
    if summary.due == 0:
        return "nothing was due"
    if summary.was_limited:
        passed = ("all " if summary.due > 1 else "") + counted(summary.due, "{record|records}")
        return f"{passed} that --limit allowed passed; {_rest_beyond_limit(summary)}"
    if summary.is_testing:
        return "every due record passed in testing mode; a live run sends them"
    return "everything due was accepted"


def _rest_beyond_limit(summary: RunSummary) -> str:
    if summary.is_resync:
        return "the rest was left as it was; run --resync without --limit takes all"
    return "the rest was not tried" if summary.is_testing else "the rest is still due, and the next run sends it"


def status_lines(overview: Overview, table: str) -> list[str]:
    """Return the state of the table as a few small tables. Plain ASCII."""
    lines = [f"Table {table}", f"  {'row_state':<12}{'submission_status':<20}{'rows':>10}"]
    lines += [
        f"  {count.row_state or '(none)':<12}{count.submission_status or '(none)':<20}{count.rows:>10}"
        for count in overview.counts
    ]
    if not overview.counts:
        lines.append(f"The table is empty; {FILL_THE_TABLE}.")
    lines += [f"  {remark}" for remark in overview.remarks]
    lines.append(f"Oldest pending row: {overview.oldest_pending or _no_oldest(overview)}")
    if overview.errors:
        lines.append("Most frequent errors (values are masked)")
        lines += [f"  {error.rows:>8} x {error.answer}  (for example {error.person_id})" for error in overview.errors]
    if overview.runs:
        lines.append("Last runs (times are UTC)")
        lines.append(
            f"  {'began':<20}{'mode':<9}{'payloads':<9}{'due':>8}{'accepted':>9}{'unchanged':>10}{'failed':>8}"
            f"{'left':>8}{'exit':>6}  {'run id':<36}"
        )
        lines += [_run_line(run) for run in overview.runs]
    return lines


def _no_oldest(overview: Overview) -> str:
    """Return why no pending row is the oldest: a council's own table may not keep the time of a row's last change."""
    is_pending = any((count.submission_status or "").strip().lower() == "pending" for count in overview.counts)
    return "none with a time" if is_pending else "none"


def _run_line(run: PastRun) -> str:
    failed = None if run.refused is None else run.refused + (run.undelivered or 0)
    began = run.started_at.isoformat(" ", "seconds")
    return (
        f"  {began:<20}{run.mode:<9}{run.payloads:<9}{_shown(run.due):>8}{_shown(run.accepted):>9}"
        f"{_shown(run.unchanged):>10}{_shown(failed):>8}{_shown(run.not_tried):>8}{_shown(run.exit_code):>6}"
        f"  {run.run_id:<36}"
    )


def _shown(count: int | None) -> str:
    return "?" if count is None else str(count)


def print_summary(summary: RunSummary, say: Callable[[str], None] = click.echo, *, quiet: bool) -> None:
    """Print the summary to standard output; when `quiet` only its last line, and that only after an error.

    What ended a run is said in full on standard error, and here in a few words.
    """
    lines = summary_lines(summary, errors_follow=True)
    if quiet:
        lines = lines[-1:] if summary.exit_code else []
    for line in lines:
        say(line)
