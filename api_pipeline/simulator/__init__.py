"""The embedded receiver: the Children's Social Care API as its contract reads, with faults on demand.

A rehearsal tool of the product (`demo`, `simulate-api`, testing mode) and the other side of every test. It shares no
code with the sending side.
"""

from api_pipeline.simulator.core import (
    BASE_PATH,
    CLIENT_ID,
    CLIENT_SECRET,
    LA_CODE,
    SCOPE,
    SUPPLIER_KEY,
    TOKEN_PATH,
    Answer,
    Options,
    Seen,
    Simulator,
)
from api_pipeline.simulator.faults import Fault, Refusal
from api_pipeline.simulator.http import SimulatorServer, serve

__all__ = [
    "BASE_PATH",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "LA_CODE",
    "SCOPE",
    "SUPPLIER_KEY",
    "TOKEN_PATH",
    "Answer",
    "Fault",
    "Options",
    "Refusal",
    "Seen",
    "Simulator",
    "SimulatorServer",
    "serve",
]
