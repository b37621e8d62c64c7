"""`xporter collect`: consent first, then every school."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, not_empty, pass_common, print_json, session
from api_pipeline.commands.xporter.common import checked_estab, estabs_option, opened
from api_pipeline.run_summary import counted

if TYPE_CHECKING:
    from api_pipeline.xporter.collect import CollectSummary


@click.command("collect")
@pass_common
@estabs_option
@click.option(
    "--endpoint", "endpoints", multiple=True, metavar="NAME", help="Collect only this endpoint, and Students."
)
@click.option("--full", "is_full", is_flag=True, help="Also request closed weeks again.")
@click.option("--accept-shrink", is_flag=True, help="Write a set that is much smaller than what is landed.")
@click.option("--verify", "verifies", is_flag=True, help="Request counts, and the whole sets whose count differs.")
@click.option("--shard", metavar="I/N", callback=not_empty, help="Collect only shard I of N of the schools.")
@click.option("--dry-run", is_flag=True, help="Request and compare, and write nothing.")
@json_option
def command(
    common: Common,
    estabs: tuple[str, ...],
    endpoints: tuple[str, ...],
    is_full: bool,
    accept_shrink: bool,
    verifies: bool,
    shard: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Collect once: apply the schools' consent, then ask each school and write the difference.

    Exit codes: 0 all complete, 1 a school or endpoint needs attention, 2 settings, 3 database, 4 refused by all, 5 not
    reached, 75 another collection at work, 130 stopped by a signal.
    """
    from api_pipeline.commands.stage import today
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.documents import xporter as documents
    from api_pipeline.notify.job import XPORTER_COLLECT
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.collect import collect as collect_once
    from api_pipeline.xporter.opening import chosen, cohort_of, collect_options

    stop = stop_on_signals()
    job = None if dry_run else XPORTER_COLLECT
    with session(common, Purpose.XPORTER, {"SHARD": shard}, has_testing_mode=False, job=job) as started:
        settings = started.settings
        options = collect_options(settings, today(), chosen(settings, endpoints))
        named = frozenset(map(checked_estab, estabs))
        options = replace(
            options,
            only=named or options.only,
            is_full=is_full,
            accepts_shrink=accept_shrink,
            verifies=verifies,
            is_dry_run=dry_run,
        )
        with opened(started, job, stop.is_set) as (parts, watch):
            options = replace(options, cohort=cohort_of(settings, parts.store))
            parts.check_named(named)
            summary = collect_once(parts, options)
            if watch:
                watch.ended(summary.exit_code, summary.told)
        if as_json:
            print_json(documents.collected(summary, is_dry_run=dry_run))
        _print(summary, is_dry_run=dry_run, is_silent=common.quiet or as_json)
    raise SystemExit(summary.exit_code)


def _print(summary: CollectSummary, *, is_dry_run: bool, is_silent: bool) -> None:
    for error in summary.errors:
        click.echo(f"Error: {error}", err=True)
    if is_silent:
        return
    for line in summary.lines:
        click.echo(line)
    for problem in summary.problems:
        if problem.is_news:
            window = f" {problem.round.window}" if problem.round.window else ""
            click.echo(f"School {problem.round.estab or '(list)'}, {problem.round.endpoint}{window}: {problem.text}")
    if summary.verified:
        click.echo(f"Verified: {counted(summary.verified, '{set has|sets have}')} as many rows as the API counts.")
    counts = summary.counts
    click.echo(
        f"{'Would write' if is_dry_run else 'Collected'}: {counted(summary.schools, '{school|schools}')}, "
        f"{counted(summary.rounds, '{round|rounds}')}, {counted(counts.added, '{row|rows}')} added, "
        f"{counts.changed} changed, {counts.deleted} deleted, {counts.unchanged} unchanged, "
        f"{summary.dropped} not about the council's children; {counted(summary.requests, '{request|requests}')}."
    )
