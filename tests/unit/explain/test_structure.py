"""Payloads as paths: ids and names, and values only beside them."""

from __future__ import annotations

from api_pipeline.explain.structure import StructureChange, changes_between, parts_of

EPISODE = {
    "social_care_episode_id": "E1",
    "referral_date": "2025-01-02",
    "child_in_need_plans": [{"child_in_need_plan_id": "P1", "start_date": "2025-02-03"}],
}


def test_parts_name_each_object_and_each_element_by_its_id() -> None:
    payload = {"la_child_id": "C1", "child_details": {"sex": "F", "purge": False}, "social_care_episodes": [EPISODE]}
    assert [(part.path, part.members) for part in parts_of(payload)] == [
        ("(record)", ("la_child_id",)),
        ("child_details", ("sex",)),
        ("social_care_episodes[E1]", ("social_care_episode_id", "referral_date")),
        ("social_care_episodes[E1].child_in_need_plans[P1]", ("child_in_need_plan_id", "start_date")),
    ]
    assert parts_of(payload)[1].values == ('"F"',)


def test_changes_are_named_by_their_path() -> None:
    held = {"la_child_id": "C1", "child_details": {"sex": "F", "ethnicity": "WBRI"}, "social_care_episodes": [EPISODE]}
    now = {
        "la_child_id": "C1",
        "child_details": {"sex": "M", "postcode": "ZZ1 1ZZ"},
        "social_care_episodes": [{**EPISODE, "child_in_need_plans": []}, {"social_care_episode_id": "E2"}],
    }
    assert changes_between(held, now) == [
        StructureChange("child_details.sex", "changed", '"F"', '"M"'),
        StructureChange("child_details.ethnicity", "gone", '"WBRI"', ""),
        StructureChange("child_details.postcode", "new", "", '"ZZ1 1ZZ"'),
        StructureChange(
            "social_care_episodes[E1].child_in_need_plans[P1]",
            "gone",
            '{"child_in_need_plan_id": "P1", "start_date": "2025-02-03"}',
            "",
        ),
        StructureChange("social_care_episodes[E2]", "new", "", '{"social_care_episode_id": "E2"}'),
    ]
    assert changes_between(held, held) == []


def test_member_that_the_schema_does_not_know_is_not_named() -> None:
    payload = {"la_child_id": "C1", "Ann Example": 1, "child_details": {"Ann": {"x": 1}}}
    shown = str([(part.path, part.members) for part in parts_of(payload)])
    assert "Ann" not in shown
    assert "(unknown member)" in shown
    assert [change.path for change in changes_between({"la_child_id": "C1"}, payload)] == [
        "(unknown member)",
        "child_details",
    ]
