"""The law of PURGE_VANISHED=false: the baseline says what a merging receiver holds, or that it is not known."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_pipeline.model import Baseline, InDoubt, Record, UpToDate
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import parse_payload
from tests.properties.model import Json, Maker, apply, content
from tests.properties.planned import ROW, receive, seeds, steps, text_of
from tests.support.effort import examples


@settings(max_examples=examples(60, 500), deadline=None)
@given(seed=seeds)
def test_without_purges_the_baseline_equals_a_merging_receiver(seed: int) -> None:
    maker = Maker(seed, doubtful=False)
    before = maker.payload()
    now = maker.next_version(before)
    policy = Policy(deltas=False, purge_vanished=False)
    record = plan(ROW, parse_payload(text_of(now)), Baseline(text_of(before)), policy)
    noted = text_of(before) if isinstance(record, UpToDate) else record.held_after
    after = apply(None, before)
    if isinstance(record, Record):
        after = apply(after, json.loads(record.body))
    assert noted is not None
    assert content(json.loads(noted)) == content(after)


@settings(max_examples=examples(60, 500), deadline=None)
@given(seed=seeds, arrived=st.booleans(), was_killed=st.booleans())
def test_without_purges_no_part_counts_as_held_that_an_earlier_try_may_have_purged(
    seed: int, arrived: bool, was_killed: bool
) -> None:
    """PURGE_VANISHED became false between a record without an answer and the next run, which sends the same payload."""
    maker = Maker(seed, doubtful=False)
    before = maker.payload()
    now = maker.next_version(before)
    tried = plan(ROW, parse_payload(text_of(now)), Baseline(text_of(before)), Policy(deltas=False))
    if isinstance(tried, UpToDate):
        return
    true = apply(apply(None, before), json.loads(tried.body)) if arrived else apply(None, before)
    unanswered = InDoubt(None if was_killed else tried.held_after, sent_of=tried.intent_hash)
    baseline = Baseline(text_of(before), in_doubt=unanswered)
    record = plan(ROW, parse_payload(text_of(now)), baseline, Policy(deltas=False, purge_vanished=False))
    assert isinstance(record, Record)
    true = apply(true, json.loads(record.body))
    open_after = InDoubt(None, sent_of="") if record.stays_in_doubt else None
    after = Baseline(record.held_after, in_doubt=open_after)
    # What vanished comes back: no part of it may be missing at the receiver in the end.
    for policy in (Policy(deltas=False), Policy(deltas=True)):
        assert content(receive(true, steps(text_of(before), after, policy), "merge")) == content(before)


@pytest.mark.parametrize("was_killed", [False, True])
def test_record_repeated_without_purges_leaves_no_doubt_if_it_was_tried_without_purges(*, was_killed: bool) -> None:
    held: Json = {"la_child_id": "C1", "health_and_wellbeing": {}, "child_details": {"sex": "F"}}
    now: Json = {"la_child_id": "C1", "child_details": {"sex": "M"}}
    policy = Policy(deltas=False, purge_vanished=False)
    tried = plan(ROW, parse_payload(text_of(now)), Baseline(text_of(held)), policy)
    assert isinstance(tried, Record)
    unanswered = InDoubt(None if was_killed else tried.held_after, sent_of=tried.intent_hash)
    again = plan(ROW, parse_payload(text_of(now)), Baseline(text_of(held), in_doubt=unanswered), policy)
    assert isinstance(again, Record)
    assert (again.held_after, again.stays_in_doubt) == (tried.held_after, False)


@pytest.mark.parametrize(
    "now",
    [
        {"child_details": {"sex": "M"}, "social_care_episodes": [{"social_care_episode_id": "a", "purge": True}]},
        {"child_details": {"purge": True}, "social_care_episodes": []},
        {"social_care_episodes": [{"social_care_episode_id": "b", "adoption": {"purge": True}}]},
        {"social_care_episodes": [{"social_care_episode_id": "b", "purge": True}, {"social_care_episode_id": "c"}]},
    ],
)
def test_part_that_a_staged_payload_purges_is_not_held_without_purges_of_our_own(now: Json) -> None:
    adoption = {"adoption": {"placed_date": "2025-02-02"}}
    episodes = [{"social_care_episode_id": "a"}, {"social_care_episode_id": "b", **adoption}]
    before: Json = {"la_child_id": "C1", "child_details": {"sex": "F"}, "social_care_episodes": episodes}
    now = {"la_child_id": "C1", **now}
    policy = Policy(deltas=False, purge_vanished=False)
    record = plan(ROW, parse_payload(text_of(now)), Baseline(text_of(before)), policy)
    assert isinstance(record, Record)
    assert content(json.loads(record.held_after or "")) == content(apply(before, now))
