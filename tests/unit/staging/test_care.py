"""Placements, adoption, care leavers and care workers (mapping 7.2 to 7.5, 10)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from api_pipeline.payloads.schema_check import code_list, legacy_codes
from api_pipeline.staging.options import StageOptions
from api_pipeline.staging.rows import PersonRows
from api_pipeline.staging.window import window_for
from tests.support.ssd import (
    WINDOW,
    When,
    built,
    care,
    cin_plan,
    episode,
    episodes,
    involvement,
    leaver,
    only_episode,
    permanence,
    person,
    placement,
    professional,
    rows,
    rules,
    withheld,
)

PLACEMENTS = "child_looked_after_placements"
ONCE = StageOptions(one_block_per_child=True)


def placed(*placements: Any, care_episodes: Any = None, **lists: Any) -> PersonRows:
    return rows(cla_episodes=[care()] if care_episodes is None else care_episodes, placements=[*placements], **lists)


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


def managed(*involvements: Any, **lists: Any) -> PersonRows:
    found = {"cin_plans": [cin_plan()], "professionals": [professional()], **lists}
    return rows(involvements=[*involvements] or [involvement()], **found)


def workers_of(of: PersonRows, on: date | None = None) -> list[dict[str, Any]]:
    window = WINDOW if on is None else window_for(on)
    found: list[dict[str, Any]] = only_episode(of, window=window).get("care_worker_details", [])
    return found


def test_a_care_worker_has_number_start_and_end() -> None:
    assert workers_of(managed(involvement(start="2025-02-01 09:00", end="2025-12-31 17:00"))) == [
        {"worker_id": "SW123456", "start_date": "2025-02-01", "end_date": "2025-12-31"}
    ]


def test_a_referral_without_a_cin_plan_in_the_window_has_no_care_workers() -> None:
    assert workers_of(managed(cin_plans=[])) == []
    assert workers_of(managed(cin_plans=[cin_plan(start="2020-01-01", end="2024-03-31")])) == []
    assert workers_of(managed(cin_plans=[cin_plan(referral="R2")])) == []


@pytest.mark.parametrize("number", [None, "", "  "])
def test_a_care_worker_is_registered(number: str | None) -> None:
    assert workers_of(managed(professionals=[professional(number=number)])) == []
    assert rules(managed(professionals=[professional(number=number)])) == []


def test_a_care_worker_is_known_by_the_professional_id() -> None:
    assert workers_of(managed(involvement(worker="w1 ")))
    assert workers_of(managed(involvement(worker="W2"))) == []
    assert workers_of(managed(involvement(worker=None))) == []


@pytest.mark.parametrize(
    ("role", "counts"), [("CW", True), (" cw ", True), ("CWX", False), ("IRO", False), (None, False)]
)
def test_a_care_worker_has_the_role_cw(role: str | None, counts: bool) -> None:
    assert bool(workers_of(managed(involvement(role=role)))) is counts


@pytest.mark.parametrize(
    ("start", "end", "counts"),
    [
        ("2025-03-31", "2025-03-31", True),
        ("2025-03-31 00:01", "2026-03-30", False),
        ("2025-04-01", "2026-03-30", False),
        ("2025-04-01", "2026-03-31", True),
        ("2025-04-01", None, True),
        ("2026-04-01", None, False),
        ("2020-01-01", "2025-03-30", False),
        (None, None, False),
    ],
)
def test_a_care_worker_is_involved_on_a_31_march_in_the_window(start: When, end: When, counts: bool) -> None:
    assert bool(workers_of(managed(involvement(start=start, end=end)))) is counts


def test_care_workers_are_sent_in_winter_too() -> None:
    long_gone = managed(involvement(start="2025-01-10", end="2025-06-01"))

    assert workers_of(long_gone, on=date(2026, 2, 10))


def test_care_workers_of_another_referral_are_not_in_the_episode() -> None:
    assert workers_of(managed(involvement(referral="R2"), involvement(referral=None))) == []


def test_care_workers_are_ordered_by_start_then_number_then_key() -> None:
    found = [
        involvement("IN1", "2025-02-02", worker="W1"),
        involvement("IN3", "2025-02-01", worker="W2"),
        involvement("IN2", "2025-02-01", "2025-04-01", worker="W1"),
        involvement("IN4", "2025-02-01", "2026-04-01", worker="W1"),
    ]
    staff = [professional("W1", "SW1"), professional("W2", "SW2")]

    for order in (found, found[::-1]):
        workers = workers_of(managed(*order, professionals=staff))
        assert [(one["worker_id"], one["start_date"], one.get("end_date")) for one in workers] == [
            ("SW1", "2025-02-01", "2025-04-01"),
            ("SW1", "2025-02-01", "2026-04-01"),
            ("SW2", "2025-02-01", None),
            ("SW1", "2025-02-02", None),
        ]


@pytest.mark.parametrize("number", ["SW12345678901", "SW.1", "SW 1"])
def test_malformed_registration_number_holds_the_record_back(
    number: str,
) -> None:
    (issue,) = withheld(managed(professionals=[professional(number=number)])).issues

    assert (issue.rule.value, issue.field, issue.where) == (
        "id_ill_formed",
        "social_care_episodes[].care_worker_details[].worker_id",
        "ssd_professionals",
    )
    assert number not in repr(issue)


def test_a_registration_number_of_12_characters_is_sent_whole() -> None:
    assert workers_of(managed(professionals=[professional(number=" SW1234567890 ")]))[0]["worker_id"] == "SW1234567890"
