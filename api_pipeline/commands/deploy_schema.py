"""`deploy-schema`: the packaged DDL, printed or applied."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, pass_common, session


@click.command("deploy-schema")
@pass_common
@click.option("--apply", "is_applied", is_flag=True, help="Run the script on the configured database.")
@click.option(
    "--dialect",
    type=click.Choice(["sqlserver", "sqlserver2012", "postgresql", "sqlite"]),
    help="Print the script for this database, without connecting to any.",
)
@click.option("--table", metavar="NAME", help="Use this staging table instead of TABLE_NAME.")
def command(common: Common, is_applied: bool, dialect: str | None, table: str | None) -> None:
    """Print the script that makes the tables for the database in use, or run it with --apply. It drops nothing."""
    from api_pipeline.settings.model import Purpose
    from api_pipeline.sql import ddl
    from api_pipeline.sql.identifiers import Dialect

    if dialect is not None and is_applied:
        raise click.UsageError("--dialect prints a script for another database; it does not go with --apply.")
    if dialect is not None:
        version = "2012" if dialect == "sqlserver2012" else "2016"
        click.echo(ddl.render(Dialect(dialect.removesuffix("2012")), table or "ssd_api_data_staging", version))
        return
    with session(common, Purpose.DATABASE, {"TABLE_NAME": table}) as started:
        settings = started.settings
        _print_or_apply(settings.connection_string, settings.table_name, is_applied=is_applied, quiet=common.quiet)


def _print_or_apply(connection_string: str, table: str, *, is_applied: bool, quiet: bool) -> None:
    from api_pipeline.db import connect
    from api_pipeline.diagnostics.database import refuse_second_table
    from api_pipeline.sql import ddl
    from api_pipeline.sql.connection_string import is_embedded
    from api_pipeline.sql.identifiers import Dialect

    if not is_applied and is_embedded(connection_string):
        click.echo(ddl.render(Dialect.SQLITE, table))
        return
    connection = connect(connection_string, create=is_applied)
    try:
        if is_applied:
            refuse_second_table(connection, table)
            ddl.apply(connection.execute, connection.dialect, table)
        else:
            click.echo(ddl.render(connection.dialect, table))
    finally:
        connection.close()
    if is_applied and not quiet:
        click.echo(f"The tables of {table} are there ({connection.dialect.value}); nothing that was there was changed.")
