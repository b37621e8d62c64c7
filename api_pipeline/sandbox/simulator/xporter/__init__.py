"""The simulated School Data API: schools with pupils, secrets, scopes and moods, for rehearsals, tests and the demo.

`XporterSimulator` answers requests, `XporterServer` serves one on this machine, `School` is one invented school with
its moves (enrol, leave, change, withhold, revoke). It shares no code with the collector; its tables follow the
packaged catalogue of the published reference.
"""

from api_pipeline.sandbox.simulator.xporter.core import (
    GET_TOKEN_PATH,
    MANAGEMENT_SECRET,
    RELYING_PARTY,
    XporterSimulator,
)
from api_pipeline.sandbox.simulator.xporter.data import SchoolConditions
from api_pipeline.sandbox.simulator.xporter.quirks import Quirk
from api_pipeline.sandbox.simulator.xporter.school import ALL_SCOPES, School, make_school
from api_pipeline.sandbox.simulator.xporter.serving import XporterServer

__all__ = [
    "ALL_SCOPES",
    "GET_TOKEN_PATH",
    "MANAGEMENT_SECRET",
    "RELYING_PARTY",
    "Quirk",
    "School",
    "SchoolConditions",
    "XporterServer",
    "XporterSimulator",
    "make_school",
]
