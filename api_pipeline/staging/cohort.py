"""Who is in the cohort: of age or unborn, and in one of the inclusion sets (mapping 2). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from typing import TypeAlias

from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging.issues import Issue, IssueRule
from api_pipeline.staging.rows import ClaEpisode, PersonRows, id_key
from api_pipeline.staging.tables import PERSON
from api_pipeline.staging.window import Window, years_after

InclusionSet: TypeAlias = "Callable[[PersonRows, Window], bool]"
_AGE_LIMIT = 26
_LEAVING_CARE = 16


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether a person is taken, and what the data team should know about the decision."""

    is_in: bool
    issues: tuple[Issue, ...] = ()


_OUT = Eligibility(is_in=False)
_IN = Eligibility(is_in=True)


def eligibility(rows: PersonRows, window: Window, settings: StagingSettings) -> Eligibility:
    """Return whether a person is in the cohort of this run.

    Who would be in but for the birth dates is out, with an issue: an estimated date of birth that was put into the
    column for the expected one would otherwise make a child vanish unnoticed.
    """
    if not is_included(rows, window, settings):
        return _OUT
    person = rows.person
    if person.dob is not None:
        return _IN if is_young_enough(person.dob, window) else _OUT
    if person.expected_dob is None:
        return Eligibility(False, (_issue(rows, IssueRule.BIRTH_DATES_MISSING, "date_of_birth"),))
    if not window.holds(person.expected_dob):
        rule = IssueRule.EXPECTED_BIRTH_OUTSIDE_WINDOW
        return Eligibility(False, (_issue(rows, rule, "expected_date_of_birth"),))
    if person.expected_dob < datetime.combine(window.run_date, time()):
        rule = IssueRule.EXPECTED_BIRTH_PASSED
        return Eligibility(True, (_issue(rows, rule, "expected_date_of_birth"),))
    return _IN


def is_young_enough(born: datetime, window: Window) -> bool:
    """Return whether somebody is born by the window's end, and 25 or less at some time in it."""
    return born <= window.end and years_after(born, _AGE_LIMIT) > window.start


def is_included(rows: PersonRows, window: Window, settings: StagingSettings) -> bool:
    """Return whether one inclusion set at least holds the person."""
    return (
        any(holds(rows, window) for holds in INCLUSION_SETS)
        or (settings.cohort_include_cp_plans and has_cp_plan(rows, window))
        or (settings.cohort_include_disabled and is_disabled(rows))
    )


def has_active_referral(rows: PersonRows, window: Window) -> bool:
    """Return whether a CIN episode of the person touches the window."""
    return any(window.overlaps(row.referral_date, row.close_date) for row in rows.cin_episodes)


def waits_for_assessment(rows: PersonRows, _window: Window) -> bool:
    """Return whether the person has an open CIN episode, however old, for whose referral no assessment has begun."""
    begun = {
        id_key(row.referral_id)
        for row in rows.assessments
        if row.referral_id is not None and row.assessment_start_date is not None
    }
    return any(row.close_date is None and id_key(row.referral_id) not in begun for row in rows.cin_episodes)


def has_cin_plan(rows: PersonRows, window: Window) -> bool:
    """Return whether a CIN plan of the person touches the window."""
    return any(
        window.overlaps(row.cin_plan_start_date, row.cin_plan_end_date) and _is_theirs(row.person_id, rows)
        for row in rows.cin_plans
    )


def is_looked_after_by_referral(rows: PersonRows, window: Window) -> bool:
    """Return whether a looked-after episode of the person refers to anyone's CIN episode that touches the window."""
    referrals = {id_key(row.referral_id) for row in own_care(rows) if row.referral_id is not None}
    return bool(referrals) and any(
        window.overlaps(row.referral_date, row.close_date) and id_key(row.referral_id) in referrals
        for row in (*rows.cin_episodes, *rows.referrals_of_others)
    )


def is_looked_after_by_placement(rows: PersonRows, window: Window) -> bool:
    """Return whether a placement of a period of care of the person touches the window."""
    periods = {id_key(row.cla_id) for row in own_care(rows) if row.cla_id is not None}
    return bool(periods) and any(
        row.cla_id is not None
        and window.overlaps(row.cla_placement_start_date, row.cla_placement_end_date)
        and id_key(row.cla_id) in periods
        for row in rows.placements
    )


def is_care_leaver(rows: PersonRows, window: Window) -> bool:
    """Return whether the person, aged 16 to 25, was met as a care leaver in the window and has an open CIN episode."""
    born = rows.person.dob
    if born is None or born > window.end:
        return False
    return (
        years_after(born, _LEAVING_CARE) < window.end
        and years_after(born, _AGE_LIMIT) >= window.start
        and any(
            row.care_leaver_latest_contact is not None and window.start <= row.care_leaver_latest_contact < window.end
            for row in rows.care_leavers
        )
        and any(
            row.close_date is None and row.referral_date is not None and row.referral_date <= window.end
            for row in rows.cin_episodes
        )
    )


def has_cp_plan(rows: PersonRows, window: Window) -> bool:
    """Return whether a child protection plan of the person touches the window (COHORT_INCLUDE_CP_PLANS)."""
    return any(
        window.overlaps(row.cp_plan_start_date, row.cp_plan_end_date) and _is_theirs(row.person_id, rows)
        for row in rows.cp_plans
    )


def is_disabled(rows: PersonRows) -> bool:
    """Return whether the person has any disability code but NONE (COHORT_INCLUDE_DISABLED)."""
    return any((row.disability_code or "").strip(" ").upper() not in ("", "NONE") for row in rows.disabilities)


INCLUSION_SETS: tuple[InclusionSet, ...] = (
    has_active_referral,
    waits_for_assessment,
    has_cin_plan,
    is_looked_after_by_referral,
    is_looked_after_by_placement,
    is_care_leaver,
)


def own_care(rows: PersonRows) -> list[ClaEpisode]:
    """Return the looked-after episodes whose person is the person, without those that only share a referral."""
    return [row for row in rows.cla_episodes if _is_theirs(row.person_id, rows)]


def _is_theirs(person_id: str | None, rows: PersonRows) -> bool:
    own = rows.person.person_id
    return person_id == own or (person_id is not None and id_key(person_id) == id_key(own))


def _issue(rows: PersonRows, rule: IssueRule, name: str) -> Issue:
    person_id = rows.person.person_id
    return Issue(rule, person_id, f"child_details.{name}", f"{PERSON.name} {person_id}")
