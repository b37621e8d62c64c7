"""`sdr validate`: TEC validates the return, and the results are stored."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import mode_option, mode_settings, period_argument, watched_session
from api_pipeline.commands.sdr.showing import results_page, show_results, write_report, written_report


@click.command("validate")
@pass_common
@period_argument
@mode_option
@click.option("--no-wait", is_flag=True, help="Start the validation, and do not wait for its end.")
@click.option("--resume", is_flag=True, help="Wait for a validation that was started before.")
@click.option("--timeout", type=click.IntRange(min=1), metavar="S", help="Wait this many seconds at most.")
@click.option(
    "--report", type=click.Path(), metavar="FOLDER", help="Write the results to this folder, as a page and as CSV."
)
@json_option
def command(
    common: Common,
    period: str,
    indicative: bool,
    testing: bool | None,
    no_wait: bool,
    resume: bool,
    timeout: int | None,
    report: str | None,
    as_json: bool,
) -> None:
    """Let TEC validate the return PERIOD, wait for the end and store the results.

    Exit code 0 if it passed, 1 if errors were found, 5 if it is still running at the time-out.
    """
    from api_pipeline.assembly.sdr import open_context
    from api_pipeline.documents import sdr as documents
    from api_pipeline.notify.job import SDR_VALIDATE
    from api_pipeline.sdr import flows

    options = {**mode_settings(testing), "SDR_VALIDATION_TIMEOUT_S": str(timeout) if timeout else None}
    with (
        watched_session(common, options, SDR_VALIDATE, period, indicative=indicative) as (started, watch),
        open_context(started.settings, started.observers()) as opened,
    ):
        found, verdict = flows.validate(opened, period, indicative=indicative, waits=not no_wait, resumes=resume)
        code = verdict.exit_code if verdict else 0
        if watch:
            told = {"errors": verdict.errors, "warnings": verdict.warnings} if verdict else {}
            watch.ended(code, told)
        page = results_page(opened.store, opened.scope(found), found, verdict.state) if verdict else None
        if as_json:
            print_json(documents.validated(found, page, written_report(page, report), code))
        elif page:
            show_results(page)
            write_report(page, report)
        else:
            click.echo(f"TEC validates the return {found.name}. Look later: d2i-csc-api sdr validate {period} --resume")
    raise SystemExit(code)
