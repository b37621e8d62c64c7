"""What a receiver may hold of a child: the states, those that a payload is planned from, and what is written down."""

from __future__ import annotations

import pytest

from api_pipeline.model import Baseline, InDoubt

MINE, OTHER, NEVER = "a" * 64, "b" * 64, ""
SENT = "sent"


@pytest.mark.parametrize(
    ("baseline", "states", "intent"),
    [
        (Baseline(), (), MINE),
        (Baseline("held"), ("held",), MINE),
        (Baseline("held", in_doubt=InDoubt(SENT, MINE)), ("held",), MINE),
        (Baseline("held", in_doubt=InDoubt(SENT, OTHER)), ("held", "sent"), NEVER),
        (Baseline("held", in_doubt=InDoubt(None, OTHER)), ("held", None), NEVER),
        (Baseline("held", in_doubt=InDoubt(None, NEVER)), ("held", None), NEVER),
        (Baseline(in_doubt=InDoubt(SENT, MINE)), (), MINE),
        (Baseline(in_doubt=InDoubt(SENT, OTHER)), ("{}", "sent"), NEVER),
    ],
)
def test_payload_is_planned_from_every_state_except_its_own(
    baseline: Baseline, states: tuple[str | None, ...], intent: str
) -> None:
    assert (baseline.states_before(MINE), baseline.intent(MINE)) == (states, intent)


@pytest.mark.parametrize("baseline", [Baseline("held"), Baseline(in_doubt=InDoubt(None, NEVER))])
def test_only_a_baseline_without_any_state_is_empty(baseline: Baseline) -> None:
    assert Baseline().is_empty
    assert not baseline.is_empty
