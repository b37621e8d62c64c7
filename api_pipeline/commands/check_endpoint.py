"""`test-endpoint`: the whole way to the receiver, step by step."""

from __future__ import annotations

import click

from api_pipeline.commands.checking import finish, settings_failing
from api_pipeline.commands.common import Common, json_option, pass_common, session


@click.command("test-endpoint")
@pass_common
@click.option("--send-test-record", is_flag=True, help="Also send one invented child; only to a test endpoint.")
@json_option
def command(common: Common, send_test_record: bool, as_json: bool) -> None:
    """Test the way to the receiver: DNS, TCP, proxy, TLS, token, one harmless request. Stop at the first failure."""
    from api_pipeline.diagnostics.endpoint import check_endpoint, check_may_send_record
    from api_pipeline.settings.model import Purpose

    with settings_failing("test-endpoint", as_json=as_json), session(common, Purpose.ENDPOINT) as started:
        if send_test_record:
            check_may_send_record(started.settings)
        redact = started.redactor
        report = check_endpoint(started.settings, redact.add, send_test_record=send_test_record)
    finish(report, redact, as_json=as_json, quiet=common.quiet)
