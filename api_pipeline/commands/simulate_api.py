"""`simulate-api`: the embedded receiver, for rehearsals and load tests."""

from __future__ import annotations

import click

from api_pipeline.commands.common import Common, latency_option, pass_common, port_option, session

# The values of `Trick`, written as options are; it is not imported for `--help`.
TRICKS = (
    *("login-page", "error-page", "throttled", "dropped", "interim", "many-interim", "dropped-late", "broken-off"),
    *("endless", "bomb", "dripping-head", "dripping-body", "receipt-twice", "receipt-missing", "two-answers"),
)
_INTERIM = ("100", "102", "103")


@click.command("simulate-api")
@pass_common
@port_option(8765)
@latency_option
@click.option(
    "--rate-limit", type=click.FloatRange(min=0, min_open=True), help="Accept at most this many requests a second."
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
    help="Let a token expire after this many seconds.",
)
@click.option("--check/--no-check", default=True, show_default=True, help="Check every record against the schema.")
@click.option("--keep/--no-keep", default=True, show_default=True, help="Keep accepted records in memory.")
@click.option(
    "--trick",
    "tricks",
    type=click.Choice(TRICKS),
    multiple=True,
    help="Answer one POST in this bad way; the next --trick is for the next POST, later ones are answered well.",
)
@click.option(
    "--poison",
    multiple=True,
    metavar="CHILD:STATUS",
    help="Answer every POST that holds this la_child_id with this status (500, 502, 504), or a lost connection (0).",
)
@click.option("--largest-body", type=click.IntRange(1), metavar="BYTES", help="Reset a connection with a larger body.")
@click.option("--quota", type=click.IntRange(0), metavar="N", help="Answer all requests after this many with 403.")
@click.option(
    "--interim", type=click.Choice(_INTERIM), multiple=True, help="Send this interim status before each answer."
)
def command(
    common: Common,
    port: int,
    latency_ms: int,
    rate_limit: float | None,
    reading: str,
    token_lifetime: float,
    check: bool,
    keep: bool,
    tricks: tuple[str, ...],
    poison: tuple[str, ...],
    largest_body: int | None,
    quota: int | None,
    interim: tuple[str, ...],
) -> None:
    """Serve the embedded receiver on 127.0.0.1 until Ctrl-C, and print the settings that lead to it.

    With --trick, --poison, --largest-body, --quota or --interim it serves behind a gateway that does what bad gateways
    do, for a rehearsal of bad nights. Then it cannot be controlled under /_control/.
    """
    from api_pipeline.commands.stopping import stop_on_signals
    from api_pipeline.sandbox.simulator import Conditions, Options, Reading, run_hostile_gateway, run_server
    from api_pipeline.sandbox.simulator.hostile_gateway import Habits
    from api_pipeline.sandbox.simulator.hostile_tricks import Trick
    from api_pipeline.settings.model import Purpose

    conditions = Conditions(latency_s=latency_ms / 1000, rate_limit=rate_limit, reading=Reading(reading))
    options = Options(token_lifetime_s=token_lifetime, check_schema=check, keep_payloads=keep, conditions=conditions)
    habits = Habits(_poisoned(poison), largest_body, quota, tuple(map(int, interim)))
    with session(common, Purpose.NOTHING):
        stop = stop_on_signals()
        if tricks or habits != Habits():
            planned = [Trick(name.replace("-", " ")) for name in tricks]
            run_hostile_gateway(port, options, habits, planned, click.echo, stop)
        else:
            run_server(port, options, click.echo, stop)


def _poisoned(given: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in given:
        child, _, status = text.rpartition(":")
        if not child or status not in ("0", "500", "502", "504"):
            raise click.BadParameter(
                f'expected CHILD:STATUS with the status 500, 502, 504 or 0, got "{text}".', param_hint="--poison"
            )
        found[child] = int(status)
    return found
