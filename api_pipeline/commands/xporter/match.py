"""`xporter match`: proposals of UPNs for a worker."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json, session


@click.command("match")
@pass_common
@click.option("--dry-run", is_flag=True, help="Count, and write no proposal.")
@json_option
def command(common: Common, dry_run: bool, as_json: bool) -> None:
    """Propose UPNs by exact match of the SSD with the landed pupils, into the table xporter_match.

    Nothing is written to the SSD or to a payload: a worker looks at each proposal and accepts it in the case system.
    Exit code 75 where a collection is at work.
    """
    from api_pipeline.common.clock import utc_now
    from api_pipeline.documents import xporter as documents
    from api_pipeline.settings.model import Purpose
    from api_pipeline.xporter.cohort import propose
    from api_pipeline.xporter.match import KINDS
    from api_pipeline.xporter.opening import open_landing

    with session(common, Purpose.DATABASE, has_testing_mode=False) as started, open_landing(started.settings) as store:
        store.check()
        found = propose(store, started.settings.staging.ssd_schema, utc_now(), is_dry_run=dry_run)
    if as_json:
        print_json(documents.matched(found, is_dry_run=dry_run))
    if common.quiet or as_json:
        return
    for kind, meaning in KINDS.items():
        click.echo(f"{sum(item.kind == kind for item in found):>6}  {kind}: {meaning}")
    if not dry_run:
        click.echo("The proposals are in the table xporter_match; look at each before you accept it.")
