"""When a staging is refused because the SSD looks half loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from api_pipeline.errors import DatabaseError
from api_pipeline.staging.guard import StagingRefused, check, emptied, tables_behind
from api_pipeline.staging.rows import ROW_TYPES
from tests.support.ssd import (
    address,
    assessment,
    built,
    care,
    cin_plan,
    conference,
    cp_plan,
    disability,
    enquiry,
    factors,
    involvement,
    leaver,
    linked,
    permanence,
    person,
    placement,
    professional,
    rows,
    sdq,
    status,
)

WHOLE = rows(
    person(),
    disabilities=[disability("AUT")],
    addresses=[address("AB1 2CD")],
    linked_identifiers=[linked("A123456789012")],
    immigration=[status()],
    sdq=[sdq(11)],
    assessments=[assessment()],
    factors=[factors('["1A"]')],
    cin_plans=[cin_plan()],
    s47_enquiries=[enquiry()],
    conferences=[conference("2025-02-11")],
    cp_plans=[cp_plan()],
    cla_episodes=[care()],
    placements=[placement()],
    permanence=[permanence(decided="2025-06-01")],
    care_leavers=[leaver("2025-06-01")],
    involvements=[involvement()],
    professionals=[professional()],
)


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
    assert tables_behind(built(WHOLE).payload) == set(ROW_TYPES)


@pytest.mark.parametrize("name", sorted(set(ROW_TYPES) - {"ssd_person"}))
def test_a_payload_made_without_a_table_shows_no_row_of_it(name: str) -> None:
    member = ROW_TYPES[name][1]
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
