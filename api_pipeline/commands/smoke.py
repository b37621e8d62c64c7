"""`smoke` (alias `run-smoke`): the three tests, a summary table, one exit code."""

from __future__ import annotations

import json

import click

from api_pipeline.commands.checking import exit_unless_ok, settings_failing, show
from api_pipeline.commands.common import Common, pass_common, session


@click.command("smoke")
@pass_common
@click.option("--table", metavar="NAME", help="Use this staging table instead of TABLE_NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(common: Common, table: str | None, as_json: bool) -> None:
    """Test the database, the staging table and the endpoint, and sum up. No record is sent."""
    from api_pipeline.diagnostics.database import check_connection, check_schema
    from api_pipeline.diagnostics.endpoint import check_endpoint
    from api_pipeline.diagnostics.steps import as_summary, exit_code_of, summary_table
    from api_pipeline.settings.model import Purpose

    options = {"TABLE_NAME": table}
    with (
        settings_failing("smoke", as_json=as_json, is_one_of_many=True),
        session(common, Purpose.SMOKE, options) as started,
    ):
        settings, redact = started.settings, started.redactor
        reports = []
        for check in (check_connection, check_schema):
            reports.append(check(settings))
            show(reports[-1], redact, as_json=as_json, quiet=common.quiet)
        reports.append(check_endpoint(settings, redact.add))
        show(reports[-1], redact, as_json=as_json, quiet=common.quiet)
    code = exit_code_of(reports)
    if as_json:
        click.echo(redact(json.dumps(as_summary(reports), indent=2)))
    elif not common.quiet or code:
        click.echo(redact("\n".join(summary_table(reports))))
    exit_unless_ok(code)
