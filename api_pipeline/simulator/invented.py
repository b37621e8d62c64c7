"""The invented credentials and addresses of the simulator; they open nothing but the simulator itself."""

from __future__ import annotations

from api_pipeline.simulator.core import Simulator
from api_pipeline.simulator.options import CLIENT_ID, CLIENT_SECRET, LA_CODE, SCOPE, SUPPLIER_KEY, Options

# Names under `.invalid` never resolve: should such an address ever reach a real network, nothing is there.
BASE_URL = "https://simulator.invalid/children-in-social-care-data-receiver-test/1"
TOKEN_URL = "https://simulator.invalid/oauth2/v2.0/token"  # noqa: S105 - an address, not a secret
CHILDREN_URL = f"{BASE_URL}/children_social_care_data/{LA_CODE}/children"

__all__ = [
    "BASE_URL",
    "CHILDREN_URL",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "LA_CODE",
    "SCOPE",
    "SUPPLIER_KEY",
    "TOKEN_URL",
    "simulator",
]


def simulator() -> Simulator:
    """Gives the simulator of testing mode: it checks everything and keeps nothing, so that memory stays flat."""
    return Simulator(Options(keep_payloads=False))
