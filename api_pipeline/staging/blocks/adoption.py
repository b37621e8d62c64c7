"""The block `adoption` (mapping 7.3)."""

from __future__ import annotations

from datetime import datetime

from api_pipeline.staging.blocks.elements import Block, put_date
from api_pipeline.staging.cohort import own_care
from api_pipeline.staging.groups import newest
from api_pipeline.staging.rows import Permanence, PersonRows, id_key
from api_pipeline.staging.window import Window


def adoption(rows: PersonRows, window: Window) -> Block | None:
    """Return the newest adoption of the person, or of one of their periods of care, with a date in the window."""
    if not rows.permanence:
        return None
    found = [row for row in _of_person(rows) if any(window.holds(moment) for moment in row[3:6])]
    if not found:
        return None
    row = newest(found, _latest_step)
    block: Block = {}
    put_date(block, "initial_decision_date", row.adm_decision_date)
    put_date(block, "matched_date", row.matched_date)
    put_date(block, "placed_date", row.placed_for_adoption_date)
    block["purge"] = False
    return block


def _of_person(rows: PersonRows) -> list[Permanence]:
    own = id_key(rows.person.person_id)
    periods = {id_key(row.cla_id) for row in own_care(rows) if row.cla_id is not None}
    return [
        row
        for row in rows.permanence
        if (row.person_id is not None and id_key(row.person_id) == own)
        or (row.cla_id is not None and id_key(row.cla_id) in periods)
    ]


def _latest_step(row: Permanence) -> datetime | None:
    return row.placed_for_adoption_date or row.matched_date or row.adm_decision_date
