"""`run`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from api_pipeline.commands.common import (
    Common,
    json_option,
    not_empty,
    pass_common,
    print_json,
    say,
    session,
    table_option,
)
from api_pipeline.commands.stopping import stop_on_signals

if TYPE_CHECKING:
    import threading

    from api_pipeline.assembly.request import RunRequest
    from api_pipeline.commands.report import ReportOutcome
    from api_pipeline.documents import Document
    from api_pipeline.run_summary import RunSummary
    from api_pipeline.settings.model import Settings


class RunCall(NamedTuple):
    """What the command line says of a run: settings by name, how many rows, whose, and whether to purge first."""

    options: dict[str, str | None]
    limit: int | None = None
    resync: bool = False
    person_id: str | None = None

    def request(self, run_id: str) -> RunRequest:
        """Return this as a run takes it."""
        from api_pipeline.assembly.request import RunRequest

        return RunRequest(run_id, self.limit, self.resync, self.person_id)


@click.command("run")
@pass_common
@click.option("--full/--deltas", "full", default=None, help="Send full payloads, or only what changed.")
@click.option("--testing/--live", "testing", default=None, help="Simulate the receiver, or send to it.")
@table_option
@click.option("--batch-size", metavar="N", callback=not_empty, help="Records in one POST, 1 to 100.")
@click.option("--max-in-flight", metavar="N", callback=not_empty, help="POSTs sent at the same time, 1 to 16.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Send at most N due rows.")
@click.option("--shard", metavar="I/N", callback=not_empty, help="Send only shard I of N of the table.")
@click.option("--resync", is_flag=True, help="Purge every child at the receiver, then send it whole.")
@click.option("--person-id", metavar="ID", callback=not_empty, help="Send only the rows of this person.")
@click.option(
    "--stage", "stages", is_flag=True, help="First fill the staging table from the council's own tables, as stage does."
)
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Write a report page to this folder.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be sent; write nothing, send nothing.")
@json_option
def command(
    common: Common,
    full: bool | None,
    testing: bool | None,
    limit: int | None,
    resync: bool,
    person_id: str | None,
    stages: bool,
    report: Path | None,
    is_dry: bool,
    as_json: bool,
    **given: str | None,
) -> None:
    """Send every due row and write the receipts back. This is the main job, and the default command."""
    call = RunCall(_options(full, testing, given), limit, resync, person_id)
    if is_dry:
        if stages or report:
            raise click.UsageError(
                "--dry-run does not go with --stage or --report: nothing is staged, and nothing is run."
            )
        _plan_only(common, call, as_json=as_json)
    else:
        execute(common, call, stages=stages, report=report, as_json=as_json)


def execute(
    common: Common, call: RunCall, *, stages: bool = False, report: Path | None = None, as_json: bool = False
) -> None:
    """Run the main job, after a staging where `stages`, and end the program with its exit code.

    A staging that fails ends the program with its own code; then nothing is sent.
    """
    from api_pipeline.assembly import libraries  # noqa: F401 - first of all, as its text says
    from api_pipeline.assembly.request import RunObservers
    from api_pipeline.assembly.run import run
    from api_pipeline.notify.ending import counts_of
    from api_pipeline.notify.job import RUN
    from api_pipeline.notify.services import of_run
    from api_pipeline.notify.watch import watched
    from api_pipeline.reports.console import ConsoleProgress
    from api_pipeline.settings.model import Purpose

    purpose = Purpose.STAGE_AND_RUN if stages else Purpose.RUN
    with (
        session(common, purpose, call.options, job=RUN) as started,
        watched(of_run(started.settings, started.run_id, of_one_person=call.person_id is not None)) as watch,
    ):
        stop = stop_on_signals()
        staged = _stage(started.settings, stop, common, as_json=as_json) if stages else None
        progress = ConsoleProgress(sys.stderr, quiet=common.quiet)
        on_due = None if common.quiet else progress.set_total
        observers = RunObservers(progress.update, on_due, started.redactor.add)
        summary = run(started.settings, call.request(started.run_id), observers, stop)
        progress.close()
        watch.ended(summary.exit_code, counts_of(summary))
        outcome = None
        if report:
            from api_pipeline.commands.report import report_on

            outcome = report_on(summary, started.settings, report)
    _show(summary, staged, outcome, quiet=common.quiet, as_json=as_json)
    raise SystemExit(summary.exit_code)


def _show(
    summary: RunSummary, staged: Document | None, outcome: ReportOutcome | None, *, quiet: bool, as_json: bool
) -> None:
    """Print what a run did, where its report is, and the errors that ended it."""
    if as_json:
        from api_pipeline import documents

        print_json(documents.run(summary, staged))
    else:
        from api_pipeline.reports.console import print_summary

        print_summary(summary, say, quiet=quiet)
    if outcome and not (quiet and outcome.was_written):
        say(outcome.sentence, err=as_json or not outcome.was_written)
    for error in summary.errors:
        say(f"Error: {error}", err=True)


def _plan_only(common: Common, call: RunCall, *, as_json: bool) -> None:
    from api_pipeline import documents
    from api_pipeline.explain.dry_run import dry_run_lines, plan_run
    from api_pipeline.settings.model import Purpose

    with session(common, Purpose.DATABASE, call.options) as started:
        found = plan_run(started.settings, call.request(started.run_id))
        if as_json:
            print_json(documents.dry_run(found, started.settings))
        elif not common.quiet or found.exit_code:
            say("\n".join(dry_run_lines(found, started.settings)))
    raise SystemExit(found.exit_code)


def _stage(settings: Settings, stop: threading.Event, common: Common, *, as_json: bool) -> Document:
    from api_pipeline.commands.stage import stage_once, today
    from api_pipeline.staging.call import StageCall

    return stage_once(settings, StageCall(today()), stop, common, as_json=as_json)[1]


def _options(full: bool | None, testing: bool | None, given: dict[str, str | None]) -> dict[str, str | None]:
    return {
        "USE_PARTIAL_PAYLOAD": None if full is None else str(not full).lower(),
        "TESTING_MODE": None if testing is None else str(testing).lower(),
        "TABLE_NAME": given["table"],
        "BATCH_SIZE": given["batch_size"],
        "MAX_IN_FLIGHT": given["max_in_flight"],
        "SHARD": given["shard"],
    }
