"""When a staging is refused because the SSD looks half loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api_pipeline.errors import DatabaseError
from api_pipeline.staging.guard import StagingRefused, check, check_parts, emptied, gone_parts, parts_of, tables_behind
from api_pipeline.staging.tables import TABLES_BY_NAME
from tests.support.ssd import (
    built,
    cin_plan,
    full_rows,
    person,
    rows,
)

WHOLE = full_rows()


@pytest.mark.parametrize("share", [0.05, 0.0, 1.0])
def test_guard_passes_when_nobody_leaves(share: float) -> None:
    check(live_rows=0, leaving=0, emptied_tables=[], max_share=share)
    check(live_rows=100, leaving=0, emptied_tables=[], max_share=share)


@pytest.mark.parametrize(("leaving", "live", "share"), [(5, 100, 0.05), (29, 100, 0.29), (7, 100, 0.07), (3, 3, 1.0)])
def test_a_share_as_large_as_allowed_goes_through(leaving: int, live: int, share: float) -> None:
    check(live_rows=live, leaving=leaving, emptied_tables=[], max_share=share)


@pytest.mark.parametrize(("leaving", "live", "share"), [(6, 100, 0.05), (30, 100, 0.29), (1, 19, 0.05), (1, 100, 0.0)])
def test_a_larger_share_stops_the_staging_with_exit_code_3(leaving: int, live: int, share: float) -> None:
    with pytest.raises(StagingRefused, match=f"{leaving} of {live} rows .*--allow-deletions") as refused:
        check(live_rows=live, leaving=leaving, emptied_tables=[], max_share=share)
    assert isinstance(refused.value, DatabaseError)
    assert refused.value.exit_code == 3


def test_a_table_that_became_empty_stops_it_as_well() -> None:
    with pytest.raises(StagingRefused, match="ssd_a, ssd_b"):
        check(live_rows=100, leaving=0, emptied_tables=["ssd_a", "ssd_b"], max_share=1.0)


def test_a_payload_of_everything_shows_rows_of_every_table() -> None:
    assert tables_behind(built(WHOLE).payload) == set(TABLES_BY_NAME)


@pytest.mark.parametrize("name", sorted(set(TABLES_BY_NAME) - {"ssd_person"}))
def test_a_payload_made_without_a_table_shows_no_row_of_it(name: str) -> None:
    member = TABLES_BY_NAME[name].member
    without = rows(person(), **{slot: getattr(WHOLE, slot) for slot in WHOLE.__slots__ if slot != "person"})
    setattr(without, member, [])
    assert name not in tables_behind(built(without).payload)


def test_codes_and_flags_that_stand_for_nothing_show_no_row() -> None:
    payload = {"child_details": {"disabilities": ["NONE"], "uasc_flag": False}}
    assert tables_behind(payload) == {"ssd_person"}


@pytest.mark.parametrize("part", [None, 1, "text", [], {}, [1], {"child_in_need_plans": 7}])
def test_payloads_of_any_shape_are_read(part: Any) -> None:
    for payload in (
        {"child_details": part},
        {"social_care_episodes": part},
        {"social_care_episodes": [part]},
        {"social_care_episodes": [{"child_and_family_assessments": [part], "section_47_assessments": part}]},
    ):
        assert "ssd_person" in tables_behind(payload)


def test_reading_stops_when_every_empty_table_is_found() -> None:
    def payloads() -> Iterator[dict[str, Any]]:
        yield {"child_details": {"postcode": "AB1 2CD"}}
        yield {"social_care_episodes": [{"adoption": {"matched_date": "2025-01-01"}}]}
        raise AssertionError("read on")

    assert emptied(["ssd_address", "ssd_permanence"], payloads()) == ["ssd_address", "ssd_permanence"]


def test_guard_reads_nothing_when_no_relevant_table_is_empty() -> None:
    def payloads() -> Iterator[dict[str, Any]]:
        raise AssertionError("read")
        yield {}

    assert emptied([], payloads()) == []
    assert emptied(["ssd_linked_identifiers"], [{"child_details": {}}]) == []


def test_elements_are_counted_by_kind_and_a_block_once() -> None:
    episodes: list[dict[str, Any]] = [
        {"social_care_episode_id": key, "adoption": {"purge": False}} for key in ("R1", "R2")
    ]
    episodes[0]["child_in_need_plans"] = [{"child_in_need_plan_id": key} for key in ("P1", "P2", "P2")]
    payload = {"la_child_id": "1", "health_and_wellbeing": {}, "social_care_episodes": episodes}

    assert parts_of(payload) == {
        **{"social_care_episodes": 2, "child_in_need_plans": 2},
        **{"adoption": 1, "health_and_wellbeing": 1},
    }


def test_what_left_the_window_or_has_another_number_is_not_gone() -> None:
    staged = built(rows(cin_plans=[cin_plan("P1"), cin_plan("P2"), cin_plan("P3")])).payload
    other = built(rows(cin_plans=[cin_plan("N1"), cin_plan("N2")])).payload
    plan = ("social_care_episodes", "R1", "child_in_need_plans", "P3")

    assert gone_parts(staged, other, {plan}) == {}
    assert gone_parts(staged, other, ()) == {"child_in_need_plans": 1}
    assert gone_parts(staged, {}, {plan[:2]}) == {"child_details": 1}
    left_under_another_id = {(*plan[:3], "N3")}
    assert gone_parts(staged, other, left_under_another_id) == {"child_in_need_plans": 1}


@pytest.mark.parametrize(("gone", "staged", "share"), [(19, 20, 0.05), (20, 400, 0.05), (29, 100, 0.29), (50, 50, 1.0)])
def test_few_parts_and_a_share_as_large_as_allowed_go_through(gone: int, staged: int, share: float) -> None:
    check_parts({"child_in_need_plans": gone}, {"child_in_need_plans": staged}, share)


def test_too_many_parts_of_one_kind_stop_the_staging() -> None:
    with pytest.raises(
        StagingRefused, match=r"20 of 399 child_in_need_plans that are staged.*a new year.*--allow-deletions"
    ):
        check_parts({"child_in_need_plans": 20, "adoption": 3}, {"child_in_need_plans": 399, "adoption": 3}, 0.05)
