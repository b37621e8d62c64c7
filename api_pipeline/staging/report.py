"""What the operator sees of a staging: progress, who would change, the counts. Plain ASCII."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TextIO

import click

from api_pipeline.logs.progress_line import ProgressLine
from api_pipeline.run_summary import counted
from api_pipeline.staging.changes import Word
from api_pipeline.staging.outcome import StageSummary


class StageProgress:
    """Show how many people were staged: one line that is redrawn on a terminal, one now and then otherwise."""

    def __init__(self, stream: TextIO, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = ProgressLine(stream, quiet=quiet, clock=clock)

    def update(self, summary: StageSummary) -> None:
        """Show the counts as they stand now."""
        if self._line.is_due():
            people = f"{summary.looked_at} of {summary.people} people looked at"
            # Who is in the cohort is counted behind the first look at everybody.
            self._line.show(f"{people}, {summary.cohort} in the cohort" if summary.cohort else people)

    def close(self) -> None:
        """Clear the line, so that the summary stands alone."""
        self._line.close()


def print_change(person_id: str, word: Word) -> None:
    """Print that a row of a person would change."""
    click.echo(f"{word.value:<10}{person_id}")


def print_summary(summary: StageSummary, as_of: date, issues_csv: Path | None) -> None:
    """Print the counts of a staging."""
    for line in summary_lines(summary, as_of):
        click.echo(line)
    if issues_csv is not None:
        click.echo(f"Every one of these is in {issues_csv}.")
    elif summary.issues:
        click.echo("List them by person with --issues-csv PATH.")


def summary_lines(summary: StageSummary, as_of: date) -> list[str]:
    """Return the summary of a staging, one line a count."""
    done = "DRY RUN, nothing was changed" if summary.is_dry_run else "Staged"
    lines = [f"{done}: {summary.table} as on {as_of.isoformat()}, {summary.seconds:.1f} s"]
    counts = [
        ("people in the SSD", summary.people),
        ("in the cohort", summary.cohort),
        ("  held back (see below)", summary.withheld),
        *((f"rows {word.value}", summary.words[word]) for word in Word),
    ]
    lines += [f"  {name:<24}{count:>9}" for name, count in counts]
    if summary.rehashed:
        text = "unchanged {row|rows} got the hash of {its|their} payload's meaning; {its|their} status stays."
        lines.append(counted(summary.rehashed, text))
    if summary.kept:
        text = "{person|people} left the cohort and {is|are} kept (DELETE_LEFT_WINDOW=false)."
        lines.append(counted(summary.kept, text))
    if summary.issues:
        lines.append("Values that could not be used as in the SSD:")
        ordered = sorted(summary.issues.items(), key=lambda item: (-item[1], item[0].value))
        lines += [f"{count:>9} x {rule.value}: {rule.sentence}" for rule, count in ordered]
    return lines
