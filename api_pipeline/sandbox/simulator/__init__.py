"""The embedded receiver, for rehearsals, tests and testing mode: faithful to the contract, with faults on demand.

`Simulator` answers requests, `SimulatorServer` serves one over HTTP on this machine, `run_server` does so until it is
stopped. `adapter.InProcessAdapter` answers inside the process; it is not imported here because it needs `requests`.
It shares no code with the sending side.
"""

from api_pipeline.sandbox.simulator.answer import Answer, Ending
from api_pipeline.sandbox.simulator.core import Simulator
from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, FaultTarget, When
from api_pipeline.sandbox.simulator.http import SimulatorServer
from api_pipeline.sandbox.simulator.options import (
    BASE_PATH,
    CLIENT_ID,
    CLIENT_SECRET,
    LA_CODE,
    SCOPE,
    SUPPLIER_KEY,
    TOKEN_PATH,
    Conditions,
    Options,
    Reading,
    ReceiptShape,
    Refusal,
    RefusalForm,
)
from api_pipeline.sandbox.simulator.request_log import LoggedRequest
from api_pipeline.sandbox.simulator.serving import run_hostile_gateway, run_server

__all__ = [
    "BASE_PATH",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "LA_CODE",
    "SCOPE",
    "SUPPLIER_KEY",
    "TOKEN_PATH",
    "Answer",
    "Conditions",
    "Ending",
    "Fault",
    "FaultKind",
    "FaultTarget",
    "LoggedRequest",
    "Options",
    "Reading",
    "ReceiptShape",
    "Refusal",
    "RefusalForm",
    "Simulator",
    "SimulatorServer",
    "When",
    "run_hostile_gateway",
    "run_server",
]
