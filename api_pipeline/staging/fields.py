"""The table of the payload's fields: where each comes from and how it is converted (mapping 4 to 7).

The documentation's field reference and the checks before installation are made from it; the blocks take their
code lists, lengths and names from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Explained(str, Enum):
    """A word with the sentence that says in the documentation what it stands for."""

    _value_: str
    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Explained:
        """Make a member of the pair that it is defined as; to look one up takes the word alone."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member


class Conversion(Explained):
    """How a value gets from the SSD into the payload."""

    RECORD_ID = (
        "record id",
        "As text without outer spaces. Too long, or not letters and digits alone: the record is held back.",
    )
    ID = (
        "id",
        "As text without outer spaces; blank ids of the top level are left out. Too long, or not letters, digits, "
        "`_` and `-` alone: the record is held back.",
    )
    WORKER_ID = (
        "worker id",
        "The registration number as an id; workers without one are left out. Too long, or not letters, digits, "
        "`_` and `-` alone: the record is held back.",
    )
    TEXT = ("text", "As it stands; blank is left out.")
    EXACT = ("exact length", "Without outer spaces, and only with exactly so many characters.")
    FORMER_UPN = (
        "former UPN",
        "The newest by valid-from among those of the type Former Unique Pupil Number, and only with 13 characters.",
    )
    UNKNOWN_REASON = (
        "unknown reason",
        "The reason's first 4 characters; where it is blank, the pupil number if that is one of the codes. Only "
        "listed codes.",
    )
    DATE = ("date", "The day.")
    EXPECTED_DATE = ("expected date", "The day, only where there is no date of birth.")
    SEX = ("sex", "M or F, anything else is U.")
    CODE = ("code", "Without outer spaces, the first characters up to the length, in capitals. Only listed codes.")
    DISABILITIES = (
        "disabilities",
        "Codes of all rows, each once, ascending; NONE only alone, and where there are no others.",
    )
    POSTCODE = (
        "postcode",
        "Without outer spaces; blank is passed over, too long is left out. Of the addresses the one with the "
        "newest start.",
    )
    UASC_FLAG = ("UASC flag", "Whether a status matches `UASC_VALUES` and had not ended before the window.")
    UASC_END = ("UASC end", "The end of the newest such status, once it has ended.")
    SCORE = ("score", "A whole number; without one the item is left out.")
    REFERRAL_SOURCE = ("referral source", "The code that the text begins with. Only listed codes.")
    FLAG = ("flag", "Y, T, 1, TRUE: true. N, F, 0, FALSE: false. Anything else is left out.")
    FACTORS = (
        "factors",
        'Codes from `["1A"]` or `{"1A": "Yes"}`, those of more than one row merged, each once, at most 41; 21 '
        "only alone.",
    )
    OUTCOME_FLAG = (
        "outcome flag",
        "`CP_CONFERENCE_FLAG` of the JSON: Y, T, 1, true: true. N, F, 0, false: false. Anything else is left out.",
    )
    LATEST_DATE = ("latest date", "The latest day of the enquiry's conferences.")
    PLACEMENT_END = ("placement end", "The day, unless it is before the start.")
    START_REASON = ("start reason", "As a code, from the earliest episode of the placement.")
    END_REASON = ("end reason", "As a code, from the last episode of the placement, once that has ended.")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the payload.

    `path` is its place, with `[]` after the name of an array; `columns` are of `table`. `length` is in characters.
    `codes` is the name of its code list in the packaged schema.
    """

    path: str
    table: str
    columns: tuple[str, ...]
    conversion: Conversion
    length: int | None = None
    codes: str | None = None

    @property
    def name(self) -> str:
        """Return the field's own name, without the path to it."""
        return self.path.rsplit(".", 1)[-1].removesuffix("[]")


_C = Conversion
_DETAILS = "child_details."
_SDQ = "health_and_wellbeing.sdq_assessments[]."
_EPISODE = "social_care_episodes[]."
_ASSESSMENT = _EPISODE + "child_and_family_assessments[]."
_CIN_PLAN = _EPISODE + "child_in_need_plans[]."
_S47 = _EPISODE + "section_47_assessments[]."
_CP_PLAN = _EPISODE + "child_protection_plans[]."
_PLACEMENT = _EPISODE + "child_looked_after_placements[]."
_ADOPTION = _EPISODE + "adoption."
_LEAVER = _EPISODE + "care_leavers."
_WORKER = _EPISODE + "care_worker_details[]."


