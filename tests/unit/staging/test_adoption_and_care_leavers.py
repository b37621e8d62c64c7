"""Adoption and care leavers (mapping 7.3, 7.4)."""

from __future__ import annotations

from typing import Any

import pytest

from api_pipeline.staging.rows import PersonRows
from tests.support.ssd import (
    DEFAULTS,
    built,
    care,
    episode,
    episodes,
    leaver,
    only_episode,
    permanence,
    person,
    rows,
    rules,
)

ONCE = DEFAULTS._replace(one_block_per_child=True)


def adoption_of(*found: Any, **lists: Any) -> dict[str, Any] | None:
    block: dict[str, Any] | None = only_episode(rows(permanence=[*found], **lists)).get("adoption")
    return block


def test_adoption_has_its_three_dates() -> None:
    assert adoption_of(permanence(decided="2025-01-01 09:00", matched="2025-02-02", placed="2025-03-03")) == {
        "initial_decision_date": "2025-01-01",
        "matched_date": "2025-02-02",
        "placed_date": "2025-03-03",
        "purge": False,
    }


@pytest.mark.parametrize("name", ["decided", "matched", "placed"])
def test_adoption_is_taken_when_any_of_the_three_dates_is_in_the_window(name: str) -> None:
    dates = {"decided": "2020-01-01", "matched": "2020-02-01", "placed": "2020-03-01"}

    assert adoption_of(permanence(**dates)) is None
    assert adoption_of(permanence(**{**dates, name: "2025-01-01"}))
    assert adoption_of(permanence()) is None


def test_the_newest_adoption_is_taken_by_placed_else_matched_else_decision() -> None:
    found = [
        permanence("PM1", decided="2026-06-01", matched="2026-07-01", placed="2025-01-01"),
        permanence("PM2", decided="2026-05-01", matched="2025-02-01"),
        permanence("PM3", decided="2025-03-01"),
    ]

    for order in (found, found[::-1]):
        assert adoption_of(*order) == {"initial_decision_date": "2025-03-01", "purge": False}
    assert adoption_of(*found[:2]) == {
        "initial_decision_date": "2026-05-01",
        "matched_date": "2025-02-01",
        "purge": False,
    }


def test_of_two_adoptions_of_one_day_that_with_the_first_key_is_taken() -> None:
    found = [
        permanence("PM2", decided="2024-06-02", placed="2025-01-01"),
        permanence("PM1", decided="2024-06-01", placed="2025-01-01"),
    ]

    for order in (found, found[::-1]):
        block = adoption_of(*order)
        assert block is not None
        assert block["initial_decision_date"] == "2024-06-01"


def test_adoption_is_found_by_person_or_by_a_period_of_care_of_the_person() -> None:
    by_period = permanence(decided="2025-01-01", of=None, cla_id="cla1")

    assert adoption_of(permanence(decided="2025-01-01", of=" 1001"))
    assert adoption_of(by_period, cla_episodes=[care()])
    assert adoption_of(by_period._replace(cla_id="CLA1"), cla_episodes=[care(cla_id="cla1 "), care(cla_id=None)])
    assert adoption_of(by_period) is None
    assert adoption_of(by_period, cla_episodes=[care(person_id="2002")]) is None
    assert adoption_of(permanence(decided="2025-01-01", of="2002")) is None
    of_lower = rows(person("ab1"), permanence=[permanence(decided="2025-01-01", of="AB1")])
    assert only_episode(of_lower)["adoption"]


def leaver_of(*found: Any) -> dict[str, Any] | None:
    block: dict[str, Any] | None = only_episode(rows(care_leavers=[*found])).get("care_leavers")
    return block


def test_a_care_leaver_has_contact_activity_and_accommodation() -> None:
    assert leaver_of(leaver("2025-05-05 10:00", " f2 Full time", " b With parents")) == {
        "contact_date": "2025-05-05",
        "activity": "F2",
        "accommodation": "B",
        "purge": False,
    }


def test_care_leaver_is_sent_whatever_contact_is_known() -> None:
    assert leaver_of(leaver("2010-01-01")) == {"contact_date": "2010-01-01", "purge": False}
    assert leaver_of(leaver(None)) == {"purge": False}
    assert leaver_of() is None


def test_care_leaver_row_with_the_newest_contact_is_taken() -> None:
    found = [
        leaver(None, "P1", key="CL0"),
        leaver("2025-01-01", "F1", key="CL3"),
        leaver("2025-06-01", "F5", key="CL2"),
        leaver("2025-06-01", "F4", key="CL1"),
    ]

    for order in (found, found[::-1]):
        assert leaver_of(*order) == {"contact_date": "2025-06-01", "activity": "F4", "purge": False}


def test_unlisted_care_leaver_codes_are_left_out_and_listed() -> None:
    of = rows(care_leavers=[leaver("2025-05-05", "Working", "At home")])

    assert only_episode(of)["care_leavers"] == {"contact_date": "2025-05-05", "purge": False}
    assert [(i.rule.value, i.field, i.where) for i in built(of).issues] == [
        ("code_not_listed", "social_care_episodes[].care_leavers.activity", "ssd_care_leavers CL1"),
        ("code_not_listed", "social_care_episodes[].care_leavers.accommodation", "ssd_care_leavers CL1"),
    ]


def of_two_episodes() -> PersonRows:
    return rows(
        cin_episodes=[
            episode("R1", "2025-05-01"),
            episode("R2", "2025-06-01", "2025-07-01"),
            episode("R3", "2020-01-01"),
        ],
        permanence=[permanence(decided="2025-01-01")],
        care_leavers=[leaver("2025-05-05", "nowhere")],
    )


@pytest.mark.parametrize("name", ["adoption", "care_leavers"])
def test_adoption_and_care_leavers_stand_in_every_episode_of_the_child(name: str) -> None:
    assert [name in one for one in episodes(of_two_episodes())] == [True, True, True]


@pytest.mark.parametrize("name", ["adoption", "care_leavers"])
def test_one_block_per_child_puts_them_into_the_latest_episode_alone(name: str) -> None:
    found = {one["social_care_episode_id"]: name in one for one in episodes(of_two_episodes(), ONCE)}

    assert found == {"R1": False, "R2": True, "R3": False}


def test_latest_episode_of_one_day_is_chosen_by_id() -> None:
    of = rows(cin_episodes=[episode("R2"), episode("R1")], care_leavers=[leaver("2025-05-05")])

    assert ["care_leavers" in one for one in episodes(of, ONCE)] == [True, False]


def test_issue_of_a_repeated_block_is_listed_once() -> None:
    assert rules(of_two_episodes()) == ["code_not_listed"]
