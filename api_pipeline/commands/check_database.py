"""`test-db-connection`: whether the configured database can be opened, and what it is."""

from __future__ import annotations

import click

from api_pipeline.commands.checking import finish, settings_failing
from api_pipeline.commands.common import Common, json_option, pass_common, session


@click.command("test-db-connection")
@pass_common
@json_option
def command(common: Common, as_json: bool) -> None:
    """Open the configured database, run SELECT 1, and name driver, server, database, login and server version."""
    from api_pipeline.diagnostics.database import check_connection
    from api_pipeline.settings.model import Purpose

    with settings_failing("test-db-connection", as_json=as_json), session(common, Purpose.DATABASE) as started:
        report = check_connection(started.settings)
        redact = started.redactor
    finish(report, redact, as_json=as_json, quiet=common.quiet)
