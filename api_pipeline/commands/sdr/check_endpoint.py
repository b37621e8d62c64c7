"""`sdr test-endpoint`: the way to TEC, without a record."""

from __future__ import annotations

import time

import click

from api_pipeline.commands.common import Common, pass_common
from api_pipeline.commands.sdr.common import sdr_session


@click.command("test-endpoint")
@pass_common
def command(common: Common) -> None:
    """Test the way to TEC: name, connection and certificate, ESL token, and the list of returns."""
    from urllib.parse import urlsplit

    from api_pipeline.diagnostics.route import addresses_in_words
    from api_pipeline.sdr.settings import Purpose
    from api_pipeline.sdr_assembly import receiver_alone

    with sdr_session(common, Purpose.LOOK, {"TESTING_MODE": "false"}) as started:
        settings = started.settings
        for name, url in (("ESL", settings.token_endpoint), ("TEC", settings.endpoint)):
            click.echo(
                f"{name:4} {urlsplit(url).hostname}{addresses_in_words(url, uses_proxy=bool(settings.proxy_url))}"
            )
        began = time.monotonic()
        with receiver_alone(settings, started.observers()) as receiver:
            found = receiver.returns()
    click.echo(f"ok   login, header EID and GET /returns: {len(found)} returns in {time.monotonic() - began:.1f} s")
