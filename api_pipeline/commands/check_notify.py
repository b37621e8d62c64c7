"""`test-notify`: send a test message through each channel that is set."""

from __future__ import annotations

import click

from api_pipeline.commands.checking import finish, settings_failing
from api_pipeline.commands.common import Common, json_option, pass_common, session


@click.command("test-notify")
@pass_common
@json_option
def command(common: Common, as_json: bool) -> None:
    """Send a test message by webhook, mail and ping, as far as the settings name them. Exit code 5 if one fails."""
    from api_pipeline.notify.trial import try_notifications
    from api_pipeline.settings.model import Purpose

    with settings_failing("test-notify", as_json=as_json), session(common, Purpose.NOTIFY) as started:
        report = try_notifications(started.settings, started.run_id)
        redact = started.redactor
    finish(report, redact, as_json=as_json, quiet=common.quiet)
