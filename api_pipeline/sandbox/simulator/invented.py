"""The simulator of testing mode: invented credentials and addresses, which open nothing but the simulator itself."""

from __future__ import annotations

from api_pipeline.sandbox.simulator.core import Simulator
from api_pipeline.sandbox.simulator.options import (
    BASE_PATH,
    CLIENT_ID,
    CLIENT_SECRET,
    LA_CODE,
    SCOPE,
    SUPPLIER_KEY,
    TOKEN_PATH,
    Options,
)

# Names under `.invalid` never resolve: should such an address ever reach a real network, nothing is there.
_ORIGIN = "https://simulator.invalid"
TOKEN_URL = f"{_ORIGIN}{TOKEN_PATH}"
CHILDREN_URL = f"{_ORIGIN}{BASE_PATH}/children_social_care_data/{LA_CODE}/children"

__all__ = ["CHILDREN_URL", "CLIENT_ID", "CLIENT_SECRET", "LA_CODE", "SCOPE", "SUPPLIER_KEY", "TOKEN_URL", "simulator"]


def simulator() -> Simulator:
    """Return the simulator of testing mode: it checks everything and keeps nothing, so that memory stays flat."""
    return Simulator(Options(keep_payloads=False))
