"""What the commands of `sdr` print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api_pipeline.errors import PipelineError
from api_pipeline.run_summary import counted

if TYPE_CHECKING:
    from api_pipeline.sdr.flows import Outcome
    from api_pipeline.sdr.nouns import ReturnPeriod, State
    from api_pipeline.sdr.plan import Rehearsal
    from api_pipeline.sdr.report import ResultPage
    from api_pipeline.sdr.statements import Scope
    from api_pipeline.sdr.store import Store


def show_plan(period: ReturnPeriod, rehearsal: Rehearsal) -> None:
    """Print what a submission would do, and that it would be refused now where it would."""
    click.echo(f"A submission for the return {period.name} would do this (nothing was sent):")
    for collection, one in rehearsal.plans.items():
        click.echo(
            f"  {collection.value:25} {one.put:9,} to put {one.delete:9,} to delete {one.unchanged:9,} unchanged "
            f"{one.withheld:7,} cannot be sent"
        )
    _show_checks(rehearsal.check_errors)
    if rehearsal.may_send_all:
        click.echo(
            "The submission token has expired. If TEC gives another, what is unchanged is sent again as well; this is "
            "what SDR_ON_NEW_TOKEN says."
        )
    if rehearsal.refusal:
        code = rehearsal.refusal.exit_code
        click.echo(f"The submission would be refused with exit code {code}: {rehearsal.refusal}")


def _show_checks(errors: Mapping[tuple[str, str, str], int]) -> None:
    for (found_in, rule, text), count in errors.items():
        click.echo(f"Check {rule}: {count:,} in {found_in}: {text}")


def show_outcome(outcome: Outcome, *, is_testing: bool, quiet: bool) -> None:
    """Print what a submission did, and what ended it early."""
    summary = outcome.summary
    if not quiet:
        mode = " (testing: nothing left this machine)" if is_testing else ""
        click.echo(f"Return {outcome.period.name}{mode}:")
        for collection, counts in summary.collections.items():
            if any(astuple(counts)):
                click.echo(
                    f"  {collection.value:25} {counts.accepted:9,} accepted {counts.deleted:7,} deleted "
                    f"{counts.refused + counts.withheld:7,} refused {counts.unchanged:9,} unchanged"
                )
        kept = summary.total("kept")
        if kept:
            click.echo(f"TEC refused to delete {counted(kept, '{record|records}', ',')}; the next run tries again.")
        _show_checks(outcome.check_errors)
        if summary.stopped_at_limit:
            click.echo("The run stopped at --limit; the rest stays due, and nothing was deleted.")
        click.echo(f"Requests with records: {summary.requests:,}.")
    if summary.error:
        click.echo(f"Error: {summary.error}", err=True)


def results_page(store: Store, scope: Scope, period: ReturnPeriod, state: State | None = None) -> ResultPage:
    """Return what the last validation of a period found. Errors: PipelineError where none is stored."""
    from api_pipeline.sdr.report import ResultPage

    stored = store.submission(scope)
    if stored is None or not stored.validation_received:
        raise PipelineError(
            f"No results of a validation of the return {period.name} are stored; let TEC validate it first: "
            f"d2i-csc-api sdr validate {period.return_id}"
        )
    history = store.validations(scope)
    run = stored.validation_received
    earlier = [one for one, _, _ in history if one < run]
    # Of one that TEC broke off there is no row: nothing is gone because it found nothing.
    is_whole = any(one == run for one, _, _ in history)
    before = store.findings(scope, earlier[-1]) if earlier and is_whole else None
    return ResultPage(period.name, run, state or stored.state, store.findings(scope, run), before, history)


def show_results(page: ResultPage) -> None:
    """Print what the last validation found."""
    from api_pipeline.sdr.report import lines

    for line in lines(page):
        click.echo(line)


def written_report(page: ResultPage | None, folder: str | None) -> tuple[Path, ...]:
    """Write the results into a folder where both are there, and return the paths.

    The validation is over and its results are stored: an error here is a sentence, and never the exit code.
    """
    from api_pipeline.sdr.report import write

    try:
        return write(Path(folder), page) if page and folder else ()
    except PipelineError as error:
        click.echo(f"Warning: the validation has ended, and its results are stored. {error}", err=True)
        return ()


def write_report(page: ResultPage, folder: str | None) -> None:
    """Write the results of the last validation into a folder where one is named, and say where."""
    if written := written_report(page, folder):
        click.echo(f"The report is in {written[0]}, the list in {written[1]}.")
