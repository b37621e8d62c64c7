"""`test-endpoint`: the whole way to the receiver, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from api_pipeline.commands.checking import run_test
from api_pipeline.commands.common import Common, Session, json_option, pass_common

if TYPE_CHECKING:
    from api_pipeline.diagnostics.steps import Report


@click.command("test-endpoint")
@pass_common
@click.option("--send-test-record", is_flag=True, help="Also send one invented child; only to a test endpoint.")
@json_option
def command(common: Common, send_test_record: bool, as_json: bool) -> None:
    """Test the way to the receiver: DNS, TCP, proxy, TLS, token, one harmless request. Stop at the first failure."""
    from api_pipeline.diagnostics.endpoint import check_endpoint, check_may_send_record
    from api_pipeline.settings.model import Purpose

    def test(started: Session) -> Report:
        if send_test_record:
            check_may_send_record(started.settings)
        return check_endpoint(started.settings, started.redactor.add, send_test_record=send_test_record)

    run_test(common, "test-endpoint", Purpose.ENDPOINT, test, as_json=as_json)
