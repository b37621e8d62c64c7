"""`stage`: from the council's own tables to staged payloads."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session, table_option

if TYPE_CHECKING:
    import threading

    from api_pipeline.documents import Document
    from api_pipeline.settings.model import Settings
    from api_pipeline.staging.call import StageCall
    from api_pipeline.staging.changes import Word
    from api_pipeline.staging.outcome import StageSummary


# No window around a day in these years leaves the calendar, whatever the settings.
_FIRST_YEAR, _LAST_YEAR = 1900, 2900


def _in_the_calendar(_context: click.Context, _option: click.Parameter, day: datetime | None) -> datetime | None:
    if day is not None and not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise click.BadParameter(f"expected a day of the years {_FIRST_YEAR} to {_LAST_YEAR}.")
    return day


@click.command("stage")
@pass_common
@table_option
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    callback=_in_the_calendar,
    help="Stage as if today were this day.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; list who would change, and why.")
@click.option(
    "--issues-csv",
    type=click.Path(path_type=Path),
    help="Write every value that was converted or left out to this file.",
)
@click.option(
    "--allow-deletions", is_flag=True, help="Continue even if many rows would be deleted, or a table is empty."
)
@json_option
def command(
    common: Common,
    table: str | None,
    as_of: datetime | None,
    dry_run: bool,
    issues_csv: Path | None,
    allow_deletions: bool,
    as_json: bool,
) -> None:
    """Fill the staging table from the council's own tables (SSD): the cohort, each child's payload, and what changed.

    Nothing is sent. Exit code 3 if the SSD looks half loaded; then nothing is changed.
    """
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.settings.model import Purpose
    from api_pipeline.staging.call import StageCall

    stop = stop_on_signals()
    call = StageCall(as_of.date() if as_of else today(), dry_run, allow_deletions)
    with session(common, Purpose.STAGE, {"TABLE_NAME": table}) as started:
        summary, document = stage_once(started.settings, call, stop, common, issues_csv, as_json=as_json)
    if as_json:
        print_json(document)
    if summary.refusal is not None:
        raise summary.refusal


def stage_once(
    settings: Settings,
    call: StageCall,
    stop: threading.Event,
    common: Common,
    issues_csv: Path | None = None,
    *,
    as_json: bool,
) -> tuple[StageSummary, Document]:
    """Stage once, show progress, and print what was done; `as_json` leaves the printing of the document to the caller.

    Errors: those of `staging.session.stage`.
    """
    from api_pipeline import documents
    from api_pipeline.settings.shared import check_output
    from api_pipeline.staging.outcome import StagingObservers
    from api_pipeline.staging.report import StageProgress, print_change, print_summary
    from api_pipeline.staging.session import issues_file, stage

    check_output("--issues-csv", issues_csv, settings.connection_string, settings.env_file)
    progress = StageProgress(sys.stderr, quiet=common.quiet)
    changes: list[tuple[str, Word]] = []

    def on_change(person: str, word: Word) -> None:
        if call.is_dry_run and as_json:
            changes.append((person, word))
        elif call.is_dry_run and not common.quiet:
            print_change(person, word)

    with issues_file(issues_csv) as write_issue:
        summary = stage(settings, call, StagingObservers(on_change, write_issue, progress.update), stop)
    progress.close()
    if not (as_json or common.quiet):
        print_summary(summary, call.as_of, issues_csv)
    return summary, documents.staging(summary, call.as_of, issues_csv, changes)


def today() -> date:
    """Return the day of the run: the local one, as on the database server (mapping 1)."""
    return date.today()  # noqa: DTZ011 - the council's own day
