"""`test-notify`: send a test message through each channel that is set."""

from __future__ import annotations

import click

from api_pipeline.commands.checking import run_test
from api_pipeline.commands.common import Common, json_option, pass_common


@click.command("test-notify")
@pass_common
@json_option
def command(common: Common, as_json: bool) -> None:
    """Send a test message by webhook, mail and ping, as far as the settings name them. Exit code 5 if one fails."""
    from api_pipeline.notify.trial import try_notifications
    from api_pipeline.settings.model import Purpose

    run_test(
        common,
        "test-notify",
        Purpose.NOTIFY,
        lambda started: try_notifications(started.settings, started.run_id),
        as_json=as_json,
    )