def _of(path: str, source: str, conversion: Conversion, length: int | None = None, codes: str | None = None) -> Field:
    """Return a field whose source is written `table: column` or `table: column, column`."""
    table, columns = source.split(": ")
    return Field(path, table, tuple(columns.split(", ")), conversion, length, codes)


FIELDS: tuple[Field, ...] = (
    _of("la_child_id", "ssd_person: pers_person_id", _C.RECORD_ID, 20),
    _of("mis_child_id", "ssd_person: pers_legacy_id", _C.ID, 36),
    _of(_DETAILS + "unique_pupil_number", "ssd_person: pers_upn", _C.EXACT, 13),
    _of(
        _DETAILS + "former_unique_pupil_number",
        "ssd_linked_identifiers: link_identifier_value, link_identifier_type, link_valid_from_date",
        _C.FORMER_UPN,
        13,
    ),
    _of(
        _DETAILS + "unique_pupil_number_unknown_reason",
        "ssd_person: pers_upn_unknown, pers_upn",
        _C.UNKNOWN_REASON,
        4,
        "code_upn_unknown_reason",
    ),
    _of(_DETAILS + "first_name", "ssd_person: pers_forename", _C.TEXT),
    _of(_DETAILS + "surname", "ssd_person: pers_surname", _C.TEXT),
    _of(_DETAILS + "date_of_birth", "ssd_person: pers_dob", _C.DATE),
    _of(_DETAILS + "expected_date_of_birth", "ssd_person: pers_expected_dob", _C.EXPECTED_DATE),
    _of(_DETAILS + "sex", "ssd_person: pers_sex", _C.SEX, 1, "code_sex"),
    _of(_DETAILS + "ethnicity", "ssd_person: pers_ethnicity", _C.CODE, 4, "code_ethnicity"),
    _of(_DETAILS + "disabilities[]", "ssd_disability: disa_disability_code", _C.DISABILITIES, 4, "code_disability"),
    _of(_DETAILS + "postcode", "ssd_address: addr_address_postcode, addr_address_start_date", _C.POSTCODE, 8),
    _of(
        _DETAILS + "uasc_flag",
        "ssd_immigration_status: immi_immigration_status, immi_immigration_status_end_date",
        _C.UASC_FLAG,
    ),
    _of(
        _DETAILS + "uasc_end_date",
        "ssd_immigration_status: immi_immigration_status_end_date, immi_immigration_status_start_date",
        _C.UASC_END,
    ),
    _of(_SDQ + "date", "ssd_sdq_scores: csdq_sdq_completed_date", _C.DATE),
    _of(_SDQ + "score", "ssd_sdq_scores: csdq_sdq_score", _C.SCORE),
    _of(_EPISODE + "social_care_episode_id", "ssd_cin_episodes: cine_referral_id", _C.ID, 36),
    _of(_EPISODE + "referral_date", "ssd_cin_episodes: cine_referral_date", _C.DATE),
    _of(
        _EPISODE + "referral_source",
        "ssd_cin_episodes: cine_referral_source_code",
        _C.REFERRAL_SOURCE,
        2,
        "code_referral_source",
    ),
    _of(_EPISODE + "closure_date", "ssd_cin_episodes: cine_close_date", _C.DATE),
    _of(_EPISODE + "closure_reason", "ssd_cin_episodes: cine_close_reason", _C.CODE, 3, "code_closure_reason"),
    _of(_EPISODE + "referral_no_further_action_flag", "ssd_cin_episodes: cine_referral_nfa", _C.FLAG),
    _of(_ASSESSMENT + "child_and_family_assessment_id", "ssd_cin_assessments: cina_assessment_id", _C.ID, 36),
    _of(_ASSESSMENT + "start_date", "ssd_cin_assessments: cina_assessment_start_date", _C.DATE),
    _of(_ASSESSMENT + "authorisation_date", "ssd_cin_assessments: cina_assessment_auth_date", _C.DATE),
    _of(
        _ASSESSMENT + "factors[]",
        "ssd_assessment_factors: cinf_assessment_factors_json",
        _C.FACTORS,
        3,
        "code_assessment_factor",
    ),
    _of(_CIN_PLAN + "child_in_need_plan_id", "ssd_cin_plans: cinp_cin_plan_id", _C.ID, 36),
    _of(_CIN_PLAN + "start_date", "ssd_cin_plans: cinp_cin_plan_start_date", _C.DATE),
    _of(_CIN_PLAN + "end_date", "ssd_cin_plans: cinp_cin_plan_end_date", _C.DATE),
    _of(_S47 + "section_47_assessment_id", "ssd_s47_enquiry: s47e_s47_enquiry_id", _C.ID, 36),
    _of(_S47 + "start_date", "ssd_s47_enquiry: s47e_s47_start_date", _C.DATE),
    _of(_S47 + "icpc_required_flag", "ssd_s47_enquiry: s47e_s47_outcome_json", _C.OUTCOME_FLAG),
    _of(_S47 + "icpc_date", "ssd_initial_cp_conference: icpc_icpc_date", _C.LATEST_DATE),
    _of(_S47 + "end_date", "ssd_s47_enquiry: s47e_s47_end_date", _C.DATE),
    _of(_CP_PLAN + "child_protection_plan_id", "ssd_cp_plans: cppl_cp_plan_id", _C.ID, 36),
    _of(_CP_PLAN + "start_date", "ssd_cp_plans: cppl_cp_plan_start_date", _C.DATE),
    _of(_CP_PLAN + "end_date", "ssd_cp_plans: cppl_cp_plan_end_date", _C.DATE),
    _of(_PLACEMENT + "child_looked_after_placement_id", "ssd_cla_placement: clap_cla_placement_id", _C.ID, 36),
    _of(_PLACEMENT + "start_date", "ssd_cla_placement: clap_cla_placement_start_date", _C.DATE),
    _of(
        _PLACEMENT + "start_reason",
        "ssd_cla_episodes: clae_cla_episode_start_reason, clae_cla_episode_start_date",
        _C.START_REASON,
        1,
        "code_start_reason",
    ),
    _of(_PLACEMENT + "postcode", "ssd_cla_placement: clap_cla_placement_postcode", _C.POSTCODE, 8),
    _of(_PLACEMENT + "placement_type", "ssd_cla_placement: clap_cla_placement_type", _C.CODE, 3, "code_placement_type"),
    _of(_PLACEMENT + "end_date", "ssd_cla_placement: clap_cla_placement_end_date", _C.PLACEMENT_END),
    _of(
        _PLACEMENT + "end_reason",
        "ssd_cla_episodes: clae_cla_episode_ceased_reason, clae_cla_episode_start_date",
        _C.END_REASON,
        3,
        "code_end_reason",
    ),
    _of(
        _PLACEMENT + "change_reason",
        "ssd_cla_placement: clap_cla_placement_change_reason",
        _C.CODE,
        6,
        "code_change_reason",
    ),
    _of(_ADOPTION + "initial_decision_date", "ssd_permanence: perm_adm_decision_date", _C.DATE),
    _of(_ADOPTION + "matched_date", "ssd_permanence: perm_matched_date", _C.DATE),
    _of(_ADOPTION + "placed_date", "ssd_permanence: perm_placed_for_adoption_date", _C.DATE),
    _of(_LEAVER + "contact_date", "ssd_care_leavers: clea_care_leaver_latest_contact", _C.DATE),
    _of(
        _LEAVER + "activity",
        "ssd_care_leavers: clea_care_leaver_activity",
        _C.CODE,
        2,
        "code_care_leaver_activity",
    ),
    _of(
        _LEAVER + "accommodation",
        "ssd_care_leavers: clea_care_leaver_accommodation",
        _C.CODE,
        1,
        "code_care_leaver_accommodation",
    ),
    _of(
        _WORKER + "worker_id",
        "ssd_professionals: prof_social_worker_registration_no",
        _C.WORKER_ID,
        12,
    ),
    _of(_WORKER + "start_date", "ssd_involvements: invo_involvement_start_date", _C.DATE),
    _of(_WORKER + "end_date", "ssd_involvements: invo_involvement_end_date", _C.DATE),
)

BY_PATH: dict[str, Field] = {field.path: field for field in FIELDS}
NAMES: dict[str, str] = {field.path: field.name for field in FIELDS}
