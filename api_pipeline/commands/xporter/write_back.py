"""`xporter write-back`: rows of the outbox into the schools' systems."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session
from api_pipeline.commands.xporter.common import checked_estab, estabs_option, opened
from api_pipeline.run_summary import counted

if TYPE_CHECKING:
    from api_pipeline.xporter.write_back import WriteBackSummary


@click.command("write-back")
@pass_common
@estabs_option
@click.option("--dry-run", is_flag=True, help="Read and compare; send nothing, and write nothing.")
@json_option
def command(common: Common, estabs: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Send the rows of xporter_outbox, and read back what was sent before; a row is done once it was read back.

    Needs XPORTER_WRITE_BACK. In testing mode it sends only to a simulator on this machine. Exit codes: 0 all
    well, 1 a row was refused or was not found, 2 settings, 3 database, 4 refused by all, 5 not reached or no
    clear answer, 75 another write-back at work, 130 stopped by a signal.
    """
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.documents import xporter as documents
    from api_pipeline.notify.job import XPORTER_WRITE_BACK
    from api_pipeline.settings.model import Purpose
    from api_pipeline.settings.safety import is_loopback
    from api_pipeline.xporter.opening import write_back_options
    from api_pipeline.xporter.write_back import write_back

    stop = stop_on_signals()
    job = None if dry_run else XPORTER_WRITE_BACK
    with session(common, Purpose.XPORTER, has_testing_mode=False, job=job) as started:
        settings = started.settings
        is_testing = settings.testing_mode and not is_loopback(settings.xporter.base_url)
        options = write_back_options(settings)
        named = frozenset(map(checked_estab, estabs))
        options = replace(options, only=named or options.only, is_dry_run=dry_run or is_testing)
        with opened(started, job, stop.is_set) as (parts, watch):
            parts.check_named(named)
            summary = write_back(parts, options)
            if watch:
                watch.ended(summary.exit_code, summary.told)
        if as_json:
            print_json(documents.written_back(summary, is_dry_run=options.is_dry_run, is_testing=is_testing))
        is_silent = common.quiet or as_json
        _print(summary, is_silent=is_silent, is_dry_run=options.is_dry_run, is_testing=is_testing)
    raise SystemExit(summary.exit_code)


def _print(summary: WriteBackSummary, *, is_silent: bool, is_dry_run: bool, is_testing: bool) -> None:
    for error in summary.errors:
        click.echo(f"Error: {error}", err=True)
    if is_silent:
        return
    if is_testing:
        click.echo("TESTING mode: nothing was sent to a school; set TESTING_MODE=false to send.")
    for line in summary.lines:
        click.echo(line)
    became = summary.became
    click.echo(
        f"{'Would write back' if is_dry_run else 'Write-back'}: {counted(summary.schools, '{school|schools}')}, "
        f"{counted(became['confirmed'], '{row|rows} confirmed')}, {became['submitted']} submitted and not yet read "
        f"again, {summary.unclear} without a clear answer, {became['refused']} refused, {became['error']} to look at, "
        f"{summary.waiting} waiting; {counted(summary.requests, '{request|requests}')}."
    )
