"""`xporter deploy-schema`: the script of the landing tables, printed or applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session
from api_pipeline.commands.schema_options import check_options, script_options
from api_pipeline.run_summary import counted

if TYPE_CHECKING:
    from api_pipeline.settings.model import Settings


@click.command("deploy-schema")
@pass_common
@script_options()
@json_option
def command(common: Common, is_applied: bool, dialect: str | None, as_json: bool) -> None:
    """Print the script of the landing tables for the chosen endpoints, or run it with --apply.

    It makes what is missing and brings the views of an earlier version up to date; no table and no row is dropped.
    """
    from api_pipeline.settings.model import Purpose
    from api_pipeline.sql.identifiers import Dialect
    from api_pipeline.xporter.layout import Names
    from api_pipeline.xporter.opening import chosen
    from api_pipeline.xporter.schema import render

    check_options(dialect, is_applied=is_applied, as_json=as_json)
    with session(common, Purpose.NOTHING if dialect else Purpose.DATABASE, has_testing_mode=False) as started:
        settings = started.settings
        if dialect is not None:
            endpoints = [choice.endpoint for choice in chosen(settings)]
            click.echo(render(Names(Dialect(dialect), settings.xporter.schema), endpoints, with_ssd=""), nl=False)
            return
        _print_or_apply(settings, is_applied=is_applied, quiet=common.quiet, as_json=as_json)


def _print_or_apply(settings: Settings, *, is_applied: bool, quiet: bool, as_json: bool) -> None:
    from api_pipeline.documents import xporter as documents
    from api_pipeline.sql.identifiers import schema_prefix
    from api_pipeline.xporter.cohort import has_ssd
    from api_pipeline.xporter.opening import chosen, open_landing
    from api_pipeline.xporter.schema import has_attendance, render, statements

    endpoints = [choice.endpoint for choice in chosen(settings)]
    with open_landing(settings, create=is_applied) as store:
        schema = settings.staging.ssd_schema
        prefix = schema_prefix(schema, store.connection.dialect) if has_ssd(store.connection, schema) else None
        if not is_applied:
            click.echo(render(store.names, endpoints, with_ssd=prefix, views=store.views()), nl=False)
            return
        made = statements(store.names, endpoints, with_ssd=prefix, views=store.views())
        with store.connection.transaction():
            for statement in made:
                store.connection.execute(statement)
    if as_json:
        names = [endpoint.name for endpoint in endpoints]
        has_view = prefix is not None and has_attendance(endpoints)
        print_json(documents.deployed(names, len(made), has_attendance_view=has_view))
    if quiet or as_json:
        return
    click.echo(
        f"The landing tables of {counted(len(endpoints), '{endpoint|endpoints}')} are there; "
        f"{counted(len(made), '{statement was|statements were}')} run."
    )
    if prefix is None:
        click.echo("The SSD's tables are not there, so the view of each child's attendance was not made.")
