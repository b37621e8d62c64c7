"""Serve the simulated TEC over real HTTP on this machine, for `sdr simulate`, the demo and the tests."""

from __future__ import annotations

import threading
from collections.abc import Callable

from api_pipeline.common.gc_tuning import seldom_collected
from api_pipeline.run_summary import counted
from api_pipeline.sandbox.simulator.http import LoopbackServer
from api_pipeline.sandbox.simulator.serving import wait_until_stopped
from api_pipeline.sandbox.simulator.tec.options import TOKEN_PATH, TecOptions
from api_pipeline.sandbox.simulator.tec.service import TecSimulator


class TecServer(LoopbackServer[TecSimulator]):
    """Serve a simulated TEC."""

    @property
    def token_url(self) -> str:
        """Return the value for SDR_TOKEN_ENDPOINT."""
        return f"{self.origin}{TOKEN_PATH}"

    def settings(self) -> dict[str, str]:
        """Return the settings that lead to this server."""
        options = self.simulator.options
        return {
            "SDR_API_ENDPOINT": self.origin,
            "SDR_EID": options.eid,
            "SDR_TOKEN_ENDPOINT": self.token_url,
            "SDR_CLIENT_ID": options.client_id,
            "SDR_CLIENT_SECRET": options.client_secret,
            "SDR_SCOPE": options.scope,
        }


def run_tec_server(port: int, options: TecOptions, echo: Callable[[str], None], stop: threading.Event) -> None:
    """Serve until `stop` is set, Ctrl-C or `/_control/die`. Errors: SettingsError for a port that is taken."""
    with seldom_collected(), TecServer(TecSimulator(options), port=port) as server:
        echo("The simulated TEC is serving on this machine only; stop it with Ctrl-C. Its settings:")
        for name, value in server.settings().items():
            echo(f"{name}={value}")
        echo(f"Ask and steer it under {server.origin}/_control/")
        wait_until_stopped(server, stop)
    counts = server.simulator.counts()
    records = counted(counts["records"], "{record was|records were}")
    echo(f"Stopped: {counted(counts['requests'], '{request|requests}')} came, {records} taken.")
