"""One child of an SSD in order, and values that break the rules of the pre-flight script."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

Rows: TypeAlias = "dict[str, list[dict[str, Any]]]"


TODAY = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ005 - the SSD's dates have no zone


BEGIN, END = TODAY - timedelta(days=90), TODAY - timedelta(days=30)


# One child in order, one row a table.
CLEAN: Rows = {
    "ssd_person": [
        {
            "pers_person_id": "1001",
            "pers_legacy_id": "MIS-1",
            "pers_upn": "A123456789012",
            "pers_upn_unknown": "UN10",
            "pers_forename": "Given",
            "pers_surname": "Sample",
            "pers_sex": " f ",
            "pers_ethnicity": "WBRI White British",
            "pers_dob": TODAY - timedelta(days=4000),
        }
    ],
    "ssd_disability": [{"disa_table_id": "D1", "disa_person_id": "1001", "disa_disability_code": " aut "}],
    "ssd_address": [
        {
            "addr_table_id": "AD1",
            "addr_person_id": "1001",
            "addr_address_postcode": " QX1 1AX ",
            "addr_address_start_date": BEGIN,
        }
    ],
    "ssd_linked_identifiers": [
        {
            "link_table_id": "LI1",
            "link_person_id": "1001",
            "link_identifier_type": "Former Unique Pupil Number",
            "link_identifier_value": "B123456789012",
            "link_valid_from_date": BEGIN,
        }
    ],
    "ssd_immigration_status": [
        {
            "immi_immigration_status_id": "IM1",
            "immi_person_id": "1001",
            "immi_immigration_status": "UASC",
            "immi_immigration_status_start_date": BEGIN,
            "immi_immigration_status_end_date": END,
        }
    ],
    "ssd_sdq_scores": [
        {"csdq_table_id": "Q1", "csdq_person_id": "1001", "csdq_sdq_completed_date": BEGIN, "csdq_sdq_score": 40}
    ],
    "ssd_cin_episodes": [
        {
            "cine_referral_id": "9001",
            "cine_person_id": "1001",
            "cine_referral_date": BEGIN,
            "cine_referral_source_code": "5B Other",
            "cine_referral_nfa": "n",
            "cine_close_reason": "RC1 Adopted",
            "cine_close_date": END,
        }
    ],
    "ssd_cin_assessments": [
        {
            "cina_assessment_id": "A1",
            "cina_person_id": "1001",
            "cina_referral_id": "9001",
            "cina_assessment_start_date": BEGIN,
            "cina_assessment_auth_date": END,
        }
    ],
    "ssd_assessment_factors": [
        {"cinf_table_id": "F1", "cinf_assessment_id": "A1", "cinf_assessment_factors_json": '["1A", "2B"]'}
    ],
    "ssd_cin_plans": [
        {
            "cinp_cin_plan_id": "P1",
            "cinp_referral_id": "9001",
            "cinp_person_id": "1001",
            "cinp_cin_plan_start_date": BEGIN,
            "cinp_cin_plan_end_date": END,
        }
    ],
    "ssd_s47_enquiry": [
        {
            "s47e_s47_enquiry_id": "S1",
            "s47e_referral_id": "9001",
            "s47e_person_id": "1001",
            "s47e_s47_start_date": BEGIN,
            "s47e_s47_end_date": END,
            "s47e_s47_outcome_json": '{"CP_CONFERENCE_FLAG":"Y"}',
        }
    ],
    "ssd_initial_cp_conference": [{"icpc_icpc_id": "IC1", "icpc_s47_enquiry_id": "S1", "icpc_icpc_date": END}],
    "ssd_cp_plans": [
        {
            "cppl_cp_plan_id": "CP_1-a",
            "cppl_referral_id": "9001",
            "cppl_person_id": "1001",
            "cppl_cp_plan_start_date": BEGIN,
            "cppl_cp_plan_end_date": END,
        }
    ],
    "ssd_cla_episodes": [
        {
            "clae_cla_episode_id": "LE1",
            "clae_person_id": "1001",
            "clae_cla_placement_id": "LP1",
            "clae_cla_id": "L1",
            "clae_referral_id": "9001",
            "clae_cla_episode_start_date": BEGIN,
            "clae_cla_episode_start_reason": "S Started to be looked after",
            "clae_cla_episode_ceased_date": END,
            "clae_cla_episode_ceased_reason": "X1 Episode ceases",
        }
    ],
    "ssd_cla_placement": [
        {
            "clap_cla_placement_id": "LP1",
            "clap_cla_id": "L1",
            "clap_cla_placement_start_date": BEGIN,
            "clap_cla_placement_end_date": END,
            "clap_cla_placement_type": "U1 Foster",
            "clap_cla_placement_postcode": "QX1 1AX",
            "clap_cla_placement_change_reason": "carpl",
        }
    ],
    "ssd_permanence": [
        {
            "perm_table_id": "PE1",
            "perm_person_id": "1001",
            "perm_adm_decision_date": BEGIN,
            "perm_matched_date": BEGIN,
            "perm_placed_for_adoption_date": END,
        }
    ],
    "ssd_care_leavers": [
        {
            "clea_table_id": "CL1",
            "clea_person_id": "1001",
            "clea_care_leaver_latest_contact": END,
            "clea_care_leaver_activity": "F2 Full time",
            "clea_care_leaver_accommodation": "b",
        }
    ],
    "ssd_involvements": [
        {
            "invo_involvements_id": "IN1",
            "invo_professional_id": "PR1",
            "invo_professional_role_id": "CW",
            "invo_referral_id": "9001",
            "invo_involvement_start_date": BEGIN,
            "invo_involvement_end_date": END,
        }
    ],
    "ssd_professionals": [
        {"prof_professional_id": "PR1", "prof_staff_id": "ST1", "prof_social_worker_registration_no": "SW123456"}
    ],
}


# What breaks a rule, by what it is called.
VALUES: Mapping[str, object] = {
    "blank": " ",
    "missing": None,
    "missing in a closed episode": " ",
    "not 13 characters": "A123",
    "nearly, but not quite, Former Unique Pupil Number": "Former Unique Pupil ",
    "after tomorrow": TODAY + timedelta(days=3),
    "before its start": BEGIN - timedelta(days=1),
    "not in the code list": "Q#1",
    "not M, F or U": "Male",
    "no flag (Y, N, T, F, 1, 0)": "X",
    "not JSON of the form [..] or {..}": "oops",
    "not JSON of the form {..}": '["Y"]',
    "not a whole number": "1x",
    "over 40": 41,
    "before today without a birth date: an estimate?": TODAY - timedelta(days=4000),
    "beside a birth date": TODAY + timedelta(days=9),
    "missing, and no expected date either": None,
}
