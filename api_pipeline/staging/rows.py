"""One named tuple for a row of each SSD table that `stage` reads, and everything about one person (mapping 8).

The fields are the table's columns, named as these without the table's prefix; `tables` makes the one from the other.
Texts are as stored (not trimmed), ids are texts whatever the column's type, dates have no zone. Null is None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

_Record = TypeVar("_Record")


def id_key(text: str) -> str:
    """Return what two ids are compared by: SQL Server ignores case and trailing spaces in a join (mapping 3)."""
    return text.strip(" ").upper()


def as_staged(people: Sequence[str], staged: Collection[str]) -> dict[str, str]:
    """Return, by the SSD's spelling, the ids that the staging table has with other blanks at their end.

    A CHAR column fills ids up with blanks. An id that has two such spellings on either side is none of them.
    """
    there = set(people)
    others = Counter(person.rstrip(" ") for person in staged if person not in there)
    if not others:
        return {}
    asked = Counter(person.rstrip(" ") for person in people if person not in staged)
    names = {person.rstrip(" "): person for person in staged if person not in there}
    return {
        person: names[key]
        for person in people
        if person not in staged and others[key := person.rstrip(" ")] == 1 == asked[key]
    }


def as_named(recorded: Mapping[str, _Record], names: Collection[str]) -> dict[str, _Record]:
    """Return what is recorded of people by their names, which may have blanks at their end; it is recorded without."""
    exact = set(names)
    named = {name.rstrip(" "): name for name in exact}
    return {
        person if person in exact else named.get(person.rstrip(" "), person): one for person, one in recorded.items()
    }


class Person(NamedTuple):
    """A row of `ssd_person`."""

    person_id: str
    legacy_id: str | None
    upn: str | None
    upn_unknown: str | None
    forename: str | None
    surname: str | None
    sex: str | None
    ethnicity: str | None
    dob: datetime | None
    expected_dob: datetime | None


class Disability(NamedTuple):
    """A row of `ssd_disability`."""

    table_id: str
    person_id: str | None
    disability_code: str | None


class Address(NamedTuple):
    """A row of `ssd_address`."""

    table_id: str
    person_id: str | None
    address_postcode: str | None
    address_start_date: datetime | None


class LinkedIdentifier(NamedTuple):
    """A row of `ssd_linked_identifiers`."""

    table_id: str
    person_id: str | None
    identifier_type: str | None
    identifier_value: str | None
    valid_from_date: datetime | None


class ImmigrationStatus(NamedTuple):
    """A row of `ssd_immigration_status`."""

    immigration_status_id: str
    person_id: str | None
    immigration_status: str | None
    immigration_status_start_date: datetime | None
    immigration_status_end_date: datetime | None


class SdqScore(NamedTuple):
    """A row of `ssd_sdq_scores`; the score is text in Mosaic."""

    table_id: str
    person_id: str | None
    sdq_completed_date: datetime | None
    sdq_score: str | int | None


class CinEpisode(NamedTuple):
    """A row of `ssd_cin_episodes`."""

    referral_id: str
    person_id: str | None
    referral_date: datetime | None
    referral_source_code: str | None
    referral_nfa: str | None
    close_reason: str | None
    close_date: datetime | None


class Assessment(NamedTuple):
    """A row of `ssd_cin_assessments`."""

    assessment_id: str
    person_id: str | None
    referral_id: str | None
    assessment_start_date: datetime | None
    assessment_auth_date: datetime | None


class AssessmentFactors(NamedTuple):
    """A row of `ssd_assessment_factors`."""

    table_id: str
    assessment_id: str | None
    assessment_factors_json: str | None


class CinPlan(NamedTuple):
    """A row of `ssd_cin_plans`."""

    cin_plan_id: str
    referral_id: str | None
    person_id: str | None
    cin_plan_start_date: datetime | None
    cin_plan_end_date: datetime | None


class S47Enquiry(NamedTuple):
    """A row of `ssd_s47_enquiry`."""

    s47_enquiry_id: str
    referral_id: str | None
    person_id: str | None
    s47_start_date: datetime | None
    s47_end_date: datetime | None
    s47_outcome_json: str | None


class Conference(NamedTuple):
    """A row of `ssd_initial_cp_conference`."""

    icpc_id: str
    s47_enquiry_id: str | None
    icpc_date: datetime | None


class CpPlan(NamedTuple):
    """A row of `ssd_cp_plans`."""

    cp_plan_id: str
    referral_id: str | None
    person_id: str | None
    cp_plan_start_date: datetime | None
    cp_plan_end_date: datetime | None


class ClaEpisode(NamedTuple):
    """A row of `ssd_cla_episodes`; `cla_id` is its period of care."""

    cla_episode_id: str
    person_id: str | None
    cla_placement_id: str | None
    cla_id: str | None
    referral_id: str | None
    cla_episode_start_date: datetime | None
    cla_episode_start_reason: str | None
    cla_episode_ceased_date: datetime | None
    cla_episode_ceased_reason: str | None


class Placement(NamedTuple):
    """A row of `ssd_cla_placement`; `cla_id` is its period of care."""

    cla_placement_id: str
    cla_id: str | None
    cla_placement_start_date: datetime | None
    cla_placement_end_date: datetime | None
    cla_placement_type: str | None
    cla_placement_postcode: str | None
    cla_placement_change_reason: str | None


class Permanence(NamedTuple):
    """A row of `ssd_permanence`."""

    table_id: str
    person_id: str | None
    cla_id: str | None
    adm_decision_date: datetime | None
    matched_date: datetime | None
    placed_for_adoption_date: datetime | None


class CareLeaver(NamedTuple):
    """A row of `ssd_care_leavers`."""

    table_id: str
    person_id: str | None
    care_leaver_latest_contact: datetime | None
    care_leaver_activity: str | None
    care_leaver_accommodation: str | None


class Involvement(NamedTuple):
    """A row of `ssd_involvements`."""

    involvements_id: str
    professional_id: str | None
    professional_role_id: str | None
    referral_id: str | None
    involvement_start_date: datetime | None
    involvement_end_date: datetime | None


class Professional(NamedTuple):
    """A row of `ssd_professionals`."""

    professional_id: str
    staff_id: str | None
    social_worker_registration_no: str | None


@dataclass(slots=True)
class PersonRows:
    """Everything the SSD tells about one person, in any order and without a row twice.

    person:               the row of the person
    disabilities, addresses, linked_identifiers, immigration, sdq, care_leavers: by the person id
    cin_episodes:         by the person id; "the person's referrals" below are theirs
    assessments:          whose referral is one of the person's
    factors:              of those assessments, by assessment id
    cin_plans, cp_plans:  whose referral is one of the person's, or whose person is the person (for the cohort)
    s47_enquiries:        whose referral is one of the person's
    conferences:          of those enquiries, by section 47 id
    involvements:         whose referral is one of the person's
    professionals:        of those involvements, by professional id
    cla_episodes:         whose person is the person, or whose referral is one of the person's
    placements:           whose period of care (`cla_id`) is that of one of those looked-after episodes
    permanence:           by the person id, or by the `cla_id` of one of those looked-after episodes
    referrals_of_others:  CIN episodes, of anyone, that one of those looked-after episodes refers to (those in
                          `cin_episodes` may be left out or repeated)
    """

    person: Person
    disabilities: Sequence[Disability] = ()
    addresses: Sequence[Address] = ()
    linked_identifiers: Sequence[LinkedIdentifier] = ()
    immigration: Sequence[ImmigrationStatus] = ()
    sdq: Sequence[SdqScore] = ()
    cin_episodes: Sequence[CinEpisode] = ()
    assessments: Sequence[Assessment] = ()
    factors: Sequence[AssessmentFactors] = ()
    cin_plans: Sequence[CinPlan] = ()
    s47_enquiries: Sequence[S47Enquiry] = ()
    conferences: Sequence[Conference] = ()
    cp_plans: Sequence[CpPlan] = ()
    cla_episodes: Sequence[ClaEpisode] = ()
    placements: Sequence[Placement] = ()
    permanence: Sequence[Permanence] = ()
    care_leavers: Sequence[CareLeaver] = ()
    involvements: Sequence[Involvement] = ()
    professionals: Sequence[Professional] = ()
    referrals_of_others: Sequence[CinEpisode] = ()
