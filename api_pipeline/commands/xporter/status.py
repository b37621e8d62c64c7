"""`xporter status`: the age of each school's data."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session


@click.command("status")
@pass_common
@json_option
def command(common: Common, as_json: bool) -> None:
    """Show each school and endpoint: rows, age of the last complete round, age of the data, what went wrong last.

    Exit code 1 where a round is older than XPORTER_STALE_AFTER_HOURS.
    """
    from api_pipeline.documents import xporter as documents
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.opening import open_landing, overview_of
    from api_pipeline.xporter.status import status_lines

    with session(common, Purpose.DATABASE, has_testing_mode=False) as started, open_landing(started.settings) as store:
        store.check()
        result = overview_of(started.settings, store)
    if as_json:
        print_json(documents.status(result))
    else:
        for line in status_lines(result):
            click.echo(line)
    raise SystemExit(1 if result.has_stale else 0)
