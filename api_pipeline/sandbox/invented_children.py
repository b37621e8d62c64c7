"""Invented children: payloads of realistic shape that are valid against the schema, for demo, rehearsals and tests.

No name, date or identifier here is anybody's; everything follows from the seed of the random generator passed in.
"""

from __future__ import annotations

import copy
import json
import random
from datetime import date, timedelta
from typing import Any

from api_pipeline.common.upn import check_letter
from api_pipeline.payloads.schema_check import code_list

FIRST_NAMES = (
    *("Aisha", "Amélie", "Bronwen", "Cerys", "Daniel", "D'Arcy", "Eleri", "Fatima", "Ffion", "Gruffydd", "Hani"),
    *("Idris", "Jakub", "Kofi", "Łucja", "Małgorzata", "Mei", "Noor", "Oluwaseun", "Owain", "Priya", "Rhys", "Siân"),
    *("Świętosława", "Tomos", "Ŵyn", "Zoë", "Zuzanna", "Star \N{GLOWING STAR}"),
)
SURNAMES = (
    *("Adeyemi", "Ap-Rhys", "Begum", "Błaszczyk", "Chen", "Davies", "Evans", "Fitzgerald", "Hughes", "Iqbal", "Jones"),
    *("Kowalski", "Llŷr", "McDonald", "Nowak", "O'Brien", "O\N{RIGHT SINGLE QUOTATION MARK}Neill", "Okafor", "Patel"),
    *("Price", "Singh", "Świątek", "Thomas", "Wójcik", 'Jones "Jack" Smith'),
)
_TODAY = date(2026, 10, 31)


def invented_child(rng: random.Random, number: int, size_bytes: int = 0) -> dict[str, Any]:
    """Return the payload of an invented child; `number` makes its identifiers.

    With `size_bytes` realistic episodes are added until the compact JSON text is about that long.
    """
    child: dict[str, Any] = {
        "la_child_id": f"DEMO{number:07d}",
        "mis_child_id": f"MIS-{number:07d}",
        "purge": False,
        "child_details": _details(rng),
    }
    if rng.random() < 0.3:
        child["health_and_wellbeing"] = _health(rng)
    episodes = [_episode(rng, number, position) for position in range(rng.choice((0, 1, 1, 1, 2, 3)))]
    child["social_care_episodes"] = episodes
    while size_bytes and (missing := size_bytes - len(json.dumps(child, separators=(",", ":")))) > 200:
        if missing > 1500 or not episodes:
            episodes.append(_episode(rng, number, len(episodes)))
        else:
            _add_assessment(rng, episodes[-1])
    if not episodes:
        del child["social_care_episodes"]
    return child


def changed(rng: random.Random, child: dict[str, Any]) -> dict[str, Any]:
    """Return the child's next version: a closure, a reopening, something new, something gone, something corrected."""
    after = copy.deepcopy(child)
    details = after["child_details"]
    episodes = after.setdefault("social_care_episodes", [])
    match rng.randrange(7):
        case 0:
            details["postcode"] = invented_postcode(rng)
        case 1 if episodes:
            _toggle_closure(rng, rng.choice(episodes))
        case 2 if episodes:
            _add_assessment(rng, rng.choice(episodes))
        case 3 if episodes:
            episodes.pop(rng.randrange(len(episodes)))
        case 4 if "health_and_wellbeing" in after:
            del after["health_and_wellbeing"]
        case 5:
            episodes.append(_episode(rng, int(after["la_child_id"][-7:]), rng.randrange(100, 999)))
        case _:
            details["surname"] = rng.choice(SURNAMES)
            after["health_and_wellbeing"] = _health(rng)
    if not episodes:
        del after["social_care_episodes"]
    return after


def _details(rng: random.Random) -> dict[str, Any]:
    born = _TODAY - timedelta(days=rng.randrange(30, 17 * 365))
    details: dict[str, Any] = {
        "first_name": rng.choice(FIRST_NAMES),
        "surname": rng.choice(SURNAMES),
        "date_of_birth": born.isoformat(),
        "sex": rng.choice("MF"),
        "ethnicity": rng.choice(code_list("code_ethnicity")),
        "disabilities": ["NONE"] if rng.random() < 0.8 else sorted(rng.sample(("AUT", "LD", "BEH", "HEAR"), 2)),
        "postcode": invented_postcode(rng),
        "uasc_flag": False,
        "purge": False,
    }
    if (_TODAY - born).days >= 4 * 365:
        details["unique_pupil_number"] = invented_upn(rng)
    else:
        details["unique_pupil_number_unknown_reason"] = "UN1"
    if rng.random() < 0.03:
        details["uasc_flag"] = True
    return details


def invented_upn(rng: random.Random) -> str:
    """Return a unique pupil number of the census's form, with its right check letter."""
    digits = "".join(str(rng.randrange(10)) for _ in range(12))
    return check_letter(digits) + digits


