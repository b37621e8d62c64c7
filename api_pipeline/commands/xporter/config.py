"""`xporter config`: the collector's settings as an example."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, pass_common


@click.command("config")
@pass_common
@click.option("--example", "_is_example", is_flag=True, help="Print the example file, as without this option.")
def command(_common: Common, _is_example: bool) -> None:
    """Print the collector's settings, with meanings and defaults, as they stand in a .env file beside the others."""
    from api_pipeline.settings.reference import xporter_example

    click.echo(xporter_example(), nl=False)
