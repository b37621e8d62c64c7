"""Placements of looked-after children (mapping 7.2)."""

from __future__ import annotations

from typing import Any

import pytest

from api_pipeline.payloads.schema_check import code_list, legacy_codes
from api_pipeline.staging.rows import PersonRows
from tests.support.ssd import When, built, care, episode, episodes, only_episode, placed, placement, rules, withheld

PLACEMENTS = "child_looked_after_placements"


def placements_of(of: PersonRows) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = only_episode(of).get(PLACEMENTS, [])
    return found


def the_placement(**members: Any) -> dict[str, Any]:
    (found,) = placements_of(placed(placement(**members)))
    return found


def test_a_placement_has_its_members() -> None:
    found = placed(
        placement(
            start="2025-03-01 10:00", end="2025-06-01", type="K2 Home", postcode="AB1 2CD", change_reason="carpl "
        ),
        care_episodes=[care(start_reason="S Started", end="2025-06-01", end_reason="X1 Episode ceases")],
    )

    assert placements_of(found) == [
        {
            "child_looked_after_placement_id": "PL1",
            "start_date": "2025-03-01",
            "start_reason": "S",
            "postcode": "AB1 2CD",
            "placement_type": "K2",
            "end_date": "2025-06-01",
            "end_reason": "X1",
            "change_reason": "CARPL",
            "purge": False,
        }
    ]


@pytest.mark.parametrize(
    ("start", "end", "is_in"),
    [
        ("2020-01-01", "2024-03-31", False),
        ("2020-01-01", "2024-04-01", True),
        ("2026-08-12", None, False),
        (None, None, False),
    ],
)
def test_a_placement_is_taken_when_it_overlaps_the_window(start: When, end: When, is_in: bool) -> None:
    assert bool(placements_of(placed(placement(start=start, end=end)))) is is_in


def test_placements_are_joined_by_the_period_of_care_each_once() -> None:
    found = placed(
        placement("PL1"),
        placement("PL2", "2025-04-01", cla_id="cla1 "),
        placement("PL3", cla_id="CLA2"),
        placement("PL4", cla_id=None),
        care_episodes=[care("CE1"), care("CE2"), care("CE3", cla_id=None)],
    )

    assert [one["child_looked_after_placement_id"] for one in placements_of(found)] == ["PL1", "PL2"]


def test_a_period_of_care_of_another_referral_is_not_in_the_episode() -> None:
    assert placements_of(placed(placement(), care_episodes=[care(referral_id="R2"), care(referral_id=None)])) == []


def test_a_period_of_care_under_two_referrals_is_in_both_episodes() -> None:
    both = placed(
        placement(),
        care_episodes=[care("CE1"), care("CE2", referral_id="R2")],
        cin_episodes=[episode("R1"), episode("R2")],
    )

    assert [len(one[PLACEMENTS]) for one in episodes(both)] == [1, 1]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_placement_that_children_of_one_family_share_stands_once_as_the_childs_own(turn: int) -> None:
    others = care("CE0", "2025-02-01", "P", cla_id="CLA0", person_id="sibling")
    found = placed(
        *[placement("PL1", "2025-02-01", cla_id="CLA0"), placement("PL1"), placement("PL2", cla_id="CLA0")][::turn],
        care_episodes=[others, others._replace(cla_placement_id="PL2"), care()][::turn],
    )

    assert [(one["start_date"], one["start_reason"]) for one in placements_of(found)] == [
        ("2025-03-01", "S"),
        ("2025-03-01", "P"),
    ]


def test_placements_are_ordered_by_start_then_id() -> None:
    found = [placement("PL3", "2025-05-01"), placement("PL2", "2025-03-01"), placement("PL1", "2025-03-01")]

    for order in (found, found[::-1]):
        keys = [one["child_looked_after_placement_id"] for one in placements_of(placed(*order))]
        assert keys == ["PL1", "PL2", "PL3"]


def test_the_start_reason_is_of_the_earliest_episode_of_that_placement() -> None:
    found = placed(
        placement("PL1"),
        placement("PL2", "2025-06-01"),
        care_episodes=[
            care("CE1", "2025-05-01", "P"),
            care("CE2", "2025-03-01", "S"),
            care("CE3", None, "L"),
            care("CE4", "2025-06-01", "B", cla_placement_id="pl2"),
            care("CE5", "2020-06-01", "L", cla_placement_id=None),
        ],
    )

    assert [one["start_reason"] for one in placements_of(found)] == ["S", "B"]


def test_start_reason_of_one_day_is_chosen_by_key() -> None:
    found = [care("CE2", start_reason="P"), care("CE1", start_reason="S")]

    for order in (found, found[::-1]):
        assert placements_of(placed(placement(), care_episodes=order))[0]["start_reason"] == "S"


def test_a_placement_without_an_episode_of_its_own_has_no_reasons() -> None:
    other = care(cla_placement_id="PL9", end_reason="X1")

    (found,) = placements_of(placed(placement(end="2025-06-01"), care_episodes=[other]))

    assert not {"start_reason", "end_reason"} & set(found)
    assert found["end_date"] == "2025-06-01"


def reasons(*care_episodes: Any, end: When = "2025-09-01") -> dict[str, Any]:
    (found,) = placements_of(placed(placement(end=end), care_episodes=[*care_episodes]))
    return found


def test_the_end_reason_is_of_the_last_episode_of_the_placement() -> None:
    found = reasons(
        care("CE1", "2025-03-01", end="2025-05-01", end_reason="X1"),
        care("CE2", "2025-05-01", end="2025-09-01", end_reason="E4A Returned home"),
        care("CE3", None, end="2025-09-01", end_reason="E2"),
    )

    assert found["end_reason"] == "E4A"


