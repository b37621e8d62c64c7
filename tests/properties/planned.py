"""What is planned for a payload, record after record, and a receiver of it, for the laws of what is sent."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from api_pipeline.model import Baseline, Record, StagedRow, UpToDate
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import parse_payload
from tests.properties.model import Json, apply
from tests.support.effort import examples

ROW = StagedRow(1, "C1", False, "pending", "", None, has_previous=True)
MOST_STEPS = 2
many = settings(max_examples=examples(80, 2500), deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32)


def text_of(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def steps(now: str, baseline: Baseline, policy: Policy) -> list[Record]:
    """Plan record after record, each accepted in turn, until the last; each knew what would follow it."""
    payload, found = parse_payload(now), list[Record]()
    while not isinstance(record := plan(ROW, payload, baseline, policy), UpToDate):
        if found:
            assert isinstance(found[-1].then, Record)
            assert (found[-1].then.kind, found[-1].then.body) == (record.kind, record.body)
        found.append(record)
        assert len(found) <= MOST_STEPS
        if record.then is None:
            break
        assert record.held_after is not None
        baseline = Baseline(record.held_after)
        policy = Policy(policy.deltas, policy.purge_vanished)
    return found


def receive(held: Json | None, records: list[Record], reading: str) -> Json | None:
    for record in records:
        held = apply(held if reading == "merge" else None, json.loads(record.body))
    return held
