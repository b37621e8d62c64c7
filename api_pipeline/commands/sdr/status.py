"""`sdr status`: what is staged, held, in doubt and refused."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import mode_option, mode_settings, sdr_session

if TYPE_CHECKING:
    from api_pipeline.sdr.statements import Scope
    from api_pipeline.sdr.store import Store


@click.command("status")
@pass_common
@click.argument("period", required=False)
@mode_option
@json_option
def command(common: Common, period: str | None, testing: bool | None, as_json: bool) -> None:
    """Show for PERIOD (or every one begun) what is staged, held, in doubt and refused. TEC is not called."""
    from api_pipeline.assembly.sdr import store_alone
    from api_pipeline.documents import sdr as documents
    from api_pipeline.sdr import returns
    from api_pipeline.sdr.checks import misplaced, misplaced_text
    from api_pipeline.sdr.settings import Purpose
    from api_pipeline.sdr.statements import Scope

    with (
        sdr_session(common, Purpose.TABLES, mode_settings(testing)) as started,
        store_alone(started.settings) as (store, receiver),
    ):
        begun = store.periods(receiver)
        wanted = [returns.find_begun(period, begun)] if period else begun
        staged = store.count_staged()
        if as_json:
            shown = [documents.return_status(store, Scope(receiver, one.return_id), one) for one in wanted]
            print_json(documents.status(shown, staged))
            return
        if words := misplaced(staged):
            click.echo(misplaced_text(words))
        if not wanted:
            click.echo(f"{sum(staged.values()):,} records are staged; no return was begun yet.")
        for one in wanted:
            click.echo(f"Return {one.name}")
            _show(store, Scope(receiver, one.return_id), staged)


def _show(store: Store, scope: Scope, staged: dict[str, int]) -> None:
    from api_pipeline.sdr.nouns import Collection
    from api_pipeline.sdr.outcome import Options
    from api_pipeline.sdr.plan import plan

    held, older, refused = store.count_held(scope), store.count_older(scope), store.count_refused(scope)
    for collection, one in plan(store, scope, Options()).items():
        name = Collection(collection).value
        count, in_doubt = held.get(name, (0, 0))
        click.echo(
            f"  {name:25} {staged.get(name, 0):9,} staged {count - in_doubt:9,} held {in_doubt:7,} in doubt "
            f"{refused.get(name, 0):7,} refused {one.put:9,} to put {one.delete:7,} to delete"
        )
        if older.get(name):
            click.echo(f"  {'':25} {older[name]:,} records at TEC may be older than yours: their new form was refused")
    _show_submission(store, scope)
    for command_name, started, finished, accepted, deleted, wrong, _, code in store.runs(scope):
        ended = f"exit code {code}" if finished else "not finished (at work, or killed)"
        click.echo(
            f"  {str(started)[:19]} {command_name:9} {accepted or 0:9,} accepted {deleted or 0:7,} deleted "
            f"{wrong or 0:7,} refused, {ended}"
        )


def _show_submission(store: Store, scope: Scope) -> None:
    found = store.submission(scope)
    if found is None:
        return
    click.echo(f"  TEC's word: {found.tec_status or 'none'} ({found.state.value})")
    if found.token:
        hours = (datetime.now(timezone.utc) - found.token.received).total_seconds() / 3600
        limit = found.token.limit or "no limit given"
        click.echo(f"  submission token: {hours:.1f} hours old; records in one request: {limit}")
    if found.declined_code == "period":
        # Our own words, about the window that TEC lists.
        click.echo(f"  declined: {found.declined_reason}")
    elif found.declined_code:
        click.echo(f"  TEC declined the last request: {found.declined_code}")
    if found.validation_received:
        click.echo(
            f"  last validation ({found.validation_received}): {found.validation_errors or 0:,} errors, "
            f"{found.validation_warnings or 0:,} warnings"
        )
