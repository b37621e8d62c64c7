"""`requeue`: puts rows in error back to pending."""

from __future__ import annotations

import click

from api_pipeline.commands.common import (
    Common,
    json_option,
    not_empty,
    open_table,
    pass_common,
    print_json,
    table_option,
)


@click.command("requeue")
@pass_common
@table_option
@click.option("--person-id", metavar="ID", callback=not_empty, help="Put back only the rows of this person.")
@click.option(
    "--matching", metavar="TEXT", callback=not_empty, help="Put back only rows whose answer contains this text."
)
@json_option
def command(common: Common, table: str | None, person_id: str | None, matching: str | None, as_json: bool) -> None:
    """Put rows in error back to pending and say how many; the next run sends them."""
    from api_pipeline import documents
    from api_pipeline.outbox.status import requeue
    from api_pipeline.run_summary import counted

    with open_table(common, table) as (settings, store):
        rows = requeue(store, person_id=person_id, matching=matching)
    if as_json:
        print_json(documents.requeued(settings.table_name, rows))
    elif not common.quiet:
        click.echo(f"{counted(rows, '{row was|rows were}')} put back to pending in {settings.table_name}.")
