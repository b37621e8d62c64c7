"""The SSD tables and columns that `stage` reads, as data (mapping 8); widths are those of SystemC's SSD.

Dates are DATETIME (SQL Server) or TIMESTAMP (PostgreSQL) with a time part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SsdKind(str, Enum):
    """What a column holds."""

    TEXT = "text"
    DATE = "date"
    INTEGER = "integer"


@dataclass(frozen=True, slots=True)
class SsdColumn:
    """A column; `length` in characters for texts, None where there is no limit or the column is not a text.

    `also_called` is the name in some Mosaic script, where that differs.
    """

    name: str
    kind: SsdKind
    length: int | None = None
    also_called: str | None = None


@dataclass(frozen=True, slots=True)
class SsdTable:
    """A table; `key` are the columns that identify its rows, the first of them is the row's own id."""

    name: str
    key: tuple[str, ...]
    columns: tuple[SsdColumn, ...]

    @property
    def prefix(self) -> str:
        """Return what the names of all its columns begin with, such as `pers_`."""
        return self.columns[0].name.split("_", 1)[0] + "_"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Return the names of the columns, in order."""
        return tuple(column.name for column in self.columns)


def _text(name: str, length: int | None = 48, also_called: str | None = None) -> SsdColumn:
    return SsdColumn(name, SsdKind.TEXT, length, also_called)


def _date(name: str) -> SsdColumn:
    return SsdColumn(name, SsdKind.DATE)


PERSON = SsdTable(
    "ssd_person",
    ("pers_person_id",),
    (
        _text("pers_person_id"),
        _text("pers_legacy_id"),
        _text("pers_upn", 13),
        _text("pers_upn_unknown", 6),
        _text("pers_forename", 100),
        _text("pers_surname", 255),
        _text("pers_sex", 20),
        _text("pers_ethnicity"),
        _date("pers_dob"),
        _date("pers_expected_dob"),
    ),
)
DISABILITY = SsdTable(
    "ssd_disability",
    ("disa_table_id",),
    (_text("disa_table_id"), _text("disa_person_id"), _text("disa_disability_code")),
)
ADDRESS = SsdTable(
    "ssd_address",
    ("addr_table_id",),
    (
        _text("addr_table_id"),
        _text("addr_person_id"),
        _text("addr_address_postcode", 15),
        _date("addr_address_start_date"),
    ),
)
LINKED_IDENTIFIER = SsdTable(
    "ssd_linked_identifiers",
    ("link_table_id",),
    (
        _text("link_table_id"),
        _text("link_person_id"),
        _text("link_identifier_type", 100),
        _text("link_identifier_value", 100),
        _date("link_valid_from_date"),
    ),
)
IMMIGRATION_STATUS = SsdTable(
    "ssd_immigration_status",
    ("immi_immigration_status_id",),
    (
        _text("immi_immigration_status_id"),
        _text("immi_person_id"),
        _text("immi_immigration_status", 100),
        _date("immi_immigration_status_start_date"),
        _date("immi_immigration_status_end_date"),
    ),
)
SDQ_SCORE = SsdTable(
    "ssd_sdq_scores",
    ("csdq_table_id",),
    (
        _text("csdq_table_id"),
        _text("csdq_person_id"),
        _date("csdq_sdq_completed_date"),
        SsdColumn("csdq_sdq_score", SsdKind.INTEGER),
    ),
)
CIN_EPISODE = SsdTable(
    "ssd_cin_episodes",
    ("cine_referral_id",),
    (
        _text("cine_referral_id"),
        _text("cine_person_id"),
        _date("cine_referral_date"),
        _text("cine_referral_source_code"),
        _text("cine_referral_nfa", 1),
        _text("cine_close_reason", 100),
        _date("cine_close_date"),
    ),
)
ASSESSMENT = SsdTable(
    "ssd_cin_assessments",
    ("cina_assessment_id",),
    (
        _text("cina_assessment_id"),
        _text("cina_person_id"),
        _text("cina_referral_id"),
        _date("cina_assessment_start_date"),
        _date("cina_assessment_auth_date"),
    ),
)
ASSESSMENT_FACTORS = SsdTable(
    "ssd_assessment_factors",
    ("cinf_table_id", "cinf_assessment_id"),
    (_text("cinf_table_id"), _text("cinf_assessment_id"), _text("cinf_assessment_factors_json", None)),
)
CIN_PLAN = SsdTable(
    "ssd_cin_plans",
    ("cinp_cin_plan_id",),
    (
        _text("cinp_cin_plan_id", also_called="cin_plan_id"),
        _text("cinp_referral_id"),
        _text("cinp_person_id"),
        _date("cinp_cin_plan_start_date"),
        _date("cinp_cin_plan_end_date"),
    ),
)
S47_ENQUIRY = SsdTable(
    "ssd_s47_enquiry",
    ("s47e_s47_enquiry_id",),
    (
        _text("s47e_s47_enquiry_id"),
        _text("s47e_referral_id"),
        _text("s47e_person_id"),
        _date("s47e_s47_start_date"),
        _date("s47e_s47_end_date"),
        _text("s47e_s47_outcome_json", 1000),
    ),
)
CONFERENCE = SsdTable(
    "ssd_initial_cp_conference",
    ("icpc_icpc_id",),
    (_text("icpc_icpc_id"), _text("icpc_s47_enquiry_id"), _date("icpc_icpc_date")),
)
CP_PLAN = SsdTable(
    "ssd_cp_plans",
    ("cppl_cp_plan_id",),
    (
        _text("cppl_cp_plan_id"),
        _text("cppl_referral_id"),
        _text("cppl_person_id"),
        _date("cppl_cp_plan_start_date"),
        _date("cppl_cp_plan_end_date"),
    ),
)
CLA_EPISODE = SsdTable(
    "ssd_cla_episodes",
    ("clae_cla_episode_id",),
    (
        _text("clae_cla_episode_id"),
        _text("clae_person_id"),
        _text("clae_cla_placement_id"),
        _text("clae_cla_id"),
        _text("clae_referral_id"),
        _date("clae_cla_episode_start_date"),
        _text("clae_cla_episode_start_reason", 100),
        _date("clae_cla_episode_ceased_date"),
        _text("clae_cla_episode_ceased_reason", 255),
    ),
)
PLACEMENT = SsdTable(
    "ssd_cla_placement",
    ("clap_cla_placement_id",),
    (
        _text("clap_cla_placement_id"),
        _text("clap_cla_id"),
        _date("clap_cla_placement_start_date"),
        _date("clap_cla_placement_end_date"),
        _text("clap_cla_placement_type", 100),
        _text("clap_cla_placement_postcode", 8),
        _text("clap_cla_placement_change_reason", 100),
    ),
)
PERMANENCE = SsdTable(
    "ssd_permanence",
    ("perm_table_id",),
    (
        _text("perm_table_id"),
        _text("perm_person_id"),
        _text("perm_cla_id"),
        _date("perm_adm_decision_date"),
        _date("perm_matched_date"),
        _date("perm_placed_for_adoption_date"),
    ),
)
CARE_LEAVER = SsdTable(
    "ssd_care_leavers",
    ("clea_table_id",),
    (
        _text("clea_table_id"),
        _text("clea_person_id"),
        _date("clea_care_leaver_latest_contact"),
        _text("clea_care_leaver_activity", 100),
        _text("clea_care_leaver_accommodation", 100),
    ),
)
INVOLVEMENT = SsdTable(
    "ssd_involvements",
    ("invo_involvements_id",),
    (
        _text("invo_involvements_id"),
        _text("invo_professional_id"),
        _text("invo_professional_role_id", 200),
        _text("invo_referral_id"),
        _date("invo_involvement_start_date"),
        _date("invo_involvement_end_date"),
    ),
)
PROFESSIONAL = SsdTable(
    "ssd_professionals",
    ("prof_professional_id",),
    (_text("prof_professional_id"), _text("prof_staff_id"), _text("prof_social_worker_registration_no")),
)

SSD_TABLES: tuple[SsdTable, ...] = (
    PERSON,
    DISABILITY,
    ADDRESS,
    LINKED_IDENTIFIER,
    IMMIGRATION_STATUS,
    SDQ_SCORE,
    CIN_EPISODE,
    ASSESSMENT,
    ASSESSMENT_FACTORS,
    CIN_PLAN,
    S47_ENQUIRY,
    CONFERENCE,
    CP_PLAN,
    CLA_EPISODE,
    PLACEMENT,
    PERMANENCE,
    CARE_LEAVER,
    INVOLVEMENT,
    PROFESSIONAL,
)
