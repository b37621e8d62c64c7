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
    from api_pipeline.sdr.deploy import make_tables, script_for
    from api_pipeline.sdr.settings import Purpose

    if dialect is not None and is_applied:
        raise click.UsageError("--dialect prints a script for another database; it does not go with --apply.")
    with sdr_session(common, Purpose.NOTHING if dialect else Purpose.TABLES) as started:
        if not is_applied:
            click.echo(script_for(started.settings, dialect))
            return
        make_tables(started.settings)
    if not common.quiet:
        click.echo(f"The tables beside {started.settings.table_name} are there; nothing that was there was changed.")
