"""`xporter config`: the collector's settings as an example."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, pass_common


@click.command("config")
@pass_common
def command(_common: Common) -> None:
    """Print the collector's settings, with meanings and defaults, as they stand in a .env file beside the others."""
    from api_pipeline.settings.reference import xporter_example

    click.echo(xporter_example(), nl=False)
