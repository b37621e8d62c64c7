"""One invented person's rows in the SSD: a builder by the field's words."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import TypeAlias

from api_pipeline.payloads.schema_check import code_list
from api_pipeline.sandbox.invented_children import invented_postcode
from api_pipeline.staging.tables import SSD_TABLES

Value: TypeAlias = "str | int | datetime | None"
Row: TypeAlias = "dict[str, Value]"

# How many professionals the smallest SSD has.
FEWEST_PROFESSIONALS = 60
_KEYS = {table.name: table.key[0] for table in SSD_TABLES}
_START_REASONS = ("S Started to be looked after", "P", "L Change of legal status", "T", "U", "B")
_CEASED_REASONS = ("E4A Returned home to parents", "E4B", "X1 Episode ceases, new one begins", "E11", "E8", "E3", "E48")
_TYPES = ("U1 Foster placement with relative", "U4", "K2 Children's home", "U3", "P1", "R2", "U6 Other foster", "A3")
_CHANGES = ("CARPL", "CLOSE", "CREQB", "OTHER", "PLACE", None)
_CLOSE_REASONS = ("RC1", "RC4 - Transferred", "RC7 Case closed", "RC8", "RC9 ")
_ACTIVITIES = ("F2 Full time education", "P4", "G4 NEET: illness", "F5", "P1 Part time", "G6")
_HOMES = ("B With parents", "C", "U Independent living", "V Emergency", "K", "Z Staying put")


class Life:
    """Collect the rows of one person: `tables` holds them by table, each row by the full names of its columns.

    `today` is midnight of the run date; `start` and `end` are the window's bounds (mapping 1). Each method adds a row
    with sensible columns and gives it, so that what is odd about it can be put in by name afterwards.
    """

    def __init__(self, rng: random.Random, number: int, today: datetime, start: datetime, end: datetime) -> None:
        self.rng = rng
        self.number = number
        self.today = today
        self.start = start
        self.end = end
        self.person_id = person_id_of(number)
        self.professionals = FEWEST_PROFESSIONALS
        self.tables: dict[str, list[Row]] = {}
        self.person = self.add("ssd_person", pers_person_id=self.person_id)

    def add(self, table: str, /, **columns: Value) -> Row:
        """Add a row; columns that are not named are null."""
        self.tables.setdefault(table, []).append(columns)
        return columns

    def rows(self, table: str) -> list[Row]:
        """Return the person's rows in a table; the list is the one that is kept."""
        return self.tables.setdefault(table, [])

    def rename(self, person_id: str) -> None:
        """Give the person another id, in every row that names them."""
        for rows in self.tables.values():
            for row in rows:
                for column, value in row.items():
                    if column.endswith("_person_id") and value == self.person_id:
                        row[column] = person_id
        self.person_id = person_id

    def key(self, letter: str, table: str) -> str:
        """Return a free key for a row of a table: letter, the person's number, position."""
        return self._free(table, lambda position: f"{letter}{self.number}-{position}")

    def _free(self, table: str, key_of: Callable[[int], str]) -> str:
        # Where a night has removed rows, the next position is taken.
        column = _KEYS[table]
        taken = {row.get(column) for row in self.rows(table)}
        return next(key for key in map(key_of, count(len(taken) + 1)) if key not in taken)

    def days_ago(self, least: int, most: int) -> datetime:
        """Return a moment between two numbers of days before the run date; a third of them have a time of day."""
        moment = self.today - timedelta(days=self.rng.randint(least, most))
        return moment + timedelta(minutes=self.rng.randrange(1440)) if self.rng.random() < 0.3 else moment

    def later(self, moment: Value, least: int, most: int) -> datetime | None:
        """Return a day after a moment, or None where that day has not come yet: it has not ended."""
        assert isinstance(moment, datetime)  # noqa: S101 - every caller has just made it
        after = moment.replace(hour=0, minute=0) + timedelta(days=self.rng.randint(least, most))
        return after if after <= self.today else None

    def disability(self, code: str | None) -> Row:
        """Add a disability."""
        table = "ssd_disability"
        return self.add(
            table, disa_table_id=self.key("D", table), disa_person_id=self.person_id, disa_disability_code=code
        )

    def address(self, postcode: str | None, since: datetime | None) -> Row:
        """Add an address."""
        return self.add(
            "ssd_address",
            addr_table_id=self.key("AD", "ssd_address"),
            addr_person_id=self.person_id,
            addr_address_postcode=postcode,
            addr_address_start_date=since,
        )

    def identifier(self, kind: str, value: str | None, since: datetime | None) -> Row:
        """Add a linked identifier."""
        return self.add(
            "ssd_linked_identifiers",
            link_table_id=self.key("LI", "ssd_linked_identifiers"),
            link_person_id=self.person_id,
            link_identifier_type=kind,
            link_identifier_value=value,
            link_valid_from_date=since,
        )

    def immigration(self, status: str | None, since: datetime | None, until: datetime | None = None) -> Row:
        """Add an immigration status."""
        return self.add(
            "ssd_immigration_status",
            immi_immigration_status_id=self.key("IM", "ssd_immigration_status"),
            immi_person_id=self.person_id,
            immi_immigration_status=status,
            immi_immigration_status_start_date=since,
            immi_immigration_status_end_date=until,
        )

    def sdq(self, completed: datetime | None, score: int | None) -> Row:
        """Add a strengths and difficulties questionnaire."""
        return self.add(
            "ssd_sdq_scores",
            csdq_table_id=self.key("Q", "ssd_sdq_scores"),
            csdq_person_id=self.person_id,
            csdq_sdq_completed_date=completed,
            csdq_sdq_score=score,
        )

    def episode(self, referral: datetime | None, closed: datetime | None = None) -> Row:
        """Add a CIN episode; its id is a whole number, as in Mosaic."""
        table = "ssd_cin_episodes"
        return self.add(
            table,
            cine_referral_id=self._free(table, lambda position: f"{self.number + 1}{position:02d}"),
            cine_person_id=self.person_id,
            cine_referral_date=referral,
            cine_referral_source_code=self.rng.choice(code_list("code_referral_source")),
            cine_referral_nfa="N",
            cine_close_reason=self.rng.choice(_CLOSE_REASONS) if closed else None,
            cine_close_date=closed,
        )

    def assessment(self, episode: Row, start: datetime | None, authorised: datetime | None) -> Row:
        """Add an assessment without factors."""
        table = "ssd_cin_assessments"
        return self.add(
            table,
            cina_assessment_id=self.key("A", table),
            cina_person_id=self.person_id,
            cina_referral_id=episode["cine_referral_id"],
            cina_assessment_start_date=start,
            cina_assessment_auth_date=authorised,
        )

    def factors(self, assessment: Row, text: str | None) -> Row:
        """Add a factors row to an assessment; `text` is stored as it is."""
        return self.add(
            "ssd_assessment_factors",
            cinf_table_id=self.key("F", "ssd_assessment_factors"),
            cinf_assessment_id=assessment["cina_assessment_id"],
            cinf_assessment_factors_json=text,
        )

    def cin_plan(self, episode: Row, start: datetime | None, end: datetime | None) -> Row:
        """Add a CIN plan."""
        return self.add(
            "ssd_cin_plans",
            cinp_cin_plan_id=self.key("P", "ssd_cin_plans"),
            cinp_referral_id=episode["cine_referral_id"],
            cinp_person_id=self.person_id,
            cinp_cin_plan_start_date=start,
            cinp_cin_plan_end_date=end,
        )

    def enquiry(self, episode: Row, start: datetime | None, end: datetime | None, outcome: str | None) -> Row:
        """Add a section 47 enquiry; `outcome` is the stored JSON text."""
        return self.add(
            "ssd_s47_enquiry",
            s47e_s47_enquiry_id=self.key("S", "ssd_s47_enquiry"),
            s47e_referral_id=episode["cine_referral_id"],
            s47e_person_id=self.person_id,
            s47e_s47_start_date=start,
            s47e_s47_end_date=end,
            s47e_s47_outcome_json=outcome,
        )

    def conference(self, enquiry: Row, held: datetime | None) -> Row:
        """Add an initial child protection conference to an enquiry."""
        return self.add(
            "ssd_initial_cp_conference",
            icpc_icpc_id=self.key("IC", "ssd_initial_cp_conference"),
            icpc_s47_enquiry_id=enquiry["s47e_s47_enquiry_id"],
            icpc_icpc_date=held,
        )

    def cp_plan(self, episode: Row, start: datetime | None, end: datetime | None) -> Row:
        """Add a child protection plan."""
        return self.add(
            "ssd_cp_plans",
            cppl_cp_plan_id=self.key("CP", "ssd_cp_plans"),
            cppl_referral_id=episode["cine_referral_id"],
            cppl_person_id=self.person_id,
            cppl_cp_plan_start_date=start,
            cppl_cp_plan_end_date=end,
        )

    def placement(self, care_id: str, start: datetime | None, end: datetime | None) -> Row:
        """Add a placement to a period of care."""
        return self.add(
            "ssd_cla_placement",
            clap_cla_placement_id=self.key("LP", "ssd_cla_placement"),
            clap_cla_id=care_id,
            clap_cla_placement_start_date=start,
            clap_cla_placement_end_date=end,
            clap_cla_placement_type=self.rng.choice(_TYPES),
            clap_cla_placement_postcode=invented_postcode(self.rng),
            clap_cla_placement_change_reason=self.rng.choice(_CHANGES),
        )

    def care_episode(self, referral_id: Value, placement: Row, start: datetime | None, ceased: datetime | None) -> Row:
        """Add a looked-after episode on a placement."""
        return self.add(
            "ssd_cla_episodes",
            clae_cla_episode_id=self.key("LE", "ssd_cla_episodes"),
            clae_person_id=self.person_id,
            clae_cla_placement_id=placement["clap_cla_placement_id"],
            clae_cla_id=placement["clap_cla_id"],
            clae_referral_id=referral_id,
            clae_cla_episode_start_date=start,
            clae_cla_episode_start_reason=self.rng.choice(_START_REASONS),
            clae_cla_episode_ceased_date=ceased,
            clae_cla_episode_ceased_reason=self.rng.choice(_CEASED_REASONS) if ceased else None,
        )

    def permanence(self, decision: datetime | None, matched: datetime | None, placed: datetime | None) -> Row:
        """Add an adoption's dates, joined by the person."""
        return self.add(
            "ssd_permanence",
            perm_table_id=self.key("PE", "ssd_permanence"),
            perm_person_id=self.person_id,
            perm_adm_decision_date=decision,
            perm_matched_date=matched,
            perm_placed_for_adoption_date=placed,
        )

    def care_leaver(self, contact: datetime | None) -> Row:
        """Add a care leaver's row."""
        return self.add(
            "ssd_care_leavers",
            clea_table_id=self.key("CL", "ssd_care_leavers"),
            clea_person_id=self.person_id,
            clea_care_leaver_latest_contact=contact,
            clea_care_leaver_activity=self.rng.choice(_ACTIVITIES),
            clea_care_leaver_accommodation=self.rng.choice(_HOMES),
        )

    def involvement(self, episode: Row, professional: int, start: datetime | None, end: datetime | None) -> Row:
        """Add a professional's involvement as case worker."""
        return self.add(
            "ssd_involvements",
            invo_involvements_id=self.key("IN", "ssd_involvements"),
            invo_professional_id=professional_id_of(professional),
            invo_professional_role_id=self.rng.choice(("CW", "CW", "cw", " CW ", "MANAGER")),
            invo_referral_id=episode["cine_referral_id"],
            invo_involvement_start_date=start,
            invo_involvement_end_date=end,
        )


def person_id_of(number: int) -> str:
    """Return the person id for a number: some begin with a letter, and the order as text is not that of the numbers."""
    text = str(number * 7 + 13)
    letter = {3: "C", 5: "d"}.get(number % 13, "")
    return letter + text


def professional_id_of(number: int) -> str:
    """Return the id of an invented professional."""
    return f"PR{number}"
