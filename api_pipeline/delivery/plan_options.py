"""How the rows of a run are planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.superseded import RowsOfPerson
from api_pipeline.payload import Policy


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How rows are planned: `receiver` is the key of its baselines; `control_tables` whether they are kept.

    `schema_check` and `schema_codes` are "reject", "warn" or "off"; `limit` is the most rows taken, None for all;
    `testing` whether nothing is sent, and nothing recorded either. `people` are those with more than one row.
    """

    selection: Selection
    policy: Policy
    receiver: str
    control_tables: bool
    schema_check: str
    schema_codes: str
    testing: bool
    people: Mapping[str, RowsOfPerson]
    limit: int | None = None
