"""What the embedded receiver holds after a record, under both readings."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.sandbox.simulator import Reading
from api_pipeline.sandbox.simulator.merging import BLOCKS, KEYS, held_after
from tests.support.simulated import child

MERGE, REPLACE = Reading.MERGE, Reading.REPLACE


def episode(name: str = "E1", **members: Any) -> dict[str, Any]:
    return {"social_care_episode_id": name, **members}


def test_structure_is_that_of_the_published_schema() -> None:
    text = resources.files("api_pipeline").joinpath("data").joinpath("csc_payload.schema.json").read_text("utf-8")
    keys: dict[str, str] = {}
    blocks: set[str] = set()

    def walk(node: dict[str, Any]) -> None:
        for name, member in node.get("properties", {}).items():
            items = member.get("items", {})
            if member.get("type") == "array" and items.get("required"):
                (keys[name],) = items["required"]
                assert "purge" in items["properties"]
            if member.get("type") == "object" and "purge" in member["properties"]:
                blocks.add(name)
            walk(member)
            walk(items)

    walk(json.loads(text))
    assert keys == KEYS
    assert blocks == BLOCKS


def test_what_is_left_out_stays_when_merging_and_goes_when_replacing() -> None:
    held = child(mis_child_id="M1", child_details={"surname": "Oak", "sex": "F"}, social_care_episodes=[episode("E1")])
    record = child(child_details={"sex": "M"}, social_care_episodes=[episode("E2")])
    assert held_after(held, record, MERGE) == child(
        mis_child_id="M1",
        child_details={"surname": "Oak", "sex": "M"},
        social_care_episodes=[episode("E1"), episode("E2")],
    )
    assert held_after(held, record, REPLACE) == record


def test_element_merges_into_the_first_held_element_of_its_id() -> None:
    plan = {"child_in_need_plan_id": "P1", "start_date": "2026-01-01"}
    held = child(social_care_episodes=[episode("E0"), episode("E1", child_in_need_plans=[plan], referral_source="1A")])
    record = child(
        social_care_episodes=[
            episode("E1", child_in_need_plans=[{"child_in_need_plan_id": "P1", "end_date": "2026-02-01"}])
        ]
    )
    assert held_after(held, record, MERGE) == child(
        social_care_episodes=[
            episode("E0"),
            episode("E1", child_in_need_plans=[{**plan, "end_date": "2026-02-01"}], referral_source="1A"),
        ]
    )


def test_duplicate_ids_are_stored_and_later_elements_merge_into_first() -> None:
    twice = child(social_care_episodes=[episode("E1", referral_source="1A"), episode("E1", referral_source="1B")])
    held = held_after(None, twice, MERGE)
    assert held == twice
    after = held_after(held, child(social_care_episodes=[episode("E1", closure_reason="RC1")]), MERGE)
    assert after == child(
        social_care_episodes=[
            episode("E1", referral_source="1A", closure_reason="RC1"),
            episode("E1", referral_source="1B"),
        ]
    )


def test_purge_removes_the_element_or_block_whatever_else_it_carries() -> None:
    held = child(
        child_details={"surname": "Oak"},
        social_care_episodes=[
            episode("E1", adoption={"placed_date": "2026-01-01"}, care_leavers={"activity": "F1"}),
            episode("E2"),
        ],
    )
    record = child(
        child_details={"purge": True, "surname": "Elm"},
        social_care_episodes=[episode("E1", adoption={"purge": True}), episode("E2", purge=True, closure_reason="RC1")],
    )
    assert held_after(held, record, MERGE) == child(
        social_care_episodes=[episode("E1", care_leavers={"activity": "F1"})]
    )


def test_purge_of_a_duplicated_id_leaves_none_of_them() -> None:
    held = child(social_care_episodes=[episode("E1"), episode("E2"), episode("E1")])
    record = child(social_care_episodes=[episode("E1", purge=True)])
    assert held_after(held, record, MERGE) == child(social_care_episodes=[episode("E2")])


def test_last_element_purged_leaves_no_empty_array() -> None:
    held = child(social_care_episodes=[episode("E1")])
    assert held_after(held, child(social_care_episodes=[episode("E1", purge=True)]), MERGE) == child()


def test_plain_arrays_are_replaced_whole_and_may_be_empty() -> None:
    held = child(
        child_details={"disabilities": ["MOB", "HAND"]}, health_and_wellbeing={"sdq_assessments": [{"score": 1}]}
    )
    record = child(child_details={"disabilities": ["LD"]}, health_and_wellbeing={"sdq_assessments": []})
    assert held_after(held, record, MERGE) == record


def test_flags_that_purge_nothing_and_nulls_are_not_stored() -> None:
    record = child(
        purge=False,
        mis_child_id=None,
        child_details={"purge": False, "surname": None},
        health_and_wellbeing={"sdq_assessments": [{"date": None, "score": 3}]},
        social_care_episodes=[episode("E1", purge=False, section_47_assessments=[])],
    )
    stored = child(
        child_details={},
        health_and_wellbeing={"sdq_assessments": [{"score": 3}]},
        social_care_episodes=[episode("E1")],
    )
    assert held_after(None, record, MERGE) == stored
    assert held_after(None, record, REPLACE) == stored


_DATES = st.sampled_from(["2026-01-01", "2026-02-02"])
_FLAG = st.sampled_from([None, None, False, True])


def _object(members: dict[str, st.SearchStrategy[Any]], required: dict[str, st.SearchStrategy[Any]]) -> Any:
    made = st.fixed_dictionaries(required, optional={**members, "purge": _FLAG})
    return made.map(lambda value: {name: member for name, member in value.items() if member is not None})


def _elements(key: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    element = _object(members, {key: st.sampled_from(["1", "2", "3"])})
    return st.lists(element, max_size=3, unique_by=lambda value: value[key])


_EPISODES = _elements(
    "social_care_episode_id",
    closure_date=_DATES,
    care_worker_details=st.lists(st.just({"worker_id": "W1"}), max_size=2),
    child_in_need_plans=_elements("child_in_need_plan_id", start_date=_DATES, end_date=_DATES),
    child_looked_after_placements=_elements("child_looked_after_placement_id", postcode=st.just("AB1 2CD")),
    adoption=_object({"placed_date": _DATES}, {}),
)
_RECORDS = _object(
    {
        "mis_child_id": st.sampled_from(["M1", "M2"]),
        "child_details": _object({"surname": st.sampled_from(["Oak", "Elm"]), "disabilities": st.just(["LD"])}, {}),
        "social_care_episodes": _EPISODES,
    },
    {"la_child_id": st.just("A1")},
)
_HELD = _RECORDS.map(lambda record: held_after(None, record, MERGE))


@given(_HELD, _RECORDS)
def test_the_same_record_twice_is_as_good_as_once(held: Any, record: dict[str, Any]) -> None:
    for reading in Reading:
        once = held_after(held, record, reading)
        assert held_after(once, record, reading) == once


@given(_HELD, _RECORDS)
def test_replacing_ignores_the_stored_record(held: Any, record: dict[str, Any]) -> None:
    assert held_after(held, record, REPLACE) == held_after(None, record, REPLACE)


@given(_HELD, _RECORDS)
def test_neither_argument_is_changed(held: Any, record: dict[str, Any]) -> None:
    before = copy.deepcopy((held, record))
    held_after(held, record, MERGE)
    assert (held, record) == before


@given(_HELD)
def test_stored_record_is_a_copy(held: Any) -> None:
    if held is not None:
        for reading in Reading:
            assert held_after(None, held, reading) == held
        assert held_after(held, held, MERGE) == held


@given(_HELD, _RECORDS)
def test_purging_all_first_makes_merging_the_same_as_replacing(held: Any, record: dict[str, Any]) -> None:
    emptied = held_after(held, {"la_child_id": "A1", "purge": True}, MERGE)
    assert emptied is None
    assert held_after(emptied, record, MERGE) == held_after(held, record, REPLACE)


@given(_HELD, _RECORDS)
def test_stored_record_has_no_flag_null_or_empty_keyed_array(held: Any, record: dict[str, Any]) -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert "purge" not in value
            for name, member in value.items():
                assert member is not None
                assert name not in KEYS or member
                check(member)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(held_after(held, record, MERGE))


@pytest.mark.parametrize("reading", list(Reading))
def test_purge_of_the_whole_child_leaves_nothing_whatever_else_it_carries(reading: Reading) -> None:
    assert held_after(child(mis_child_id="M1"), child(purge=True, mis_child_id="M2"), reading) is None
    assert held_after(None, child(purge=True), reading) is None
