"""Rules that concern two columns or two tables: dates in order, rows that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from api_pipeline.staging.preflight.dialects import Sql
from api_pipeline.staging.preflight.rules import LEFT_OUT, NO_WINDOW, QUERIED, PreflightRule

_BELONGS = "belongs to nobody: never sent"
# Table, start and end, and what becomes of an end before its start.
_SPELLS = (
    ("ssd_immigration_status", "immi_immigration_status_start_date", "immi_immigration_status_end_date", QUERIED),
    ("ssd_cin_episodes", "cine_referral_date", "cine_close_date", QUERIED),
    ("ssd_cin_assessments", "cina_assessment_start_date", "cina_assessment_auth_date", QUERIED),
    ("ssd_cin_plans", "cinp_cin_plan_start_date", "cinp_cin_plan_end_date", QUERIED),
    ("ssd_s47_enquiry", "s47e_s47_start_date", "s47e_s47_end_date", QUERIED),
    ("ssd_cp_plans", "cppl_cp_plan_start_date", "cppl_cp_plan_end_date", QUERIED),
    ("ssd_cla_placement", "clap_cla_placement_start_date", "clap_cla_placement_end_date", LEFT_OUT),
    ("ssd_involvements", "invo_involvement_start_date", "invo_involvement_end_date", QUERIED),
)
_NEEDED_DATES = (
    ("ssd_sdq_scores", "csdq_sdq_completed_date"),
    ("ssd_cin_episodes", "cine_referral_date"),
    ("ssd_cin_plans", "cinp_cin_plan_start_date"),
    ("ssd_s47_enquiry", "s47e_s47_start_date"),
    ("ssd_cp_plans", "cppl_cp_plan_start_date"),
    ("ssd_cla_placement", "clap_cla_placement_start_date"),
    ("ssd_involvements", "invo_involvement_start_date"),
)
_REFERENCES = (
    ("ssd_disability", "disa_person_id", "ssd_person", "pers_person_id"),
    ("ssd_address", "addr_person_id", "ssd_person", "pers_person_id"),
    ("ssd_linked_identifiers", "link_person_id", "ssd_person", "pers_person_id"),
    ("ssd_immigration_status", "immi_person_id", "ssd_person", "pers_person_id"),
    ("ssd_sdq_scores", "csdq_person_id", "ssd_person", "pers_person_id"),
    ("ssd_cin_episodes", "cine_person_id", "ssd_person", "pers_person_id"),
    ("ssd_cin_assessments", "cina_referral_id", "ssd_cin_episodes", "cine_referral_id"),
    ("ssd_assessment_factors", "cinf_assessment_id", "ssd_cin_assessments", "cina_assessment_id"),
    ("ssd_cin_plans", "cinp_referral_id", "ssd_cin_episodes", "cine_referral_id"),
    ("ssd_s47_enquiry", "s47e_referral_id", "ssd_cin_episodes", "cine_referral_id"),
    ("ssd_initial_cp_conference", "icpc_s47_enquiry_id", "ssd_s47_enquiry", "s47e_s47_enquiry_id"),
    ("ssd_cp_plans", "cppl_referral_id", "ssd_cin_episodes", "cine_referral_id"),
    ("ssd_cla_episodes", "clae_referral_id", "ssd_cin_episodes", "cine_referral_id"),
    ("ssd_cla_placement", "clap_cla_id", "ssd_cla_episodes", "clae_cla_id"),
    ("ssd_care_leavers", "clea_person_id", "ssd_person", "pers_person_id"),
    ("ssd_involvements", "invo_referral_id", "ssd_cin_episodes", "cine_referral_id"),
    ("ssd_involvements", "invo_professional_id", "ssd_professionals", "prof_professional_id"),
)


def relation_rules() -> Iterator[PreflightRule]:
    """Return all rules of this module."""
    yield from _birth_rules()
    for table, start, end, effect in _SPELLS:
        yield PreflightRule(table, end, "before its start", effect, partial(_before, end, start))
    for table, column in _NEEDED_DATES:
        yield PreflightRule(table, column, "missing", NO_WINDOW, partial(_is_null, column))
    for table, column, other, key in _REFERENCES:
        yield PreflightRule(table, column, f"not in {other}", _BELONGS, partial(_not_in, column, other, key))
    yield from _pair_rules()


def _birth_rules() -> Iterator[PreflightRule]:
    person, expected = "ssd_person", "pers_expected_dob"
    yield PreflightRule(
        person,
        "pers_dob",
        "missing, and no expected date either",
        "the person is not taken",
        lambda _sql: "t.pers_dob IS NULL AND t.pers_expected_dob IS NULL",
    )
    yield PreflightRule(
        person,
        expected,
        "before today without a birth date: an estimate?",
        "taken as unborn; not taken at all before the window",
        lambda sql: f"t.pers_dob IS NULL AND t.pers_expected_dob < {sql.today}",
    )
    yield PreflightRule(
        person,
        expected,
        "beside a birth date",
        LEFT_OUT,
        lambda _sql: "t.pers_dob IS NOT NULL AND t.pers_expected_dob IS NOT NULL",
    )


def _pair_rules() -> Iterator[PreflightRule]:
    yield PreflightRule(
        "ssd_disability",
        "disa_disability_code",
        "NONE beside another code",
        "NONE is left out",
        _none_with_others,
    )
    yield PreflightRule(
        "ssd_cin_episodes",
        "cine_close_reason",
        "missing in a closed episode",
        QUERIED,
        lambda sql: f"t.cine_close_date IS NOT NULL AND {sql.is_blank('t.cine_close_reason')}",
    )
    yield PreflightRule(
        "ssd_cin_episodes",
        "cine_close_reason",
        "there, but the episode is open",
        QUERIED,
        lambda sql: f"t.cine_close_date IS NULL AND NOT {sql.is_blank('t.cine_close_reason')}",
    )


def _before(end: str, start: str, _sql: Sql) -> str:
    return f"t.{end} < t.{start}"


def _is_null(column: str, _sql: Sql) -> str:
    return f"t.{column} IS NULL"


def _not_in(column: str, other: str, key: str, sql: Sql) -> str:
    same = f"{sql.as_other_id(f'o.{key}')} = {sql.as_id(f't.{column}')}"
    return f"NOT EXISTS (SELECT 1 FROM {sql.table(other)} AS o WHERE {same})"  # noqa: S608 - names of the field table


def _none_with_others(sql: Sql) -> str:
    mine, others = (f"UPPER({sql.trimmed(f'{alias}.disa_disability_code')})" for alias in "to")
    same = f"o.disa_person_id = t.disa_person_id AND {others} NOT IN ('', 'NONE')"
    return f"{mine} = 'NONE' AND EXISTS (SELECT 1 FROM {sql.table('ssd_disability')} AS o WHERE {same})"  # noqa: S608 - as above
