"""Serve a simulator until it is stopped: what the command `simulate-api` does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from api_pipeline.common.gc_tuning import seldom_collected
from api_pipeline.sandbox.simulator.core import Simulator
from api_pipeline.sandbox.simulator.hostile_gateway import Habits, HostileGateway
from api_pipeline.sandbox.simulator.hostile_tricks import Trick
from api_pipeline.sandbox.simulator.http import LoopbackServer, SimulatorServer
from api_pipeline.sandbox.simulator.options import Options, Reading

_LOOK_EVERY_S = 0.2
_LEFT_OUT = {Reading.MERGE: "stays as it was (merge)", Reading.REPLACE: "is removed (replace)"}


def run_server(port: int, options: Options, echo: Callable[[str], None], stop: threading.Event) -> None:
    """Serve until `stop` is set, Ctrl-C or `/_control/die`; tell by `echo` what to set, and at the end what came.

    Errors: SettingsError for a port that is not free.
    """
    with seldom_collected(), SimulatorServer(Simulator(options), port=port) as server:
        echo("The embedded receiver is serving on this machine only; stop it with Ctrl-C. Its settings:")
        for line in settings_lines(server):
            echo(line)
        echo(
            f"What a record leaves out {_LEFT_OUT[options.conditions.reading]}. What it holds, and its switches: "
            f"{server.origin}/_control/"
        )
        wait_until_stopped(server, stop)
    _say_what_came(server.simulator, server.simulator.stats().requests, echo)


def run_hostile_gateway(
    port: int,
    options: Options,
    habits: Habits,
    tricks: Sequence[Trick],
    echo: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """Serve behind a bad gateway until `stop` is set or Ctrl-C; tell as `run_server` does. Errors: SettingsError."""
    with HostileGateway(Simulator(options), habits, tricks, port=port) as gateway:
        echo("The embedded receiver is serving behind a bad gateway, on this machine only; stop it with Ctrl-C.")
        for line in settings_lines(gateway):
            echo(line)
        wait_until_stopped(gateway, stop)
    _say_what_came(gateway.simulator, gateway.requests, echo)


def _say_what_came(simulator: Simulator, requests: int, echo: Callable[[str], None]) -> None:
    stats = simulator.stats()
    echo(
        f"Stopped. Requests: {requests}, records accepted: {stats.records_accepted}, "
        f"children that the receiver holds: {stats.children_held}."
    )


def wait_until_stopped(server: LoopbackServer[Any] | HostileGateway, stop: threading.Event) -> None:
    """Wait until `stop` is set, Ctrl-C or `/_control/die`."""
    with suppress(KeyboardInterrupt):
        # On Windows, Ctrl-C cannot interrupt a wait without end.
        while not stop.wait(_LOOK_EVERY_S) and not server.stopping.is_set():
            continue


def settings_lines(server: SimulatorServer | HostileGateway) -> list[str]:
    """Return the lines of a `.env` file that point the pipeline at a server."""
    options = server.simulator.options
    return [
        f"API_ENDPOINT={server.base_url}",
        f"TOKEN_ENDPOINT={server.token_url}",
        f"CLIENT_ID={options.client_id}",
        f"CLIENT_SECRET={options.client_secret}",
        f"SCOPE={options.scope}",
        f"SUPPLIER_KEY={options.supplier_key}",
        f"LA_CODE={options.la_codes[0]}",
    ]
