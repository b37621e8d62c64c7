"""`deploy-schema`: the packaged DDL, printed or applied."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, say, session, table_option
from api_pipeline.commands.schema_options import check_options, script_options


@click.command("deploy-schema")
@pass_common
@script_options("sqlserver", "sqlserver2012", "postgresql", "sqlite")
@table_option
@json_option
def command(common: Common, is_applied: bool, dialect: str | None, table: str | None, as_json: bool) -> None:
    """Print the script that makes the tables for the database in use, or run it with --apply. It drops nothing."""
    from api_pipeline import documents
    from api_pipeline.deploy import make_tables, script_for, script_of
    from api_pipeline.settings.model import Purpose

    check_options(dialect, is_applied=is_applied, as_json=as_json)
    if dialect is not None:
        click.echo(script_of(dialect, table))
        return
    with session(common, Purpose.DATABASE, {"TABLE_NAME": table}) as started:
        settings = started.settings
        if not is_applied:
            click.echo(script_for(settings.connection_string, settings.table_name))
            return
        made = make_tables(settings.connection_string, settings.table_name)
    if as_json:
        print_json(documents.deployed(settings.table_name, made))
    elif not common.quiet:
        click.echo(f"Made: {', '.join(made.made) or 'nothing'}.")
        click.echo(f"Found and left as it was: {', '.join(made.found) or 'nothing'}.")
        if made.unusable:
            say(
                f"A run cannot use what was found of {', '.join(made.unusable)}; "
                "what to change in it: d2i-csc-api test-schema"
            )
        else:
            click.echo(f"The tables of {settings.table_name} are there ({made.dialect}).")
