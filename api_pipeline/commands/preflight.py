"""`preflight`: a read-only SQL script that checks the council's own tables, for a database administrator."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, pass_common


@click.command("preflight")
@pass_common
@click.option(
    "--dialect",
    type=click.Choice(["sqlserver", "postgresql", "sqlite"]),
    default="sqlserver",
    show_default=True,
    help="Write the script for this database.",
)
@click.option(
    "--schema",
    default="",
    metavar="NAME",
    help="Use this schema (or database.schema) of the council's own tables, if it is not the default one.",
)
def command(common: Common, dialect: str, schema: str) -> None:  # noqa: ARG001 - every command takes the common options
    """Print a read-only SQL script that checks the council's own tables (SSD): ids, lengths, codes and dates.

    It needs neither settings nor a connection. Run what it prints in your database's own tool: each rule gives one row,
    with the number of rows that break it and the key of one of them.
    """
    from api_pipeline.sql.identifiers import Dialect
    from api_pipeline.staging.preflight import render

    click.echo(render(Dialect(dialect), schema), nl=False)
