"""The block `care_leavers` (mapping 7.4)."""

from __future__ import annotations

from api_pipeline.staging.blocks.elements import EPISODES, Block, CodeField, put_date
from api_pipeline.staging.groups import newest
from api_pipeline.staging.issues import Notes
from api_pipeline.staging.rows import PersonRows

_ACTIVITY = CodeField(f"{EPISODES}[].care_leavers.activity")
_ACCOMMODATION = CodeField(f"{EPISODES}[].care_leavers.accommodation")


def care_leavers(rows: PersonRows, notes: Notes) -> Block | None:
    """Return what is known of a care leaver at the latest contact, whenever that was; None for anybody else."""
    if not rows.care_leavers:
        return None
    row = newest(rows.care_leavers, lambda one: one.care_leaver_latest_contact)
    block: Block = {}
    put_date(block, "contact_date", row.care_leaver_latest_contact)
    _ACTIVITY.put(block, row.care_leaver_activity, row.table_id, notes)
    _ACCOMMODATION.put(block, row.care_leaver_accommodation, row.table_id, notes)
    block["purge"] = False
    return block
