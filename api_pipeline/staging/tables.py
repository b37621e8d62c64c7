"""The SSD tables and columns that `stage` reads, made from the tuples in `rows`; widths are those of SystemC's SSD."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, get_args, get_type_hints

from api_pipeline.staging import rows

# How many characters most texts have.
_WIDTH = 48


class SsdKind(str, Enum):
    """What a column holds; dates are DATETIME (SQL Server) or TIMESTAMP (PostgreSQL) with a time part."""

    TEXT = "text"
    DATE = "date"
    INTEGER = "integer"


@dataclass(frozen=True, slots=True)
class SsdColumn:
    """A column; `length` in characters for texts, None where there is no limit or the column is not a text."""

    name: str
    kind: SsdKind
    length: int | None


@dataclass(frozen=True, slots=True)
class SsdTable:
    """A table: `key` are the columns that identify its rows, the first of them is the row's own id.

    `row_type` holds one of its rows, `member` is the name of a person's rows of it in `PersonRows`.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[SsdColumn, ...]
    row_type: type[tuple[Any, ...]]
    member: str

    @property
    def column_names(self) -> tuple[str, ...]:
        """Return the names of the columns, in order."""
        return tuple(column.name for column in self.columns)


def _table(
    name: str, prefix: str, row_type: type[tuple[Any, ...]], member: str, *, key_columns: int = 1, **lengths: int | None
) -> SsdTable:
    """Return a table; `lengths` are those of the texts that have another length than most."""
    columns = tuple(
        _column(f"{prefix}_{field}", hint, lengths.get(field, _WIDTH))
        for field, hint in get_type_hints(row_type).items()
    )
    key = tuple(column.name for column in columns[:key_columns])
    return SsdTable(name, key, columns, row_type, member)


def _column(name: str, hint: Any, length: int | None) -> SsdColumn:
    types = get_args(hint)
    if datetime in types:
        return SsdColumn(name, SsdKind.DATE, None)
    return SsdColumn(name, SsdKind.INTEGER, None) if int in types else SsdColumn(name, SsdKind.TEXT, length)


PERSON = _table(
    *("ssd_person", "pers", rows.Person, "person"), upn=13, upn_unknown=6, forename=100, surname=255, sex=20
)
DISABILITY = _table("ssd_disability", "disa", rows.Disability, "disabilities")
ADDRESS = _table("ssd_address", "addr", rows.Address, "addresses", address_postcode=15)
LINKED_IDENTIFIER = _table(
    *("ssd_linked_identifiers", "link", rows.LinkedIdentifier, "linked_identifiers"),
    identifier_type=100,
    identifier_value=100,
)
IMMIGRATION_STATUS = _table(
    "ssd_immigration_status", "immi", rows.ImmigrationStatus, "immigration", immigration_status=100
)
SDQ_SCORE = _table("ssd_sdq_scores", "csdq", rows.SdqScore, "sdq")
CIN_EPISODE = _table("ssd_cin_episodes", "cine", rows.CinEpisode, "cin_episodes", referral_nfa=1, close_reason=100)
ASSESSMENT = _table("ssd_cin_assessments", "cina", rows.Assessment, "assessments")
ASSESSMENT_FACTORS = _table(
    *("ssd_assessment_factors", "cinf", rows.AssessmentFactors, "factors"), key_columns=2, assessment_factors_json=None
)
CIN_PLAN = _table("ssd_cin_plans", "cinp", rows.CinPlan, "cin_plans")
S47_ENQUIRY = _table("ssd_s47_enquiry", "s47e", rows.S47Enquiry, "s47_enquiries", s47_outcome_json=1000)
CONFERENCE = _table("ssd_initial_cp_conference", "icpc", rows.Conference, "conferences")
CP_PLAN = _table("ssd_cp_plans", "cppl", rows.CpPlan, "cp_plans")
CLA_EPISODE = _table(
    *("ssd_cla_episodes", "clae", rows.ClaEpisode, "cla_episodes"),
    cla_episode_start_reason=100,
    cla_episode_ceased_reason=255,
)
PLACEMENT = _table(
    *("ssd_cla_placement", "clap", rows.Placement, "placements"),
    cla_placement_type=100,
    cla_placement_postcode=8,
    cla_placement_change_reason=100,
)
PERMANENCE = _table("ssd_permanence", "perm", rows.Permanence, "permanence")
CARE_LEAVER = _table(
    *("ssd_care_leavers", "clea", rows.CareLeaver, "care_leavers"),
    care_leaver_activity=100,
    care_leaver_accommodation=100,
)
INVOLVEMENT = _table("ssd_involvements", "invo", rows.Involvement, "involvements", professional_role_id=200)
PROFESSIONAL = _table("ssd_professionals", "prof", rows.Professional, "professionals")

SSD_TABLES: tuple[SsdTable, ...] = (
    *(PERSON, DISABILITY, ADDRESS, LINKED_IDENTIFIER, IMMIGRATION_STATUS, SDQ_SCORE, CIN_EPISODE, ASSESSMENT),
    *(ASSESSMENT_FACTORS, CIN_PLAN, S47_ENQUIRY, CONFERENCE, CP_PLAN, CLA_EPISODE, PLACEMENT, PERMANENCE),
    *(CARE_LEAVER, INVOLVEMENT, PROFESSIONAL),
)
TABLES_BY_NAME = {table.name: table for table in SSD_TABLES}
