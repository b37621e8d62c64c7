"""What is read of baselines and records in doubt."""

from __future__ import annotations

import pytest

from api_pipeline.model import Baseline, InDoubt
from api_pipeline.outbox.baselines import OVERTAKEN, Baselines
from api_pipeline.outbox.staging_table import StagingTable
from tests.support.planning import AT, HERE, RECEIPT

SENT_OF = "a" * 64


def put(store: StagingTable, receipt: str | None, *, in_doubt: bool) -> Baselines:
    """Record a baseline with this receipt, if there is one, and a record in doubt beside it; return both."""
    baselines = Baselines(store, HERE)
    if receipt is not None:
        baselines.insert([("A", "{}", "", receipt, AT)])
    if in_doubt:
        baselines.mark_in_doubt("run-1", [("A", SENT_OF)], [])
    return baselines


@pytest.mark.parametrize(
    ("receipt", "in_doubt", "expected"),
    [
        (RECEIPT, False, Baseline("{}", RECEIPT)),
        (RECEIPT, True, Baseline("{}", RECEIPT, InDoubt(None, SENT_OF))),
        (None, True, Baseline(in_doubt=InDoubt(None, SENT_OF))),
        (OVERTAKEN, False, Baseline(in_doubt=InDoubt(None, ""))),
        (OVERTAKEN, True, Baseline(in_doubt=InDoubt(None, ""))),
    ],
)
def test_overtaken_baseline_says_less_than_any_record_in_doubt(
    store: StagingTable, receipt: str | None, in_doubt: bool, expected: Baseline
) -> None:
    assert put(store, receipt, in_doubt=in_doubt).read(["A"]) == {"A": expected}
