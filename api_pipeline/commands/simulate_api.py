"""`simulate-api`: the embedded receiver, for rehearsals and load tests."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, pass_common, session


@click.command("simulate-api")
@pass_common
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Listen on this port; 0 takes a free one.",
)
@click.option(
    "--latency-ms", type=click.IntRange(0), default=0, show_default=True, help="Wait so long before each answer."
)
@click.option(
    "--rate-limit", type=click.FloatRange(min=0, min_open=True), help="Accept at most so many requests a second."
)
@click.option(
    "--reading",
    type=click.Choice(["merge", "replace"]),
    default="merge",
    show_default=True,
    help="Merge a record into the child's baseline, or replace the baseline.",
)
@click.option(
    "--token-lifetime",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    help="Let a token expire after so many seconds.",
)
@click.option("--check/--no-check", default=True, show_default=True, help="Check every record against the schema.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep accepted records in memory.")
def command(
    common: Common,
    port: int,
    latency_ms: int,
    rate_limit: float | None,
    reading: str,
    token_lifetime: float,
    check: bool,
    keep: bool,
) -> None:
    """Serve the embedded receiver on 127.0.0.1 until Ctrl-C, and print the settings that lead to it."""
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.sandbox.simulator import Conditions, Options, Reading, run_server
    from api_pipeline.settings.model import Purpose

    conditions = Conditions(latency_s=latency_ms / 1000, rate_limit=rate_limit, reading=Reading(reading))
    options = Options(token_lifetime_s=token_lifetime, check_schema=check, keep_payloads=keep, conditions=conditions)
    with session(common, Purpose.NOTHING):
        stop = stop_on_signals()
        run_server("127.0.0.1", port, options, click.echo, stop)
