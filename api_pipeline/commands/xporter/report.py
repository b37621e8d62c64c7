"""`xporter report`: a collection as one page."""

from __future__ import annotations

from pathlib import Path

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session


@click.command("report")
@pass_common
@click.option("--run-id", metavar="ID", help="Report this collection instead of the last one.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Write the page to this folder (default: the working folder).",
)
@json_option
def command(common: Common, run_id: str | None, folder: Path, as_json: bool) -> None:
    """Write the last collection, or another, as one HTML page: counts, problems, schools, removals."""
    from api_pipeline.documents import xporter as documents
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.opening import open_landing, overview_of
    from api_pipeline.xporter.report_page import write_page

    with session(common, Purpose.DATABASE, has_testing_mode=False) as started, open_landing(started.settings) as store:
        store.check()
        path = write_page(store, overview_of(started.settings, store), folder, run_id)
    if as_json:
        print_json(documents.report(run_id, path))
    elif not common.quiet:
        click.echo(f"Report: {path}")
