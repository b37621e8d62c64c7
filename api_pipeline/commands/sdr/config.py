"""`sdr config`: the settings of the Single Data Return."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import sdr_session


@click.command("config")
@pass_common
@click.option("--example", is_flag=True, help="Print a settings file with every setting and its meaning.")
@json_option
def command(common: Common, example: bool, as_json: bool) -> None:
    """Check the settings, or print an example file with --example. Secrets are never shown."""
    from api_pipeline.documents import sdr as documents
    from api_pipeline.sdr.opening import base_url
    from api_pipeline.sdr.settings import Purpose, env_example

    if example and as_json:
        raise click.UsageError("--json does not go with --example, which prints a settings file.")
    if example:
        click.echo(env_example(), nl=False)
        return
    with sdr_session(common, Purpose.SUBMIT) as started:
        settings = started.settings
    where = "a simulated TEC in this process (testing)" if settings.testing_mode else base_url(settings.api_endpoint)
    if as_json:
        mode = "testing" if settings.testing_mode else "live"
        print_json(documents.settings(settings.table_name, mode, where))
        return
    click.echo(f"Every setting can be used. Staging table {settings.table_name}; TEC: {where}.")
