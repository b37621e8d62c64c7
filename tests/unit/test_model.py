"""What a receiver may hold of a child: the states, those that a payload is planned from, and what is written down."""

from __future__ import annotations

import pytest

from api_pipeline.model import Baseline, InDoubt

MINE, OTHER, NEVER = "a" * 64, "b" * 64, ""
SENT = "sent"


@pytest.mark.parametrize(
    ("baseline", "states", "is_repeated"),
    [
        (Baseline(), (), True),
        (Baseline("held"), ("held",), True),
        (Baseline("held", in_doubt=InDoubt(SENT, MINE)), ("held",), True),
        (Baseline("held", in_doubt=InDoubt(SENT, OTHER)), ("held", "sent"), False),
        (Baseline("held", in_doubt=InDoubt(None, OTHER)), ("held", None), False),
        (Baseline("held", in_doubt=InDoubt(None, NEVER)), ("held", None), False),
        (Baseline(in_doubt=InDoubt(SENT, MINE)), (), True),
        (Baseline(in_doubt=InDoubt(SENT, OTHER)), ("{}", "sent"), False),
    ],
)
def test_payload_is_planned_from_every_state_except_its_own(
    baseline: Baseline, states: tuple[str | None, ...], is_repeated: bool
) -> None:
    assert baseline.states_before(is_repeated=is_repeated) == states


@pytest.mark.parametrize("baseline", [Baseline("held"), Baseline(in_doubt=InDoubt(None, NEVER))])
def test_only_a_baseline_without_any_state_is_empty(baseline: Baseline) -> None:
    assert Baseline().is_empty
    assert not baseline.is_empty
