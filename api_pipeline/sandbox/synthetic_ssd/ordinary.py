"""The ordinary life that most people of a synthetic SSD get: some 60 rows that every rule of the mapping takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from api_pipeline.payloads.schema_check import code_list
from api_pipeline.sandbox.invented_children import FIRST_NAMES, SURNAMES, invented_postcode, invented_upn
from api_pipeline.sandbox.synthetic_ssd.life import Life, Row

FACTORS = tuple(code for code in code_list("code_assessment_factor") if code != "21")
# Those before are the odd ones of the cases.
_FIRST_ORDINARY_PROFESSIONAL = 20
_OTHER_IDENTIFIERS = ("Case Number", "NHS Number", "Court Case Number")


def ordinary_child(life: Life) -> None:
    """Give the person a name, a birth date, addresses and the like, of a kind that every rule of section 4 takes."""
    rng, person = life.rng, life.person
    born = life.days_ago(60, 21 * 365).replace(hour=0, minute=0)
    person.update(
        pers_legacy_id=f"MIS-{life.number}" if rng.random() < 0.7 else None,
        pers_forename=rng.choice(FIRST_NAMES),
        pers_surname=rng.choice(SURNAMES),
        pers_sex=rng.choice(("M", "F", "M", "F", "U")),
        pers_ethnicity=rng.choice(code_list("code_ethnicity")),
        pers_dob=born,
    )
    if (life.today - born).days > 5 * 365:
        person["pers_upn"] = invented_upn(rng)
    else:
        person["pers_upn_unknown"] = "UN1"
    since = born
    for _ in range(rng.choice((1, 2, 3, 4, 6))):
        life.address(invented_postcode(rng), since)
        since = life.later(since, 100, 900) or since + timedelta(days=1)
    for code in rng.choice(((), (), ("NONE",), ("AUT", "LD"), ("HEAR",), ("BEH", "COMM", "MOB"))):
        life.disability(code)
    for kind in rng.sample(_OTHER_IDENTIFIERS, rng.randint(1, 3)):
        life.identifier(kind, str(rng.randrange(10**8)), life.days_ago(30, 2000))
    for _ in range(rng.choice((0, 0, 1, 3, 4))):
        life.sdq(life.days_ago(5, 2000), rng.randrange(41))


def ordinary_episode(life: Life, referral: datetime) -> Row:
    """Add a CIN episode with its assessments, plans, enquiries and workers, as most have them."""
    rng = life.rng
    episode = life.episode(referral, life.later(referral, 40, 900))
    for _ in range(rng.randint(1, 4)):
        start = life.later(referral, 1, 120) or referral
        assessment = life.assessment(episode, start, life.later(start, 10, 60))
        life.factors(assessment, factors_text(rng.sample(FACTORS, rng.randint(0, 5))))
    for _ in range(rng.choice((0, 1, 1, 2))):
        start = life.later(referral, 20, 200) or referral
        life.cin_plan(episode, start, life.later(start, 60, 500))
    for _ in range(rng.choice((0, 0, 1, 1))):
        start = life.later(referral, 0, 300) or referral
        needed = rng.choice("YN")
        enquiry = life.enquiry(episode, start, life.later(start, 5, 20), json.dumps({"CP_CONFERENCE_FLAG": needed}))
        if needed == "Y":
            life.conference(enquiry, life.later(start, 10, 25))
            life.cp_plan(episode, start, life.later(start, 90, 700))
    for _ in range(rng.randint(3, 10)):
        start = life.later(referral, 0, 400) or referral
        worker = rng.randrange(_FIRST_ORDINARY_PROFESSIONAL, life.professionals)
        life.involvement(episode, worker, start, life.later(start, 30, 500))
    return episode


def ordinary_care(life: Life, episode: Row, since: datetime, placements: int) -> str:
    """Add a period of care: placements that follow each other, one or two episodes on each; return its id."""
    care_id = f"L{life.number}-{len(life.rows('ssd_cla_placement')) + 1}"
    begins: datetime | None = since
    for _ in range(placements):
        if begins is None:
            break
        ends = life.later(begins, 20, 300)
        placement = life.placement(care_id, begins, ends)
        middle = life.later(begins, 1, 15) if life.rng.random() < 0.4 else None
        if middle and (ends is None or middle < ends):
            life.care_episode(episode["cine_referral_id"], placement, begins, middle)
            begins = middle
        life.care_episode(episode["cine_referral_id"], placement, begins, ends)
        begins = ends
    return care_id


def ordinary_life(life: Life) -> None:
    """Give the person a life as most have it: some 60 rows, a part of them older than the window."""
    rng = life.rng
    ordinary_child(life)
    # One in eight has only history, too old for any window.
    is_history = rng.random() < 0.125
    for position in range(rng.choice((2, 3, 3, 4, 4))):
        referral = life.days_ago(2000, 2150) if is_history else life.days_ago(10, 700 if position == 0 else 2150)
        episode = ordinary_episode(life, referral)
        if not is_history and rng.random() < 0.25:
            ordinary_care(life, episode, referral, rng.randint(1, 8))
    if rng.random() < 0.05 and life.rows("ssd_cla_episodes"):
        decision = life.days_ago(100, 1000)
        life.permanence(decision, life.later(decision, 30, 200), life.later(decision, 200, 300))
    if rng.random() < 0.1:
        for _ in range(rng.randint(1, 2)):
            life.care_leaver(life.days_ago(5, 900))


def factors_text(codes: Sequence[str]) -> str:
    """Return factors as most SSDs store them: a JSON array."""
    return json.dumps(list(codes))