def invented_postcode(rng: random.Random) -> str:
    """Return a postcode that nobody has."""
    # No postcode area of the United Kingdom begins with Q or X.
    return f"{rng.choice('QX')}{rng.choice('AEHT')}{rng.randrange(1, 99)} {rng.randrange(1, 9)}{rng.choice('ABDEF')}X"


def _health(rng: random.Random) -> dict[str, Any]:
    assessments = [
        {"date": _day(rng, 700).isoformat(), "score": rng.randrange(41)} for _ in range(rng.choice((1, 1, 2)))
    ]
    return {"sdq_assessments": assessments, "purge": False}


def _day(rng: random.Random, back: int) -> date:
    return _TODAY - timedelta(days=rng.randrange(1, back))


def _episode(rng: random.Random, number: int, position: int) -> dict[str, Any]:
    referral = _day(rng, 720)
    prefix = f"{number}-{position}"
    episode: dict[str, Any] = {
        "social_care_episode_id": f"E{prefix}",
        "referral_date": referral.isoformat(),
        "referral_source": rng.choice(code_list("code_referral_source")),
        "referral_no_further_action_flag": False,
        "purge": False,
    }
    for _ in range(rng.choice((1, 1, 2))):
        _add_assessment(rng, episode)
    if rng.random() < 0.4:
        episode["child_in_need_plans"] = [_span("child_in_need_plan_id", f"P{prefix}", referral, rng)]
        episode["care_worker_details"] = [
            {"worker_id": f"SW{rng.randrange(10**6):06d}", "start_date": referral.isoformat()}
        ]
    if rng.random() < 0.3:
        enquiry = _span("section_47_assessment_id", f"S{prefix}", referral, rng)
        episode["section_47_assessments"] = [{**enquiry, "icpc_required_flag": rng.random() < 0.5}]
    if rng.random() < 0.15:
        episode["child_protection_plans"] = [_span("child_protection_plan_id", f"C{prefix}", referral, rng)]
    if rng.random() < 0.15:
        episode["child_looked_after_placements"] = [_placement(rng, prefix, referral)]
        if rng.random() < 0.2:
            episode["adoption"] = {"initial_decision_date": (referral + timedelta(days=90)).isoformat(), "purge": False}
    if rng.random() < 0.05:
        episode["care_leavers"] = {
            "contact_date": _day(rng, 300).isoformat(),
            "activity": rng.choice(code_list("code_care_leaver_activity")),
            "accommodation": rng.choice(code_list("code_care_leaver_accommodation")),
            "purge": False,
        }
    if rng.random() < 0.4:
        _toggle_closure(rng, episode)
    return episode


def _span(key: str, identifier: str, start: date, rng: random.Random) -> dict[str, Any]:
    span: dict[str, Any] = {key: identifier, "start_date": start.isoformat(), "purge": False}
    if rng.random() < 0.5:
        span["end_date"] = (start + timedelta(days=rng.randrange(10, 200))).isoformat()
    return span


def _placement(rng: random.Random, prefix: str, start: date) -> dict[str, Any]:
    placement: dict[str, Any] = {
        "child_looked_after_placement_id": f"L{prefix}",
        "start_date": start.isoformat(),
        "start_reason": "S",
        "postcode": invented_postcode(rng),
        "placement_type": rng.choice(code_list("code_placement_type")),
        "purge": False,
    }
    if rng.random() < 0.4:
        placement["end_date"] = (start + timedelta(days=rng.randrange(5, 300))).isoformat()
        placement["end_reason"] = rng.choice(code_list("code_end_reason"))
    return placement


def _add_assessment(rng: random.Random, episode: dict[str, Any]) -> None:
    assessments = episode.setdefault("child_and_family_assessments", [])
    start = date.fromisoformat(episode["referral_date"]) + timedelta(days=7 * len(assessments))
    assessment: dict[str, Any] = {
        "child_and_family_assessment_id": f"A{episode['social_care_episode_id'][1:]}-{len(assessments)}",
        "start_date": start.isoformat(),
        "factors": sorted(rng.sample(("1A", "2B", "3C", "4A", "5A", "6C", "7A", "12A", "19B"), rng.randrange(4))),
        "purge": False,
    }
    if rng.random() < 0.8:
        assessment["authorisation_date"] = (start + timedelta(days=40)).isoformat()
    assessments.append(assessment)


def _toggle_closure(rng: random.Random, episode: dict[str, Any]) -> None:
    if "closure_date" in episode:
        del episode["closure_date"], episode["closure_reason"]
        return
    referral = date.fromisoformat(episode["referral_date"])
    episode["closure_date"] = (referral + timedelta(days=rng.randrange(30, 400))).isoformat()
    episode["closure_reason"] = rng.choice(code_list("code_closure_reason"))
