"""What a night changes in a council's SSD: pure functions from a person to the same person the day after."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from api_pipeline.sandbox.invented_children import SURNAMES, invented_postcode
from api_pipeline.sandbox.synthetic_ssd.life import Life
from api_pipeline.sandbox.synthetic_ssd.ordinary import FACTORS, factors_text, ordinary_episode
from api_pipeline.sandbox.synthetic_ssd.person import SyntheticPerson
from api_pipeline.staging.tables import SSD_TABLES

# Longer ids are there to be refused; they keep their length.
_LONGEST_RENUMBERED = 30


class NightChange(str, Enum):
    """What can happen to one person in a night."""

    CAME = "a new person"
    FIELDS = "changed fields"
    OPENED = "a new episode"
    CLOSED = "a closed episode"
    REOPENED = "a reopened episode"
    REMOVED = "removed rows"
    LEFT = "left the cohort: everything closed long ago"
    VANISHED = "every row gone"
    RETURNED = "every row back"
    RENUMBERED = "the same under new ids"


_WEIGHTS = {
    NightChange.CAME: 10,
    NightChange.FIELDS: 30,
    NightChange.OPENED: 10,
    NightChange.CLOSED: 14,
    NightChange.REOPENED: 5,
    NightChange.REMOVED: 8,
    NightChange.LEFT: 4,
    NightChange.VANISHED: 4,
    NightChange.RETURNED: 5,
    NightChange.RENUMBERED: 10,
}
_REMOVABLE = (
    *("ssd_disability", "ssd_sdq_scores", "ssd_cin_assessments", "ssd_assessment_factors", "ssd_cin_plans"),
    *("ssd_s47_enquiry", "ssd_initial_cp_conference", "ssd_cp_plans", "ssd_cla_placement", "ssd_cla_episodes"),
    *("ssd_permanence", "ssd_care_leavers", "ssd_involvements", "ssd_cin_episodes"),
)
_ENDS = {
    "ssd_cin_plans": "cinp_cin_plan_end_date",
    "ssd_cp_plans": "cppl_cp_plan_end_date",
    "ssd_s47_enquiry": "s47e_s47_end_date",
    "ssd_cla_placement": "clap_cla_placement_end_date",
    "ssd_cla_episodes": "clae_cla_episode_ceased_date",
    "ssd_involvements": "invo_involvement_end_date",
}


@dataclass(frozen=True, slots=True)
class NightStep:
    """One person's change: `before` is None for somebody who was not there, `after` for somebody who is gone."""

    change: NightChange
    number: int
    before: SyntheticPerson | None
    after: SyntheticPerson | None


@dataclass(frozen=True, slots=True)
class Night:
    """All that a night changed."""

    steps: tuple[NightStep, ...]


def drawn_changes(rng: random.Random, count: int) -> list[NightChange]:
    """Draw what is to happen; from ten changes on, every kind comes at least once."""
    certain = list(NightChange) if count >= len(NightChange) else []
    rng.shuffle(certain)
    return certain + rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count - len(certain))


def changed_person(
    rng: random.Random, person: SyntheticPerson, change: NightChange, today: datetime
) -> SyntheticPerson:
    """Return the person after a change that they live through; `today` is midnight of the day after the night."""
    after = person.copied()
    match change:
        case NightChange.OPENED:
            _open(rng, after, today)
        case NightChange.CLOSED:
            _close(rng, after, today)
        case NightChange.REOPENED:
            for episode in after.tables.get("ssd_cin_episodes", ()):
                episode.update(cine_close_date=None, cine_close_reason=None)
        case NightChange.REMOVED:
            _remove(rng, after)
        case NightChange.LEFT:
            _leave(after)
        case NightChange.RENUMBERED:
            _renumber(after)
        case _:
            _change_fields(rng, after, today)
    return after


def _change_fields(rng: random.Random, person: SyntheticPerson, today: datetime) -> None:
    tables = person.tables
    me = tables["ssd_person"][0]
    me["pers_surname"] = f"{rng.choice(SURNAMES)}-{rng.choice(SURNAMES)}"
    if rng.random() < 0.5:
        me["pers_sex"] = rng.choice("MFU")
    if rng.random() < 0.5:
        life = _life(rng, person, today)
        life.address(invented_postcode(rng), today - timedelta(days=1))
    for row in tables.get("ssd_assessment_factors", ())[-1:]:
        row["cinf_assessment_factors_json"] = factors_text(rng.sample(FACTORS, 3))
    for row in tables.get("ssd_sdq_scores", ())[-1:]:
        row["csdq_sdq_score"] = rng.randrange(41)


def _open(rng: random.Random, person: SyntheticPerson, today: datetime) -> None:
    ordinary_episode(_life(rng, person, today), today - timedelta(days=1))


def _close(rng: random.Random, person: SyntheticPerson, today: datetime) -> None:
    yesterday = today - timedelta(days=1)
    for episode in person.tables.get("ssd_cin_episodes", ()):
        if episode.get("cine_close_date") is None:
            episode.update(cine_close_date=yesterday, cine_close_reason=f"RC{rng.randint(1, 9)}")
    for table, column in _ENDS.items():
        for row in person.tables.get(table, ()):
            if row.get(column) is None:
                row[column] = yesterday


def _remove(rng: random.Random, person: SyntheticPerson) -> None:
    there = [table for table in _REMOVABLE if person.tables.get(table)]
    for table in rng.sample(there, min(len(there), 2)):
        rows = person.tables[table]
        rows.pop(rng.randrange(len(rows)))


def _leave(person: SyntheticPerson) -> None:
    """Move every date but the births nine years back: nothing of it is in any window now."""
    for table, rows in person.tables.items():
        if table == "ssd_person":
            continue
        for row in rows:
            for column, value in row.items():
                if isinstance(value, datetime):
                    row[column] = value - timedelta(days=9 * 365)
    long_ago = person.tables["ssd_person"][0].get("pers_dob")
    for episode in person.tables.get("ssd_cin_episodes", ()):
        begin = episode.get("cine_referral_date") or long_ago
        if episode.get("cine_close_date") is None and isinstance(begin, datetime):
            episode["cine_close_date"] = begin + timedelta(days=90)
    for table, column in _ENDS.items():
        for row in person.tables.get(table, ()):
            starts = [value for value in row.values() if isinstance(value, datetime)]
            if row.get(column) is None and starts:
                row[column] = min(starts) + timedelta(days=90)


def _renumber(person: SyntheticPerson) -> None:
    """Give every row of the person a new id, and every reference to it, as a migrated form's id changes."""
    renamed: dict[object, str] = {}
    for table in SSD_TABLES:
        for row in person.tables.get(table.name, ()):
            old = row.get(table.key[0])
            if table.name != "ssd_person" and isinstance(old, str) and len(old) <= _LONGEST_RENUMBERED:
                renamed[old] = _next_id(old)
    for rows in person.tables.values():
        for row in rows:
            for column, value in row.items():
                if column.endswith("_id") and not column.endswith("_person_id") and value in renamed:
                    row[column] = renamed[value]


def _next_id(old: str) -> str:
    stem, _, count = old.partition("v")
    return f"{stem}v{int(count or 1) + 1}"


def _life(rng: random.Random, person: SyntheticPerson, today: datetime) -> Life:
    """Return a builder that adds to the rows the person has; the window's bounds do not matter to it."""
    life = Life(rng, person.number, today, today, today)
    life.person_id, life.tables = person.person_id, person.tables
    life.person = person.tables["ssd_person"][0]
    return life
