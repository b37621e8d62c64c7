"""Which looked-after children and care leavers are in the cohort (mapping 2)."""

from __future__ import annotations

from typing import Any

import pytest

from api_pipeline.staging import cohort
from api_pipeline.staging.rows import PersonRows
from tests.support.cohort import is_in
from tests.support.ssd import WINDOW, When, care, episode, leaver, person, placement, rows


def looked_after(**lists: Any) -> PersonRows:
    return rows(cin_episodes=[], **lists)


def test_a_looked_after_child_is_in_by_an_active_referral_of_anybody() -> None:
    of_sibling = episode("R9", person_id="2002")

    by_referral = looked_after(cla_episodes=[care(referral_id="r9")], referrals_of_others=[of_sibling])

    assert cohort.is_looked_after_by_referral(by_referral, WINDOW)
    assert is_in(by_referral)


def test_looked_after_child_needs_an_active_referral() -> None:
    of_sibling = episode("R9", "2020-01-01", "2021-01-01", person_id="2002")

    assert not is_in(looked_after(cla_episodes=[care(referral_id="R9")], referrals_of_others=[of_sibling]))


def test_a_looked_after_episode_without_a_referral_is_not_matched_with_any() -> None:
    assert not is_in(looked_after(cla_episodes=[care(referral_id=None)], referrals_of_others=[episode("R9")]))


def test_looked_after_child_needs_the_referral_of_its_care() -> None:
    of = rows(cin_episodes=[episode("R1")], cla_episodes=[care(referral_id="R9")])

    assert not cohort.is_looked_after_by_referral(of, WINDOW)
    assert cohort.is_looked_after_by_referral(rows(cin_episodes=[episode("r9 ")], cla_episodes=of.cla_episodes), WINDOW)


def test_the_looked_after_episode_of_another_child_does_not_include() -> None:
    other = care(referral_id="R9", person_id="2002")

    assert not is_in(looked_after(cla_episodes=[other], referrals_of_others=[episode("R9")], placements=[placement()]))


def test_looked_after_child_is_included_by_its_placement() -> None:
    by_placement = looked_after(cla_episodes=[care(referral_id=None)], placements=[placement(cla_id="cla1")])

    assert cohort.is_looked_after_by_placement(by_placement, WINDOW)
    assert is_in(by_placement)
    lower = looked_after(cla_episodes=[care(referral_id=None, cla_id="cla1 ")], placements=[placement()])
    assert cohort.is_looked_after_by_placement(lower, WINDOW)


def test_placement_outside_period_or_window_does_not_include() -> None:
    episodes = [care(referral_id=None)]

    assert not is_in(looked_after(cla_episodes=episodes, placements=[placement(cla_id="CLA2")]))
    assert not is_in(looked_after(cla_episodes=episodes, placements=[placement(cla_id=None)]))
    assert not is_in(looked_after(cla_episodes=episodes, placements=[placement(start="2020-01-01", end="2024-01-01")]))


def care_leaver(
    born: When = "2006-01-01", contact: When = "2025-01-01", start: When = "2020-01-01", end: When = None
) -> bool:
    found = rows(person(dob=born), cin_episodes=[episode(start=start, end=end)], care_leavers=[leaver(contact)])
    return cohort.is_care_leaver(found, WINDOW)


def test_a_care_leaver_was_met_in_the_window_and_has_an_open_referral() -> None:
    assert care_leaver()


@pytest.mark.parametrize(
    ("born", "holds"),
    [
        ("2010-08-10", True),
        ("2010-08-11", False),
        ("1998-04-01", True),
        ("1998-03-31", False),
        (None, False),
        ("9999-12-31", False),
    ],
)
def test_a_care_leaver_is_16_by_the_end_and_not_26_before_the_start(born: When, holds: bool) -> None:
    assert care_leaver(born=born) is holds


@pytest.mark.parametrize(
    ("contact", "holds"), [("2024-04-01", True), ("2024-03-31", False), ("2026-08-11", False), (None, False)]
)
def test_a_care_leaver_was_met_from_the_start_and_before_the_end(contact: When, holds: bool) -> None:
    assert care_leaver(contact=contact) is holds


def test_a_care_leaver_needs_an_open_referral_dated_by_the_end() -> None:
    assert not care_leaver(end="2026-01-01")
    assert not care_leaver(start="2026-08-12")
    assert not care_leaver(start=None)
    assert care_leaver(start="2026-08-11")
