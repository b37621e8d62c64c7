"""Serve the simulated TEC over real HTTP on this machine, for `sdr simulate`, the demo and the tests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from api_pipeline.common.gc_tuning import seldom_collected
from api_pipeline.run_summary import counted
from api_pipeline.sandbox.simulator.http import LoopbackServer
from api_pipeline.sandbox.simulator.serving import wait_until_stopped
from api_pipeline.sandbox.simulator.tec.options import TOKEN_PATH, TecOptions
from api_pipeline.sandbox.simulator.tec.service import TecSimulator


class TecServer(LoopbackServer[TecSimulator]):
    """Serve a simulated TEC; the arguments are those of `LoopbackServer`."""

    def __init__(
        self,
        simulator: TecSimulator | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certfile: Path | None = None,
        keyfile: Path | None = None,
    ) -> None:
        super().__init__(simulator or TecSimulator(), host=host, port=port, certfile=certfile, keyfile=keyfile)

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


def run_tec_server(
    port: int, options: TecOptions, echo: Callable[[str], None], stop: threading.Event | None = None
) -> None:
    """Serve until `stop` is set, Ctrl-C or `/_control/die`. Errors: SettingsError for a port that is taken."""
    stop = stop or threading.Event()
    with seldom_collected(), TecServer(TecSimulator(options), port=port) as server:
        echo("The simulated TEC is serving on this machine only; stop it with Ctrl-C. Its settings:")
        for line in tec_settings_lines(server):
            echo(line)
        echo(f"Ask and steer it under {server.origin}/_control/")
        wait_until_stopped(server, stop)
    counts = server.simulator.counts()
    records = counted(counts["records"], "{record was|records were}")
    echo(f"Stopped: {counted(counts['requests'], '{request|requests}')} came, {records} taken.")


def tec_settings_lines(server: TecServer) -> list[str]:
    """Return the lines of a settings file that point the commands at a server."""
    return [f"{name}={value}" for name, value in server.settings().items()]
