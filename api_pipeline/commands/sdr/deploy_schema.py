"""`sdr deploy-schema`: the packaged DDL of the Single Data Return, printed or applied."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.schema_options import check_options, script_options
from api_pipeline.commands.sdr.common import sdr_session


@click.command("deploy-schema")
@pass_common
@script_options()
@json_option
def command(common: Common, is_applied: bool, dialect: str | None, as_json: bool) -> None:
    """Print the script that makes the six tables, or run it with --apply. It drops nothing."""
    from api_pipeline.sdr.schema import make_tables, script_for
    from api_pipeline.sdr.settings import Purpose

    check_options(dialect, is_applied=is_applied, as_json=as_json)
    with sdr_session(common, Purpose.NOTHING if dialect else Purpose.TABLES) as started:
        connection_string, table = started.settings.connection_string, started.settings.table_name
        if not is_applied:
            click.echo(script_for(connection_string, table, dialect))
            return
        make_tables(connection_string, table)
    if as_json:
        print_json({"table": table, "is_applied": True})
    elif not common.quiet:
        click.echo(f"The tables beside {table} are there; nothing that was there was changed.")