def test_end_reason_of_one_day_is_chosen_by_key() -> None:
    found = [care("CE2", end_reason="E2"), care("CE1", end_reason="E3")]

    assert reasons(*found)["end_reason"] == reasons(*found[::-1])["end_reason"] == "E3"


def test_an_open_placement_has_no_end_reason() -> None:
    assert "end_reason" not in reasons(care(end="2025-05-01", end_reason="X1"), end=None)


def test_a_last_episode_without_a_reason_gives_none_of_an_earlier_one() -> None:
    found = reasons(care("CE1", "2025-03-01", end_reason="X1"), care("CE2", "2025-05-01"))

    assert "end_reason" not in found


def test_a_placement_that_ends_before_its_start_has_no_end_and_is_listed() -> None:
    of = placed(placement(start="2025-03-02", end="2025-03-01"), care_episodes=[care(end_reason="X1")])

    assert not {"end_date", "end_reason"} & set(placements_of(of)[0])
    assert [(i.rule.value, i.where) for i in built(of).issues] == [
        ("placement_ends_before_start", "ssd_cla_placement PL1")
    ]


def test_a_placement_may_end_on_the_day_of_its_start_whatever_the_time() -> None:
    assert the_placement(start="2025-03-01 10:00", end="2025-03-01")["end_date"] == "2025-03-01"


@pytest.mark.parametrize("code", code_list("code_start_reason"))
def test_a_start_reason_is_the_first_character(code: str) -> None:
    (found,) = placements_of(placed(placement(), care_episodes=[care(start_reason=f" {code.lower()} something")]))

    assert found["start_reason"] == code


@pytest.mark.parametrize("code", code_list("code_end_reason"))
@pytest.mark.parametrize("form", ["{}", " {} Some words", "{}\tSome words", "{}\r\nSome words", "\n{}"])
def test_an_end_reason_is_three_characters_without_white_space(code: str, form: str) -> None:
    assert reasons(care(end_reason=form.format(code.lower())))["end_reason"] == code


def test_white_space_inside_an_end_reason_does_not_hide_its_code() -> None:
    assert reasons(care(end_reason="e 4a returned home"))["end_reason"] == "E4A"


@pytest.mark.parametrize("code", [*code_list("code_placement_type"), *legacy_codes("code_placement_type")])
def test_placement_types_of_this_and_earlier_years_are_taken(code: str) -> None:
    assert the_placement(type=f" {code.lower()} ")["placement_type"] == code


@pytest.mark.parametrize("text", ["Z11 Somewhere", "Z11"])
def test_a_placement_type_is_cut_at_three_characters(text: str) -> None:
    assert the_placement(type=text)["placement_type"] == "Z11"


@pytest.mark.parametrize("code", code_list("code_change_reason"))
def test_a_change_reason_is_six_characters_in_capitals(code: str) -> None:
    assert the_placement(change_reason=code.lower())["change_reason"] == code
    assert the_placement(change_reason=f"{code} - in words")["change_reason"] == code


@pytest.mark.parametrize(
    ("of", "field", "where"),
    [
        (placed(placement(type="Foster")), "placement_type", "ssd_cla_placement PL1"),
        (placed(placement(change_reason="Because")), "change_reason", "ssd_cla_placement PL1"),
        (placed(placement(), care_episodes=[care(start_reason="X")]), "start_reason", "ssd_cla_episodes CE1"),
        (
            placed(placement(end="2025-09-01"), care_episodes=[care(end_reason="Died")]),
            "end_reason",
            "ssd_cla_episodes CE1",
        ),
    ],
)
def test_unlisted_placement_code_is_left_out_and_listed(of: PersonRows, field: str, where: str) -> None:
    assert field not in placements_of(of)[0]
    assert [(i.rule.value, i.field, i.where) for i in built(of).issues] == [
        ("code_not_listed", f"social_care_episodes[].{PLACEMENTS}[].{field}", where)
    ]


@pytest.mark.parametrize("blank", ["", "  ", " \t\r\n", None])
def test_blank_reasons_of_a_placement_are_missing_and_no_issue(blank: str | None) -> None:
    spaces = None if blank is None else blank.strip("\t\r\n")
    of = placed(
        placement(end="2025-09-01", type=spaces, change_reason=spaces),
        care_episodes=[care(start_reason=spaces, end_reason=blank)],
    )

    assert rules(of) == []
    assert set(placements_of(of)[0]) == {"child_looked_after_placement_id", "start_date", "end_date", "purge"}


def test_the_postcode_of_a_placement_is_left_out_when_blank_or_too_long() -> None:
    assert "postcode" not in the_placement(postcode="  ")
    assert "postcode" not in the_placement(postcode=" \t")
    assert "postcode" not in the_placement(postcode="AB12 3CD9")
    assert the_placement(postcode="AB12 3CD")["postcode"] == "AB12 3CD"
    assert rules(placed(placement(postcode="  "))) == []
    assert rules(placed(placement(postcode="AB12 3CD9"))) == ["postcode_too_long"]


def test_an_ill_formed_placement_id_holds_the_record_back() -> None:
    (issue,) = withheld(placed(placement("P L"))).issues

    assert (issue.field, issue.where) == (
        f"social_care_episodes[].{PLACEMENTS}[].child_looked_after_placement_id",
        "ssd_cla_placement",
    )
