"""`sdr returns`: the return periods that TEC lists."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import click

from api_pipeline.commands.common import Common, pass_common
from api_pipeline.commands.sdr.common import mode_option, mode_settings, sdr_session


@click.command("returns")
@pass_common
@mode_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(common: Common, testing: bool | None, as_json: bool) -> None:
    """List the return periods, the indicative ones among them, with their windows and states."""
    from api_pipeline.sdr.nouns import ReturnPeriod, state_of
    from api_pipeline.sdr.settings import Purpose
    from api_pipeline.sdr_assembly import receiver_alone

    def day(moment: datetime | None) -> str:
        return f"{moment.astimezone(timezone.utc):%Y-%m-%d}" if moment else ""

    def document(one: ReturnPeriod) -> dict[str, object]:
        return {
            "return_id": one.return_id,
            "year": one.year,
            "month": one.month,
            "type": one.kind,
            "status": one.status,
            "state": state_of(one.status).value,
            "opens": one.opens.isoformat() if one.opens else None,
            "closes": one.closes.isoformat() if one.closes else None,
            "is_open": one.is_open(datetime.now(timezone.utc)),
        }

    with (
        sdr_session(common, Purpose.LOOK, mode_settings(testing)) as started,
        receiver_alone(started.settings, started.observers()) as receiver,
    ):
        found = receiver.returns()
    if as_json:
        click.echo(json.dumps([document(one) for one in found], indent=2))
        return
    if not found:
        click.echo("TEC lists no return for this organisation.")
    for one in found:
        is_open = "open now" if one.is_open(datetime.now(timezone.utc)) else "not open"
        window = f"{day(one.opens)} to {day(one.closes)}"
        click.echo(f"{one.return_id:<8} {one.kind or '-':12} {one.status or '-':14} {window:26} {is_open}")
