"""What a receiver may hold of a child: the states, those that a payload is planned from, and what is written down."""

from __future__ import annotations

import pytest

from api_pipeline.model import Baseline, State

MINE, OTHER, NEVER = "a" * 64, "b" * 64, ""
HELD, SENT = State("held"), "sent"


@pytest.mark.parametrize(
    ("states", "before", "intent"),
    [
        ((), (), MINE),
        ((HELD,), ("held",), MINE),
        ((HELD, State(SENT, MINE)), ("held",), MINE),
        ((HELD, State(SENT, OTHER)), ("held", "sent"), NEVER),
        ((HELD, State(None, OTHER)), ("held", None), NEVER),
        ((HELD, State(None, NEVER)), ("held", None), NEVER),
        ((State(SENT, MINE),), (), MINE),
        ((State(SENT, OTHER),), ("{}", "sent"), NEVER),
    ],
)
def test_payload_is_planned_from_every_state_except_its_own(
    states: tuple[State, ...], before: tuple[str | None, ...], intent: str
) -> None:
    baseline = Baseline(states)
    assert (baseline.before(MINE), baseline.intent(MINE)) == (before, intent)


def test_baseline_says_what_was_accepted_and_what_is_in_doubt() -> None:
    unanswered = State(SENT, OTHER)
    known = Baseline.known("held", "receipt")
    in_doubt = known.in_doubt_with(unanswered)

    assert (known.held, known.in_doubt) == ("held", None)
    assert (in_doubt.held, in_doubt.in_doubt, in_doubt.receipt) == ("held", unanswered, "receipt")
    assert Baseline().held is None
