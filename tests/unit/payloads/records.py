"""A record in which nothing is wrong, and changes of it that break one rule each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


def whole() -> Json:
    """Return a record with every block, in which nothing is wrong."""
    episode = {
        "social_care_episode_id": "E1",
        "referral_date": "2025-01-10",
        "referral_source": "1A",
        "closure_date": "2026-02-01",
        "closure_reason": "RC1",
        "referral_no_further_action_flag": False,
        "child_and_family_assessments": [
            {
                "child_and_family_assessment_id": "A1",
                "start_date": "2025-01-12",
                "authorisation_date": "2025-02-20",
                "factors": ["1A", "2B"],
                "purge": False,
            }
        ],
        "child_in_need_plans": [{"child_in_need_plan_id": "P1", "start_date": "2025-03-01", "end_date": "2025-04-01"}],
        "section_47_assessments": [
            {"section_47_assessment_id": "S1", "start_date": "2025-02-01", "end_date": "2025-02-15"},
            {
                "section_47_assessment_id": "S2",
                "start_date": "2025-05-01",
                "icpc_required_flag": True,
                "icpc_date": "2025-05-20",
            },
        ],
        "child_protection_plans": [
            {"child_protection_plan_id": "C1", "start_date": "2025-05-21", "end_date": "2025-12-01"}
        ],
        "child_looked_after_placements": [
            {
                "child_looked_after_placement_id": "L1",
                "start_date": "2025-06-01",
                "start_reason": "S",
                "postcode": "QA1 1AX",
                "placement_type": "Z11",
                "end_date": "2025-09-01",
                "end_reason": "E4A",
                "change_reason": "CARPL",
            }
        ],
        "adoption": {"initial_decision_date": "2025-07-01", "matched_date": "2025-08-01", "placed_date": "2025-09-01"},
        "care_leavers": {"contact_date": "2026-01-01", "activity": "F2", "accommodation": "Z"},
        "care_worker_details": [{"worker_id": "SW123456", "start_date": "2025-01-10"}],
        "purge": False,
    }
    return {
        "la_child_id": "Child123",
        "mis_child_id": "MIS-1_2",
        "purge": False,
        "child_details": {
            "unique_pupil_number": "H801200001001",
            "former_unique_pupil_number": "A12345678901B",
            "first_name": "Siân",
            "surname": "O'Brien",
            "date_of_birth": "2012-03-04",
            "sex": "F",
            "ethnicity": "WBRI",
            "disabilities": ["AUT", "LD"],
            "postcode": "QA12 3AX",
            "uasc_flag": True,
            "uasc_end_date": "2026-01-01",
        },
        "health_and_wellbeing": {"sdq_assessments": [{"date": "2026-01-01", "score": 40}]},
        "social_care_episodes": [episode],
    }


def details(name: str, value: Any) -> Callable[[Json], object]:
    return lambda record: record["child_details"].__setitem__(name, value)


def episode(name: str, value: Any) -> Callable[[Json], object]:
    return lambda record: record["social_care_episodes"][0].__setitem__(name, value)


def within(block: str, name: str, value: Any) -> Callable[[Json], object]:
    def change(record: Json) -> None:
        part = record["social_care_episodes"][0][block]
        (part[0] if isinstance(part, list) else part)[name] = value

    return change


def without(block: str, name: str) -> Callable[[Json], object]:
    return lambda record: record["social_care_episodes"][0][block][0].pop(name)


E = "$.social_care_episodes[0]"


BROKEN: list[tuple[str, Callable[[Json], object], str, str]] = [
    ("no identifier", lambda r: r.pop("la_child_id"), "$", "required"),
    ("identifier too long", lambda r: r.update(la_child_id="x" * 21), "$.la_child_id", "maxLength"),
    ("identifier with a dash", lambda r: r.update(la_child_id="a-b"), "$.la_child_id", "pattern"),
    ("identifier with a newline", lambda r: r.update(la_child_id="ab\n"), "$.la_child_id", "pattern"),
    ("identifier empty", lambda r: r.update(la_child_id=""), "$.la_child_id", "pattern"),
    ("identifier a number", lambda r: r.update(la_child_id=12), "$.la_child_id", "type"),
    ("other id too long", lambda r: r.update(mis_child_id="x" * 37), "$.mis_child_id", "maxLength"),
    ("other id with a space", lambda r: r.update(mis_child_id="a b"), "$.mis_child_id", "pattern"),
    ("purge as a text", lambda r: r.update(purge="true"), "$.purge", "type"),
    ("unknown member on top", lambda r: r.update(plans=[]), "$", "additionalProperties"),
    ("details as a list", lambda r: r.update(child_details=[]), "$.child_details", "type"),
    ("unknown member of details", details("given_name", "x"), "$.child_details", "additionalProperties"),
    ("UPN too short", details("unique_pupil_number", "A1"), "$.child_details.unique_pupil_number", "minLength"),
    ("UPN too long", details("unique_pupil_number", "A" * 14), "$.child_details.unique_pupil_number", "maxLength"),
    (
        "former UPN too short",
        details("former_unique_pupil_number", ""),
        "$.child_details.former_unique_pupil_number",
        "minLength",
    ),
    (
        "reason too long",
        details("unique_pupil_number_unknown_reason", "UN100"),
        "$.child_details.unique_pupil_number_unknown_reason",
        "maxLength",
    ),
    ("no such day", details("date_of_birth", "2023-02-29"), "$.child_details.date_of_birth", "format"),
    ("date with a time", details("uasc_end_date", "2026-01-01T00:00:00"), "$.child_details.uasc_end_date", "format"),
    ("sex as a word", details("sex", "Female"), "$.child_details.sex", "maxLength"),
    ("ethnicity too long", details("ethnicity", "WBRIX"), "$.child_details.ethnicity", "maxLength"),
    ("disability twice", details("disabilities", ["LD", "LD"]), "$.child_details.disabilities", "uniqueItems"),
    (
        "thirteen disabilities",
        details("disabilities", [f"D{n}" for n in range(13)]),
        "$.child_details.disabilities",
        "maxItems",
    ),
    ("disability too long", details("disabilities", ["AUTISM"]), "$.child_details.disabilities[0]", "maxLength"),
    ("postcode too long", details("postcode", "QA12  3AX"), "$.child_details.postcode", "maxLength"),
    ("flag as a letter", details("uasc_flag", "Y"), "$.child_details.uasc_flag", "type"),
    ("name as null", details("surname", None), "$.child_details.surname", "type"),
    (
        "score as a text",
        lambda r: r["health_and_wellbeing"]["sdq_assessments"][0].update(score="4"),
        "$.health_and_wellbeing.sdq_assessments[0].score",
        "type",
    ),
    (
        "purge on an SDQ item",
        lambda r: r["health_and_wellbeing"]["sdq_assessments"][0].update(purge=True),
        "$.health_and_wellbeing.sdq_assessments[0]",
        "additionalProperties",
    ),
    ("episodes as an object", lambda r: r.update(social_care_episodes={}), "$.social_care_episodes", "type"),
    ("episode without id", lambda r: r["social_care_episodes"][0].pop("social_care_episode_id"), E, "required"),
    ("episode id too long", episode("social_care_episode_id", "e" * 37), f"{E}.social_care_episode_id", "maxLength"),
    ("episode id with a dot", episode("social_care_episode_id", "e.1"), f"{E}.social_care_episode_id", "pattern"),
    ("source too long", episode("referral_source", "10A"), f"{E}.referral_source", "maxLength"),
    ("closure reason too long", episode("closure_reason", "RC10"), f"{E}.closure_reason", "maxLength"),
    (
        "assessment without id",
        without("child_and_family_assessments", "child_and_family_assessment_id"),
        f"{E}.child_and_family_assessments[0]",
        "required",
    ),
    (
        "42 factors",
        within("child_and_family_assessments", "factors", [f"{n}" for n in range(42)]),
        f"{E}.child_and_family_assessments[0].factors",
        "maxItems",
    ),
    (
        "CIN plan without id",
        without("child_in_need_plans", "child_in_need_plan_id"),
        f"{E}.child_in_need_plans[0]",
        "required",
    ),
    (
        "enquiry without id",
        without("section_47_assessments", "section_47_assessment_id"),
        f"{E}.section_47_assessments[0]",
        "required",
    ),
    (
        "CP plan without id",
        without("child_protection_plans", "child_protection_plan_id"),
        f"{E}.child_protection_plans[0]",
        "required",
    ),
    (
        "placement without id",
        without("child_looked_after_placements", "child_looked_after_placement_id"),
        f"{E}.child_looked_after_placements[0]",
        "required",
    ),
    (
        "placement type too long",
        within("child_looked_after_placements", "placement_type", "Z111"),
        f"{E}.child_looked_after_placements[0].placement_type",
        "maxLength",
    ),
    ("adoption as a list", episode("adoption", []), f"{E}.adoption", "type"),
    (
        "accommodation too long",
        within("care_leavers", "accommodation", "Z1"),
        f"{E}.care_leavers.accommodation",
        "maxLength",
    ),
    (
        "worker id too long",
        within("care_worker_details", "worker_id", "S" * 13),
        f"{E}.care_worker_details[0].worker_id",
        "maxLength",
    ),
    (
        "worker id with a full stop",
        within("care_worker_details", "worker_id", "SW.1"),
        f"{E}.care_worker_details[0].worker_id",
        "pattern",
    ),
]


CROSS: list[tuple[str, Callable[[Json], object]]] = [
    ("born later", details("date_of_birth", "2031-05-01")),
    ("default date", details("date_of_birth", "1900-01-01")),
    ("whole number", lambda r: r["health_and_wellbeing"]["sdq_assessments"][0].update(score=12.0)),
    ("control character", details("surname", "Sam\x0bple")),
    ("CIN 8525Q", details("expected_date_of_birth", "2012-03-01")),
    ("CIN 8525Q", lambda r: r["child_details"].pop("date_of_birth")),
    (
        "CIN 8750",
        lambda r: r["child_details"].update(expected_date_of_birth=r["child_details"].pop("date_of_birth")),
    ),
    ("CIN 8770Q", lambda r: r["child_details"].pop("unique_pupil_number")),
    ("CIN 1510-1550", details("unique_pupil_number", "A801200001001")),
    ("CIN 1510-1550", details("unique_pupil_number", "ABC0123456789")),
    ("CIN 1560Q", details("former_unique_pupil_number", "1234567890123")),
    ("CIN 8790", details("disabilities", ["LD", "NONE"])),
    ("903 205C, 303, 304", details("uasc_flag", False)),
    ("903 205C, 303, 304", details("uasc_end_date", "2030-03-05")),
    ("SDQ range", lambda r: r["health_and_wellbeing"]["sdq_assessments"][0].update(score=41)),
    ("CIN 8869", within("child_and_family_assessments", "factors", ["1A", "21"])),
    ("CIN 8805, 8810", lambda r: r["social_care_episodes"][0].pop("closure_reason")),
    ("CIN 8630", episode("closure_date", "2025-01-09")),
    ("CIN 8608", within("child_and_family_assessments", "authorisation_date", "2025-01-11")),
    ("CIN 1103", within("child_and_family_assessments", "start_date", "2025-01-09")),
    ("CIN 1105", within("child_protection_plans", "start_date", "2025-01-09")),
    ("CIN 2889", within("section_47_assessments", "start_date", "2025-01-09")),
    ("CIN 4015", within("child_in_need_plans", "start_date", "2025-01-09")),
    ("CIN 4011", within("child_in_need_plans", "end_date", "2025-02-28")),
    ("CIN 8925", within("child_protection_plans", "end_date", "2025-05-20")),
    ("CIN 8832, 4000, 8831", episode("referral_no_further_action_flag", True)),
    ("CIN 8890, 8839", within("section_47_assessments", "end_date", "2025-06-15")),
    ("903 148", without("child_looked_after_placements", "end_reason")),
    ("firewall 0x", episode("social_care_episode_id", "E0X1f")),
]


CODES: list[tuple[str, Callable[[Json], object], str]] = [
    ("code_sex", details("sex", "X"), "$.child_details.sex"),
    ("code_ethnicity", details("ethnicity", "B2"), "$.child_details.ethnicity"),
    ("code_disability", details("disabilities", ["XX"]), "$.child_details.disabilities[0]"),
    (
        "code_upn_unknown_reason",
        details("unique_pupil_number_unknown_reason", "UN11"),
        "$.child_details.unique_pupil_number_unknown_reason",
    ),
    ("code_referral_source", episode("referral_source", "BB"), f"{E}.referral_source"),
    ("code_closure_reason", episode("closure_reason", "RC0"), f"{E}.closure_reason"),
    (
        "code_assessment_factor",
        within("child_and_family_assessments", "factors", ["99"]),
        f"{E}.child_and_family_assessments[0].factors[0]",
    ),
    (
        "code_start_reason",
        within("child_looked_after_placements", "start_reason", "X"),
        f"{E}.child_looked_after_placements[0].start_reason",
    ),
    (
        "code_placement_type",
        within("child_looked_after_placements", "placement_type", "X9"),
        f"{E}.child_looked_after_placements[0].placement_type",
    ),
    (
        "code_end_reason",
        within("child_looked_after_placements", "end_reason", "E99"),
        f"{E}.child_looked_after_placements[0].end_reason",
    ),
    (
        "code_change_reason",
        within("child_looked_after_placements", "change_reason", "MOVED"),
        f"{E}.child_looked_after_placements[0].change_reason",
    ),
    ("code_care_leaver_activity", within("care_leavers", "activity", "E2"), f"{E}.care_leavers.activity"),
    ("code_care_leaver_accommodation", within("care_leavers", "accommodation", "A"), f"{E}.care_leavers.accommodation"),
]
