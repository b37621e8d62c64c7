"""`sdr status`: what is staged, held, in doubt and refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import mode_option, mode_settings, sdr_session
from api_pipeline.run_summary import counted

if TYPE_CHECKING:
    from api_pipeline.sdr.nouns import Collection
    from api_pipeline.sdr.outcome import Options
    from api_pipeline.sdr.plan import Standing
    from api_pipeline.sdr.settings import SdrSettings
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
    from api_pipeline.sdr import periods
    from api_pipeline.sdr.checks import misplaced, misplaced_text
    from api_pipeline.sdr.plan import standings
    from api_pipeline.sdr.settings import Purpose
    from api_pipeline.sdr.statements import Scope

    with (
        sdr_session(common, Purpose.TABLES, mode_settings(testing)) as started,
        store_alone(started.settings) as (store, receiver),
    ):
        begun = store.periods(receiver)
        wanted = [periods.find_begun(period, begun)] if period else begun
        staged = store.count_staged()
        options = _options(store, started.settings)
        scopes = {one: Scope(receiver, one.return_id) for one in wanted}
        if as_json:
            shown = [
                documents.return_status(store, scope, one, standings(store, scope, one, options))
                for one, scope in scopes.items()
            ]
            print_json(documents.status(shown, staged))
            return
        if words := misplaced(staged):
            click.echo(misplaced_text(words))
        if not wanted:
            click.echo(
                f"{counted(sum(staged.values()), '{record is|records are}', ',')} staged; no return was begun yet."
            )
        for one, scope in scopes.items():
            click.echo(f"Return {one.name}")
            _show_collections(standings(store, scope, one, options), staged)
            _show_submission(store, scope)
            _show_runs(store, scope)


def _options(store: Store, settings: SdrSettings) -> Options:
    """Return the options of a submission, with the records that it would hold back by SDR_CHECK."""
    from api_pipeline.sdr.checks import check_all
    from api_pipeline.sdr.nouns import Collection
    from api_pipeline.sdr.openapi import schema_check
    from api_pipeline.sdr.outcome import Options

    if settings.check != "reject":
        return Options()
    schema = schema_check(settings.schema, settings.paths) if settings.schema else None
    found = check_all(store, Collection, schema=schema)
    return Options(withheld=frozenset((error.collection, error.local_id) for error in found if error.local_id))


def _show_collections(found: Mapping[Collection, Standing], staged: Mapping[str, int]) -> None:
    for collection, one in found.items():
        click.echo(
            f"  {collection.value:25} {staged.get(collection.value, 0):9,} staged {one.held:9,} held "
            f"{one.in_doubt:7,} in doubt {one.refused:7,} refused {one.plan.put:9,} to put "
            f"{one.plan.delete:7,} to delete"
        )
        if one.older:
            older = counted(one.older, "{record|records}", ",")
            click.echo(f"  {'':25} {older} at TEC may be older than yours: TEC refused the new form")
        if one.plan.withheld:
            withheld = counted(
                one.plan.withheld, "{record cannot be sent as it is|records cannot be sent as they are}", ","
            )
            click.echo(f"  {'':25} {withheld}; see: d2i-csc-api sdr check")


def _show_runs(store: Store, scope: Scope) -> None:
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
    if found.validation_received and found.validation_errors is None:
        click.echo(f"  last validation ({found.validation_received}): it ended without results")
    elif found.validation_received:
        click.echo(
            f"  last validation ({found.validation_received}): "
            f"{counted(found.validation_errors or 0, '{error|errors}', ',')}, "
            f"{counted(found.validation_warnings or 0, '{warning|warnings}', ',')}"
        )
