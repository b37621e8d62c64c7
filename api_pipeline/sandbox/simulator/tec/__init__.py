"""The simulated TEC: return periods, submission tokens, five collections, validation and reset.

What TEC's published pages leave open is an option or a condition, so that a client can be tried under every reading.
It shares no code with the sending side. Start reading at `service.TecSimulator`.
"""

from api_pipeline.sandbox.simulator.tec.options import (
    BlockedAnswer,
    PutAnswer,
    SimulatedReturn,
    TecConditions,
    TecOptions,
    UnknownDelete,
)
from api_pipeline.sandbox.simulator.tec.service import TecSimulator
from api_pipeline.sandbox.simulator.tec.serving import TecServer, run_tec_server

__all__ = [
    "BlockedAnswer",
    "PutAnswer",
    "SimulatedReturn",
    "TecConditions",
    "TecOptions",
    "TecServer",
    "TecSimulator",
    "UnknownDelete",
    "run_tec_server",
]
