"""`status`: the table at a glance."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, open_table, pass_common, print_json, say, table_option


@click.command("status")
@pass_common
@table_option
@json_option
def command(common: Common, table: str | None, as_json: bool) -> None:
    """Show counts by row state and submission status, the oldest pending row, frequent errors and the last runs."""
    from api_pipeline import documents
    from api_pipeline.logs.masking import mask_values
    from api_pipeline.outbox.status import overview
    from api_pipeline.reports.console import status_lines

    with open_table(common, table) as (settings, store):
        result = overview(store, settings.table_name, mask_values, receiver=settings.receiver)
    if as_json:
        print_json(documents.status(result))
        return
    for line in status_lines(result, settings.table_name):
        say(line)
