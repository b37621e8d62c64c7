"""`test-db-connection`: whether the configured database can be opened, and what it is."""

from __future__ import annotations

import click

from api_pipeline.commands.checking import run_test
from api_pipeline.commands.common import Common, json_option, pass_common


@click.command("test-db-connection")
@pass_common
@json_option
def command(common: Common, as_json: bool) -> None:
    """Open the configured database, run SELECT 1, and name driver, server, database, login and server version."""
    from api_pipeline.diagnostics.database import check_connection
    from api_pipeline.settings.model import Purpose

    run_test(
        common,
        "test-db-connection",
        Purpose.DATABASE,
        lambda started: check_connection(started.settings),
        as_json=as_json,
    )
