"""What two payloads have in common is neither read nor compared."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_pipeline.payloads.common_parts import differing_parts
from api_pipeline.payloads.diff import compare, content
from api_pipeline.payloads.reading import parse_payload
from api_pipeline.payloads.shape import record_shape
from tests.properties.model import Json, Maker
from tests.support.effort import examples

SHAPE = record_shape()
many = settings(max_examples=examples(80, 2000), deadline=None)
seeds = st.integers(0, 2**32)
EPISODE = {"social_care_episode_id": "E1", "referral_date": "2024-01-02"}
PLAN = {"child_in_need_plan_id": "P1", "start_date": "2024-02-03"}
NOW: Json = {
    "la_child_id": "C1",
    "child_details": {"first_name": "Anna"},
    "social_care_episodes": [{**EPISODE, "child_in_need_plans": [PLAN]}, {"social_care_episode_id": "E2"}],
}


def texts(value: Json, seed: int) -> str:
    """Write a value as one of the builders does: compact, with blanks, or with escapes."""
    return [
        json.dumps(value, separators=(",", ":"), ensure_ascii=False),
        json.dumps(value, indent=1, ensure_ascii=False),
        json.dumps(value),
    ][seed % 3]


def differing(held: Json, now: Json = NOW) -> tuple[Any, Any]:
    return differing_parts(json.dumps(held), json.dumps(now), now, SHAPE)


@many
@given(seeds, st.booleans())
def test_parts_that_differ_differ_as_the_whole_payloads_do(seed: int, doubtful: bool) -> None:
    maker = Maker(seed, doubtful=doubtful)
    payload = parse_payload(texts(maker.payload(), seed // 3))
    held = maker.next_version(payload.data)
    whole = compare(content(held, SHAPE), content(payload.data, SHAPE), SHAPE, is_full=False)
    before, now = differing_parts(texts(held, seed), payload.text, payload.data, SHAPE)
    assert compare(content(before, SHAPE), content(now, SHAPE), SHAPE, is_full=False) == whole


def test_what_two_payloads_have_in_common_is_in_neither() -> None:
    held, now = differing({**NOW, "child_details": {"first_name": "Ann"}})
    assert "social_care_episodes" not in {*held, *now}
    assert (held["child_details"], now["child_details"]) == ({"first_name": "Ann"}, {"first_name": "Anna"})


def test_within_an_element_that_differs_equal_parts_are_in_neither() -> None:
    closed = {**EPISODE, "closure_date": "2025-01-01", "child_in_need_plans": [PLAN]}
    held, now = differing({**NOW, "social_care_episodes": [closed]})
    assert held["social_care_episodes"] == [{"social_care_episode_id": "E1", "closure_date": "2025-01-01"}]
    assert now["social_care_episodes"] == [{"social_care_episode_id": "E1"}, {"social_care_episode_id": "E2"}]


def test_numbers_and_truth_values_that_python_takes_for_equal_differ() -> None:
    held, now = differing({"la_child_id": "C1", "x": 1}, {"la_child_id": "C1", "x": True})
    assert (held["x"], now["x"]) == (1, True)


@pytest.mark.parametrize("held", [{"la_child_id": "C1"}, {}])
def test_an_identifier_alone_is_not_taken_for_something_in_common(held: Json) -> None:
    assert differing(held)[0] == held
    assert differing({**NOW, "child_details": {}})[0].keys() > {"la_child_id", "child_details"}


def test_an_array_that_is_held_empty_stays_to_be_seen() -> None:
    now = {"la_child_id": "C1", "social_care_episodes": [], "child_details": {"first_name": "Anna"}}
    assert differing({**now, "child_details": {}}, now)[0]["social_care_episodes"] == []


@pytest.mark.parametrize("is_held", [True, False])
def test_a_part_that_is_purged_has_nothing_in_common_with_another(is_held: bool) -> None:
    adoption = {"matched_date": "2024-05-06"}
    plain = {**NOW, "social_care_episodes": [{**EPISODE, "adoption": adoption, "child_in_need_plans": [PLAN]}]}
    purged: Json = {**NOW, "child_details": {"first_name": "Anna", "purge": True}}
    purged["social_care_episodes"] = [
        {**EPISODE, "adoption": {**adoption, "purge": True}, "child_in_need_plans": [{**PLAN, "purge": True}]}
    ]
    before, now = (purged, plain) if is_held else (plain, purged)
    whole = compare(content(before, SHAPE), content(now, SHAPE), SHAPE, is_full=False)
    held, left = differing(before, now)
    assert compare(content(held, SHAPE), content(left, SHAPE), SHAPE, is_full=False) == whole


def test_an_episode_that_is_held_twice_is_compared_whole() -> None:
    plans = [{**PLAN, "child_in_need_plan_id": name} for name in ("P1", "P2")]
    now = {**NOW, "social_care_episodes": [{**EPISODE, "child_in_need_plans": plans, "closure_date": "2025-01-01"}]}
    held = {**EPISODE, "child_in_need_plans": [plans[1], PLAN]}
    twice = {**NOW, "social_care_episodes": [held, held]}
    assert differing(twice, now)[0]["social_care_episodes"] == twice["social_care_episodes"]


def test_a_payload_with_a_nameless_member_is_compared_whole() -> None:
    held, now = differing({**NOW, "": 1}, {**NOW, "": 2})
    assert (held, now) == ({**NOW, "": 1}, {**NOW, "": 2})


@pytest.mark.parametrize(
    "text", ["", "{", '{"la_child_id":"C1","x":1e999}', '{"x":"\ud800"}', '{"x":"\\ud800"}', "{]}"]
)
def test_a_damaged_text_is_an_error_as_it_is_of_a_plain_reading(text: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        differing_parts(text, json.dumps(NOW), NOW, SHAPE)


@pytest.mark.parametrize("text", ["[1]", '"a"', "1", "null"])
def test_what_is_not_an_object_is_read_as_what_it_is(text: str) -> None:
    assert differing_parts(text, json.dumps(NOW), NOW, SHAPE) == (json.loads(text), NOW)


def test_a_member_that_is_null_now_is_read_from_the_text() -> None:
    payload = parse_payload('{"la_child_id":"C1","child_details":null,"social_care_episodes":[null]}')
    held, _ = differing_parts('{"la_child_id":"C1","child_details":null}', payload.text, payload.data, SHAPE)
    assert held["child_details"] is None
