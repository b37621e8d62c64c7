"""A synthetic SSD: invented people with every case of the mapping, for tests, benchmarks and the demo.

`SyntheticSsd` makes the people, `create_tables` and `fill` put them into a database, `SyntheticSsd.next_night` changes
them as a council's night does and `write_night` brings the database up to date.
"""

from __future__ import annotations

from api_pipeline.sandbox.synthetic_ssd.database import create_tables, fill, write_night
from api_pipeline.sandbox.synthetic_ssd.nights import Night, NightChange
from api_pipeline.sandbox.synthetic_ssd.ssd import ALL_CASES, SyntheticSsd

__all__ = [
    "ALL_CASES",
    "Night",
    "NightChange",
    "SyntheticSsd",
    "create_tables",
    "fill",
    "write_night",
]
