"""Serve the simulated School Data API over HTTP on this machine."""

from __future__ import annotations

from api_pipeline.sandbox.simulator.http import LoopbackServer
from api_pipeline.sandbox.simulator.xporter.core import (
    GET_TOKEN_PATH,
    MANAGEMENT_SECRET,
    RELYING_PARTY,
    XporterSimulator,
)


class XporterServer(LoopbackServer[XporterSimulator]):
    """Serve a simulated School Data API over HTTP on this machine."""

    @property
    def base_url(self) -> str:
        """Return the value for XPORTER_BASE_URL."""
        return self.origin

    @property
    def token_url(self) -> str:
        """Return the value for XPORTER_TOKEN_URL."""
        return f"{self.origin}{GET_TOKEN_PATH}"

    def settings(self) -> dict[str, str]:
        """Return the settings that point the collector at this server, one secret for each open school."""
        simulator = self.simulator
        return {
            **{"XPORTER_BASE_URL": self.base_url, "XPORTER_TOKEN_URL": self.token_url},
            **{"XPORTER_RELYING_PARTY": RELYING_PARTY, "XPORTER_MANAGEMENT_SECRET": MANAGEMENT_SECRET},
            **{f"XPORTER_SECRET_{school.estab}": school.secret for school in simulator.schools.values()},
        }
