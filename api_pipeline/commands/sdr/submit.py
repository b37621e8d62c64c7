"""`sdr submit`: what differs between the staging table and what TEC holds is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import (
    chosen,
    collection_option,
    mode_option,
    mode_settings,
    period_argument,
    watched_session,
)
from api_pipeline.commands.sdr.showing import (
    results_page,
    show_outcome,
    show_plan,
    show_results,
    write_report,
    written_report,
)

if TYPE_CHECKING:
    from api_pipeline.sdr.flows import Context, Outcome
    from api_pipeline.sdr.nouns import ReturnPeriod
    from api_pipeline.sdr.plan import Rehearsal
    from api_pipeline.sdr.report import ResultPage


@click.command("submit")
@pass_common
@period_argument
@mode_option
@collection_option
@click.option("--validate", "validates", is_flag=True, help="Then let TEC validate, and wait for the results.")
@click.option("--dry-run", is_flag=True, help="Count what would be sent and deleted; send nothing.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Upload at most this many records; if more are due, delete none.",
)
@click.option("--reupload", is_flag=True, help="Send everything again, whatever TEC is known to hold.")
@click.option("--allow-deletes", is_flag=True, help="Delete however many records have vanished.")
@click.option(
    "--report", type=click.Path(), metavar="FOLDER", help="With --validate: write the results to this folder."
)
@json_option
def command(
    common: Common,
    period: str,
    indicative: bool,
    testing: bool | None,
    collections: tuple[str, ...],
    validates: bool,
    dry_run: bool,
    limit: int | None,
    reupload: bool,
    allow_deletes: bool,
    report: str | None,
    as_json: bool,
) -> None:
    """Send what differs between the staging table and what TEC holds for PERIOD, and delete what vanished.

    Nothing is deleted beyond SDR_MAX_DELETED_SHARE unless --allow-deletes is given.
    """
    from api_pipeline.assembly.sdr import open_context
    from api_pipeline.notify.job import SDR_SUBMIT
    from api_pipeline.sdr import flows
    from api_pipeline.sdr.outcome import Options

    job = None if dry_run else SDR_SUBMIT
    with watched_session(common, mode_settings(testing), job, period, indicative=indicative) as (started, watch):
        share = started.settings.max_deleted_share
        options = Options(chosen(collections), limit, allow_deletes=allow_deletes, max_deleted_share=share)
        with open_context(started.settings, started.observers()) as opened:
            if dry_run:
                found = flows.dry_run(opened, period, options, indicative=indicative, reupload=reupload)
                _show_rehearsal(*found, as_json=as_json)
                return
            outcome = flows.submit(
                opened, period, options, indicative=indicative, reupload=reupload, validates=validates
            )
            if watch:
                watch.ended(outcome.exit_code, outcome.told)
            _show(opened, outcome, report, quiet=common.quiet, as_json=as_json, validates=validates)
    raise SystemExit(outcome.exit_code)


def _show_rehearsal(period: ReturnPeriod, rehearsal: Rehearsal, *, as_json: bool) -> None:
    from api_pipeline.documents import sdr as documents

    if as_json:
        print_json(documents.planned(period, rehearsal))
    else:
        show_plan(period, rehearsal)


def _show(
    context: Context, outcome: Outcome, report: str | None, *, quiet: bool, as_json: bool, validates: bool
) -> None:
    from api_pipeline.documents import sdr as documents

    if as_json:
        page = _results(context, outcome)
        if outcome.summary.error:
            click.echo(f"Error: {outcome.summary.error}", err=True)
        print_json(documents.submitted(outcome, context.mode, page, written_report(page, report)))
        return
    show_outcome(outcome, is_testing=context.is_testing, quiet=quiet)
    # Behind what was sent, which is said even where the results cannot be read.
    if page := _results(context, outcome):
        show_results(page)
        write_report(page, report)
    elif validates and not outcome.summary.error:
        click.echo(
            "TEC was not asked to validate, because not every record was accepted. To have the rest validated: "
            f"d2i-csc-api sdr validate {outcome.period.return_id}"
        )


def _results(context: Context, outcome: Outcome) -> ResultPage | None:
    """Return what the validation behind a submission found, None where there was none."""
    if outcome.verdict is None:
        return None
    return results_page(context.store, context.scope(outcome.period), outcome.period, outcome.verdict.state)
