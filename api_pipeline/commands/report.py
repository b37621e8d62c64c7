"""`report`: a run as one page that can be kept, printed and shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import (
    Common,
    json_option,
    not_empty,
    open_table,
    pass_common,
    print_json,
    table_option,
)

if TYPE_CHECKING:
    from api_pipeline.run_summary import RunSummary
    from api_pipeline.settings.model import Settings


@click.command("report")
@pass_common
@click.option(
    "--run-id", metavar="ID", callback=not_empty, help="Report this run instead of the last one that had something due."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Write the page to this folder (default: the working folder).",
)
@table_option
@json_option
def command(common: Common, run_id: str | None, folder: Path, table: str | None, as_json: bool) -> None:
    """Write one run as an HTML page, and the last 90 nights as the folder's index.html.

    The run's page shows what was due, its outcomes, errors by rule, and the runs before it. Without --run-id it is the
    last run; if that found nothing due, it is the latest run that did.
    """
    from api_pipeline import documents
    from api_pipeline.reports.report_file import write_pages

    with open_table(common, table) as (settings, store):
        report, path, index = write_pages(store, settings.table_name, folder, run_id=run_id)
    if as_json:
        print_json(documents.report(report.table, report.run.run_id if report.run else None, path))
    elif not common.quiet:
        if report.run and report.runs and report.run.run_id != report.runs[0].run_id and run_id is None:
            last = report.runs[0]
            click.echo(
                f"The last run ({last.started_at:%Y-%m-%d %H:%M} UTC) found nothing due; the page shows the one before "
                f"it that had something due. The last one: --run-id {last.run_id}"
            )
        click.echo(f"Report: {path}\nAll nights: {index}")


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """What the operator reads about a report: where it is, or why it could not be made."""

    sentence: str
    was_written: bool


def report_on(summary: RunSummary, settings: Settings, folder: Path) -> ReportOutcome:
    """Write the report of a run that has just ended and return a sentence about it for the operator.

    The run is over and its rows are written: an error here becomes the sentence, and never the run's exit code.
    """
    from api_pipeline.errors import PipelineError
    from api_pipeline.outbox.opening import open_store
    from api_pipeline.reports.report_file import write_pages

    try:
        with open_store(settings) as store:
            written = write_pages(store, settings.table_name, folder, run_id=summary.run_id, summary=summary)
        return ReportOutcome(f"Report: {written.page}", was_written=True)
    except PipelineError as error:
        sentence = f"Warning: the run has ended as its summary says, but its report could not be made. {error}"
        return ReportOutcome(sentence, was_written=False)
