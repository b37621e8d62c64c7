"""`sdr test-endpoint`: the whole way to TEC, step by step, without a record."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common
from api_pipeline.commands.sdr.common import sdr_session


@click.command("test-endpoint")
@pass_common
@json_option
def command(common: Common, as_json: bool) -> None:
    """Test the way to TEC: DNS, TCP, proxy, TLS, ESL token, the list of returns. Stop at the first failure."""
    from api_pipeline.assembly.sdr import endpoint_report
    from api_pipeline.commands.checking import finish, settings_failing
    from api_pipeline.sdr.settings import Purpose

    with (
        settings_failing("test-endpoint", as_json=as_json),
        sdr_session(common, Purpose.LOOK, {"TESTING_MODE": "false"}) as started,
    ):
        report = endpoint_report(started.settings, started.observers())
        finish(report, started.redactor, as_json=as_json, quiet=common.quiet)
