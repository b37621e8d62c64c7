"""`xporter simulate-api`: the simulated School Data API, served."""

from __future__ import annotations

from datetime import timedelta

import click

from api_pipeline.commands.common import Common, latency_option, pass_common, port_option, session


@click.command("simulate-api")
@pass_common
@port_option(8766)
@click.option("--schools", type=click.IntRange(1, 999), default=3, show_default=True, help="Invent this many schools.")
@click.option(
    "--pupils", type=click.IntRange(1, 5000), default=20, show_default=True, help="Give each school this many pupils."
)
@latency_option
def command(common: Common, port: int, schools: int, pupils: int, latency_ms: int) -> None:
    """Serve the simulated School Data API on 127.0.0.1 until Ctrl-C, and print the settings that lead to it."""
    from api_pipeline.commands.stage import today
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.common.gc_tuning import seldom_collected
    from api_pipeline.sandbox.simulator.serving import wait_until_stopped
    from api_pipeline.sandbox.simulator.xporter import SchoolConditions, XporterServer, XporterSimulator, make_school
    from api_pipeline.settings.model import Purpose

    with session(common, Purpose.NOTHING):
        stop = stop_on_signals()
        day = today() + timedelta(days=1)
        made = [make_school(number, pupils=pupils, today=day) for number in range(1, schools + 1)]
        simulator = XporterSimulator(made, SchoolConditions(latency_s=latency_ms / 1000))
        with seldom_collected(), XporterServer(simulator, port=port) as server:
            click.echo(
                "The simulated School Data API is serving on this machine only; stop it with Ctrl-C. Its settings:"
            )
            for name, value in server.settings().items():
                click.echo(f"{name}={value}")
            wait_until_stopped(server, stop)
        click.echo(f"Stopped: {simulator.counts()['answered'].get('data', 0)} data requests were answered.")
