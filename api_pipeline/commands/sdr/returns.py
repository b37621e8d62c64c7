"""`sdr returns`: the return periods that TEC lists."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from api_pipeline.commands.common import Common, json_option, pass_common, print_json
from api_pipeline.commands.sdr.common import mode_option, mode_settings, sdr_session


@click.command("returns")
@pass_common
@mode_option
@json_option
def command(common: Common, testing: bool | None, as_json: bool) -> None:
    """List the return periods, the indicative ones among them, with their windows and states."""
    from api_pipeline.assembly.sdr import receiver_alone
    from api_pipeline.documents import sdr as documents
    from api_pipeline.sdr.settings import Purpose

    def day(moment: datetime | None) -> str:
        return f"{moment.astimezone(timezone.utc):%Y-%m-%d}" if moment else ""

    with (
        sdr_session(common, Purpose.LOOK, mode_settings(testing)) as started,
        receiver_alone(started.settings, started.observers()) as receiver,
    ):
        found = receiver.returns()
    now = datetime.now(timezone.utc)
    if as_json:
        print_json(documents.returns(found, now))
        return
    if not found:
        click.echo("TEC lists no return for this organisation.")
    for one in found:
        is_open = "not open" if one.why_not_open(now) else "open now"
        window = f"{day(one.opens)} to {day(one.closes)}"
        click.echo(f"{one.return_id:<8} {one.kind or '-':12} {one.status or '-':14} {window:26} {is_open}")
