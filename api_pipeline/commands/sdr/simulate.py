"""`sdr simulate`: a simulated TEC on this machine."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, latency_option, pass_common, port_option
from api_pipeline.commands.sdr.common import sdr_session


@click.command("simulate")
@pass_common
@port_option(8766)
@latency_option
@click.option(
    "--batch-limit",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Accept at most this many records in one request.",
)
@click.option(
    "--keeps-data/--loses-data",
    default=True,
    help="Keep or lose what was uploaded when another submission token is issued.",
)
@click.option(
    "--validation-polls",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="Let a validation end after this many polls.",
)
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep records in memory.")
def command(
    common: Common,
    port: int,
    latency_ms: int,
    batch_limit: int,
    keeps_data: bool,
    validation_polls: int,
    keep: bool,
) -> None:
    """Serve a simulated TEC on 127.0.0.1 until Ctrl-C, and print the settings that lead to it."""
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.sandbox.simulator.tec import TecConditions, TecOptions, run_tec_server
    from api_pipeline.sdr.settings import Purpose

    conditions = TecConditions(
        latency_s=latency_ms / 1000,
        batch_limit=batch_limit,
        keeps_data=keeps_data,
        status_words=("Queued", *["InProgress"] * (validation_polls - 1)) if validation_polls else (),
    )
    with sdr_session(common, Purpose.NOTHING):
        stop = stop_on_signals()
        run_tec_server(port, TecOptions(keep_records=keep, conditions=conditions), click.echo, stop)
