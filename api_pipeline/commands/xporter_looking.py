"""`xporter status`, `report`, `catalogue`, `match`, `config`, `deploy-schema`: the commands that ask no school."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, pass_common, session

if TYPE_CHECKING:
    from api_pipeline.settings.model import Settings
    from api_pipeline.xporter.catalogue import Endpoint


@click.command("status")
@pass_common
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def status(common: Common, as_json: bool) -> None:
    """Show each school and endpoint: rows, age of the last complete round, age of the data, what went wrong last.

    Exit code 1 where a round is older than XPORTER_STALE_AFTER_HOURS.
    """
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.collect import utc_now
    from api_pipeline.xporter.opening import open_landing
    from api_pipeline.xporter.status import overview, status_lines

    with session(common, Purpose.DATABASE) as started, open_landing(started.settings) as store:
        store.check()
        limit = timedelta(hours=started.settings.xporter.stale_after_hours)
        result = overview(store, utc_now(), limit)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2, default=str))
    else:
        for line in status_lines(result):
            click.echo(line)
    raise SystemExit(1 if result.has_stale else 0)


@click.command("report")
@pass_common
@click.option("--run-id", metavar="ID", help="Report this collection instead of the last one.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write the page (default: the working folder).",
)
def report(common: Common, run_id: str | None, folder: Path) -> None:
    """Write the last collection, or another, as one HTML page: counts, problems, schools, removals."""
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.collect import utc_now
    from api_pipeline.xporter.opening import open_landing
    from api_pipeline.xporter.report_page import write_page
    from api_pipeline.xporter.status import overview

    with session(common, Purpose.DATABASE) as started, open_landing(started.settings) as store:
        store.check()
        limit = timedelta(hours=started.settings.xporter.stale_after_hours)
        path = write_page(store, overview(store, utc_now(), limit), folder, run_id)
    if not common.quiet:
        click.echo(f"Report: {path}")


@click.command("catalogue")
@pass_common
@click.argument("endpoint", required=False)
def catalogue(_common: Common, endpoint: str | None) -> None:
    """List the endpoints that can be collected, or the tables, keys, fields and consent scopes of ENDPOINT."""
    from api_pipeline.xporter.catalogue import load_catalogue

    if endpoint is None:
        for entry in load_catalogue().endpoints:
            click.echo(f"{entry.name:<30} {entry.asking:<24} {len(entry.tables):>2} tables  {entry.title}")
        return
    for line in _endpoint_lines(load_catalogue().endpoint(endpoint)):
        click.echo(line)


def _endpoint_lines(endpoint: Endpoint) -> list[str]:
    scopes = sorted(
        {
            scope
            for table in endpoint.tables
            for field in table.fields
            for group in field.scopes.split("&")
            for scope in group.split("|")
            if scope
        }
    )
    lines = [f"{endpoint.name}: {endpoint.title}", f"  asked: {endpoint.asking}"]
    lines.append(f"  options: {', '.join(endpoint.options) or 'none'}")
    lines.append(f"  scopes to ask a school for: {', '.join(scopes) or 'none published'}")
    for table in endpoint.tables:
        key = ", ".join(table.key) + (" (guessed)" if table.key_is_guessed else "")
        lines.append(f"  {table.name}: key {key}{'' if table.is_published else '; its fields are not published'}")
        lines.extend(
            f"    {field.name:<32} {field.type:<12} {field.scopes.replace('|', ' or ').replace('&', ' and ')}".rstrip()
            for field in table.fields
        )
    return lines


@click.command("match")
@pass_common
@click.option("--dry-run", is_flag=True, help="Count, and write no proposal.")
def match(common: Common, dry_run: bool) -> None:
    """Propose UPNs by exact match of the SSD with the landed pupils, into the table xporter_match.

    Nothing is written to the SSD or to a payload: a worker looks at each proposal and accepts it in the case system.
    """
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.cohort import people, pupils, write_proposals
    from api_pipeline.xporter.collect import utc_now
    from api_pipeline.xporter.match import KINDS, proposals
    from api_pipeline.xporter.opening import open_landing

    with session(common, Purpose.DATABASE) as started, open_landing(started.settings) as store:
        store.check()
        found = proposals(people(store.connection, started.settings.staging.ssd_schema), pupils(store))
        if not dry_run:
            write_proposals(store, found, utc_now())
    if common.quiet:
        return
    for kind, meaning in KINDS.items():
        click.echo(f"{sum(item.kind == kind for item in found):>6}  {kind}: {meaning}")
    if not dry_run:
        click.echo("The proposals are in the table xporter_match; look at each before you accept it.")


@click.command("config")
@pass_common
def config(_common: Common) -> None:
    """Print the collector's settings, with meanings and defaults, as they stand in a .env file beside the others."""
    from api_pipeline.settings.reference import xporter_example

    click.echo(xporter_example(), nl=False)


@click.command("deploy-schema")
@pass_common
@click.option("--apply", "is_applied", is_flag=True, help="Run the script on the configured database.")
@click.option(
    "--dialect",
    type=click.Choice(["sqlserver", "postgresql", "sqlite"]),
    help="Print the script for this database, without connecting to any.",
)
def deploy_schema(common: Common, is_applied: bool, dialect: str | None) -> None:
    """Print the script of the landing tables for the chosen endpoints, or run it with --apply; drops nothing."""
    from api_pipeline.settings.model import Purpose
    from api_pipeline.sql.identifiers import Dialect
    from api_pipeline.xporter.layout import Names
    from api_pipeline.xporter.opening import chosen
    from api_pipeline.xporter.schema import render

    if dialect is not None and is_applied:
        raise click.UsageError("--dialect prints a script for another database; it does not go with --apply.")
    with session(common, Purpose.NOTHING if dialect else Purpose.DATABASE) as started:
        settings = started.settings
        if dialect is not None:
            endpoints = [choice.endpoint for choice in chosen(settings)]
            click.echo(render(Names(Dialect(dialect), settings.xporter.schema), endpoints, with_ssd=""), nl=False)
            return
        _print_or_apply(settings, is_applied=is_applied, quiet=common.quiet)


def _print_or_apply(settings: Settings, *, is_applied: bool, quiet: bool) -> None:
    from api_pipeline.xporter.cohort import has_ssd, ssd_prefix
    from api_pipeline.xporter.opening import chosen, open_landing
    from api_pipeline.xporter.schema import render, statements

    endpoints = [choice.endpoint for choice in chosen(settings)]
    with open_landing(settings, create=is_applied) as store:
        schema = settings.staging.ssd_schema
        prefix = ssd_prefix(store.connection, schema) if has_ssd(store.connection, schema) else None
        if not is_applied:
            click.echo(render(store.names, endpoints, with_ssd=prefix), nl=False)
            return
        made = statements(store.names, endpoints, with_ssd=prefix)
        with store.connection.transaction():
            for statement in made:
                store.connection.execute(statement)
    if quiet:
        return
    click.echo(f"The landing tables of {len(endpoints)} endpoints are there; {len(made)} statements were run.")
    if prefix is None:
        click.echo("The SSD's tables are not there, so the view of each child's attendance was not made.")
