"""`test-schema`: whether the configured staging table is as the pipeline needs it."""

from __future__ import annotations

import click

from api_pipeline.commands.checking import run_test
from api_pipeline.commands.common import Common, json_option, pass_common, table_option


@click.command("test-schema")
@pass_common
@table_option
@json_option
def command(common: Common, table: str | None, as_json: bool) -> None:
    """Compare the staging table and the control tables with what is expected; say what is missing and what adds it."""
    from api_pipeline.diagnostics.database import check_schema
    from api_pipeline.settings.model import Purpose

    run_test(
        common,
        "test-schema",
        Purpose.DATABASE,
        lambda started: check_schema(started.settings),
        {"TABLE_NAME": table},
        as_json=as_json,
    )
