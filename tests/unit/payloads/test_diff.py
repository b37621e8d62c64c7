"""How two payloads differ: by what they say, whatever they are written like, and in unchanged parts not at all."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_pipeline.payloads.content import content
from api_pipeline.payloads.diff import compare, prune
from api_pipeline.payloads.shape import record_shape
from tests.properties.model import Json, Maker
from tests.support.effort import examples

SHAPE = record_shape()
many = settings(max_examples=examples(80, 2000), deadline=None)
EPISODE = {"social_care_episode_id": "E1", "referral_date": "2024-01-02"}
PLAN = {"child_in_need_plan_id": "P1", "start_date": "2024-02-03"}
NOW: Json = {
    "la_child_id": "C1",
    "child_details": {"first_name": "Anna"},
    "social_care_episodes": [{**EPISODE, "child_in_need_plans": [PLAN]}, {"social_care_episode_id": "E2"}],
}


@pytest.mark.parametrize("is_full", [True, False])
@many
@given(seed=st.integers(0, 2**32), doubtful=st.booleans())
def test_payloads_differ_as_what_they_say_differs(seed: int, doubtful: bool, is_full: bool) -> None:
    maker = Maker(seed, doubtful=doubtful)
    held = maker.payload()
    now = maker.next_version(held)
    assert compare(held, now, SHAPE, is_full=is_full) == compare(
        content(held, SHAPE), content(now, SHAPE), SHAPE, is_full=is_full
    )


@many
@given(seed=st.integers(0, 2**32))
def test_payload_written_in_another_way_does_not_differ(seed: int) -> None:
    payload = Maker(seed, doubtful=True).payload()
    again = json.loads(json.dumps(payload, indent=1, sort_keys=True))
    assert not compare(payload, again, SHAPE, is_full=False)


def test_what_two_payloads_have_in_common_is_not_in_their_difference() -> None:
    closed = {**EPISODE, "closure_date": "2025-01-01", "child_in_need_plans": [PLAN]}
    now = {**NOW, "social_care_episodes": [closed, {"social_care_episode_id": "E2"}]}
    found = compare(NOW, now, SHAPE, is_full=False)
    changed = {"social_care_episode_id": "E1", "closure_date": "2025-01-01"}
    assert (found.changes, found.gone, found.first) == ({"social_care_episodes": [changed]}, {}, {})


@pytest.mark.parametrize(("before", "now"), [(1, True), (1, 1.0), (False, 0), ("1", 1)])
def test_values_that_python_takes_for_equal_differ(before: object, now: object) -> None:
    flag = "referral_no_further_action_flag"
    held: Json = {**NOW, "x": before, "social_care_episodes": [{**EPISODE, flag: before}]}
    after: Json = {**NOW, "x": now, "social_care_episodes": [{**EPISODE, flag: now}]}
    found = compare(held, after, SHAPE, is_full=False)
    assert (type(found.changes["x"]), type(found.changes["social_care_episodes"][0][flag])) == (type(now),) * 2


@pytest.mark.parametrize(("before", "now"), [(1, True), (True, 1), (0, False), (1, 1.0)])
def test_values_that_python_takes_for_equal_differ_in_a_list_without_ids(before: object, now: object) -> None:
    def payload(score: object) -> Json:
        return {
            "la_child_id": "P1",
            "health_and_wellbeing": {"sdq_assessments": [{"date": "2024-01-01", "score": score}]},
        }

    difference = compare(payload(before), payload(now), record_shape(), is_full=False)
    assert json.dumps(difference.changes["health_and_wellbeing"]["sdq_assessments"][0]["score"]) == json.dumps(now)


def test_order_of_members_in_a_list_without_ids_is_no_difference() -> None:
    def payload(assessment: Json) -> Json:
        return {"la_child_id": "P1", "health_and_wellbeing": {"sdq_assessments": [assessment]}}

    held, now = payload({"date": "2024-01-01", "score": 1}), payload({"score": 1, "date": "2024-01-01"})
    assert not compare(held, now, record_shape(), is_full=False)


@pytest.mark.parametrize("is_held", [True, False])
def test_purged_part_has_nothing_in_common_with_another(is_held: bool) -> None:
    adoption = {"matched_date": "2024-05-06"}
    plain = {**NOW, "social_care_episodes": [{**EPISODE, "adoption": adoption, "child_in_need_plans": [PLAN]}]}
    purged: Json = {**NOW, "child_details": {"first_name": "Anna", "purge": True}}
    purged["social_care_episodes"] = [
        {**EPISODE, "adoption": {**adoption, "purge": True}, "child_in_need_plans": [{**PLAN, "purge": True}]}
    ]
    found = compare(purged, plain, SHAPE, is_full=False) if is_held else compare(plain, purged, SHAPE, is_full=False)
    episode = {"adoption": adoption, "child_in_need_plans": [PLAN]}
    gone = {"adoption": {"purge": True}, "child_in_need_plans": [{"child_in_need_plan_id": "P1", "purge": True}]}
    details = {"first_name": "Anna"} if is_held else {"purge": True}
    expected = {
        "child_details": details,
        "social_care_episodes": [{"social_care_episode_id": "E1", **(episode if is_held else gone)}],
    }
    assert (found.changes, found.gone) == ((expected, {}) if is_held else ({}, expected))


def test_episode_that_is_held_twice_is_compared_whole() -> None:
    twice = {**NOW, "social_care_episodes": [EPISODE, EPISODE]}
    assert compare(twice, {**NOW, "social_care_episodes": [EPISODE]}, SHAPE, is_full=False).is_whole
    assert not compare(twice, twice, SHAPE, is_full=False)


def test_elements_that_cannot_be_told_apart_are_not_to_be_sent_again() -> None:
    twice = {**NOW, "social_care_episodes": [EPISODE, EPISODE]}
    assert compare(twice, twice, SHAPE, is_full=True).is_whole


@pytest.mark.parametrize(("held", "is_whole"), [({"la_child_id": "C1", "purge": False}, False), ({"x": 1}, True)])
def test_ambiguous_keys_are_new_to_a_child_known_by_id_alone(held: Json, is_whole: bool) -> None:
    now = {"la_child_id": "C1", "x": 1, "social_care_episodes": [EPISODE, EPISODE]}
    assert compare(held, now, SHAPE, is_full=False).is_whole == is_whole


def test_what_is_nested_too_deeply_to_be_written_differs() -> None:
    deep = orjson.loads("[" * 400 + "]" * 400)
    found = compare({"la_child_id": "C1", "x": deep}, {"la_child_id": "C1", "x": [[]]}, SHAPE, is_full=False)
    assert found.changes == {"x": [[]]}


def test_list_that_a_purge_empties_is_held_no_longer_and_one_that_was_empty_is() -> None:
    held: Json = {**EPISODE, "child_in_need_plans": [PLAN], "child_protection_plans": []}
    marker: Json = {"social_care_episode_id": "E1", "child_in_need_plans": [{**PLAN, "purge": True}]}
    left = prune({**NOW, "social_care_episodes": [held]}, {"social_care_episodes": [marker]}, SHAPE)
    assert left == {**NOW, "social_care_episodes": [{**EPISODE, "child_protection_plans": []}]}
