"""`sdr deploy-schema`: the packaged DDL of the Single Data Return, printed or applied."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, pass_common
from api_pipeline.commands.sdr.common import sdr_session


@click.command("deploy-schema")
@pass_common
@click.option("--apply", "is_applied", is_flag=True, help="Run the script on the configured database.")
@click.option(
    "--dialect",
    type=click.Choice(["sqlserver", "postgresql", "sqlite"]),
    help="Print the script for this database, without connecting to any.",
)
def command(common: Common, is_applied: bool, dialect: str | None) -> None:
    """Print the script that makes the six tables, or run it with --apply; never drops anything."""
    from api_pipeline.db import connect
    from api_pipeline.sdr import schema
    from api_pipeline.sdr.settings import Purpose
    from api_pipeline.sql.connection_string import is_embedded
    from api_pipeline.sql.identifiers import Dialect

    if dialect is not None and is_applied:
        raise click.UsageError("--dialect prints a script for another database; it does not go with --apply.")
    purpose = Purpose.NOTHING if dialect else Purpose.TABLES
    with sdr_session(common, purpose) as started:
        table, connection_string = started.settings.table_name, started.settings.connection_string
        if dialect or (not is_applied and is_embedded(connection_string)):
            click.echo(schema.render(Dialect(dialect or "sqlite"), table))
            return
        connection = connect(connection_string, create=is_applied)
        try:
            if is_applied:
                schema.apply(connection.execute, connection.dialect, table)
            else:
                click.echo(schema.render(connection.dialect, table))
        finally:
            connection.close()
    if is_applied and not common.quiet:
        click.echo(f"The tables beside {table} are there; nothing that was there was changed.")
