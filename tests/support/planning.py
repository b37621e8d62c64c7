"""A planner over a real staging table, and the steps that it gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from api_pipeline.db.retry import RetryBudget, Retrying
from api_pipeline.delivery.pages import Pages, PlanOptions
from api_pipeline.delivery.planner import Planner, Step
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.plan import Policy
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_summary import Counts

HERE = "https://receiver.example/1"
AT = datetime(2026, 11, 1, 2, 0, 0)  # noqa: DTZ001 - the control tables' times are UTC without a zone
RECEIPT = "0f8fad5b-d9cb-469f-a165-70867728950e"
OPTIONS = PlanOptions(
    selection=Selection(),
    policy=Policy(deltas=False),
    receiver=HERE,
    control_tables=True,
    schema_check="reject",
    schema_codes="warn",
    testing=False,
    people={},
)


class Plan:
    """A planner with what it found."""

    def __init__(self, store: StagingTable, options: PlanOptions = OPTIONS) -> None:
        self.findings: list[tuple[str, Finding]] = []
        pages = Pages(
            store,
            options,
            Checker(date(2026, 11, 27)),
            Retrying(store.connection, RetryBudget(0, lambda: 0, lambda _: None)),
        )
        self.planner = Planner(pages, Counts(), lambda person, finding: self.findings.append((person, finding)))
        self._rounds = self.planner.rounds()

    def next_round(self) -> Iterator[Step]:
        """Return the steps of the next round, none behind the last."""
        return next(self._rounds, iter(()))

    def steps(self) -> list[Step]:
        """Return all steps of the next round."""
        return list(self.next_round())


def put_held(store: StagingTable, person: str, payload: object) -> None:
    """Record a payload as the baseline of a child."""
    text = json.dumps(payload, separators=(",", ":"))
    Baselines(store, HERE).insert([(person, text, "", RECEIPT, AT)])


def row_ids(steps: Sequence[Step]) -> list[int]:
    """Return the ids of the rows of steps."""
    return [step.row.id for step in steps]
