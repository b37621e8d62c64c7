"""The block `care_leavers` (mapping 7.4)."""

from __future__ import annotations

from typing import Any

from api_pipeline.staging import conversions as convert
from api_pipeline.staging import tables
from api_pipeline.staging.blocks.child_details import put_code
from api_pipeline.staging.blocks.elements import EPISODES, put_date
from api_pipeline.staging.issues import Notes
from api_pipeline.staging.joins import newest
from api_pipeline.staging.rows import PersonRows

_ACTIVITY = f"{EPISODES}[].care_leavers.activity"
_ACCOMMODATION = f"{EPISODES}[].care_leavers.accommodation"
_activity = convert.code_lookup(_ACTIVITY)
_accommodation = convert.code_lookup(_ACCOMMODATION)


def care_leavers(rows: PersonRows, notes: Notes) -> dict[str, Any] | None:
    """Return what is known of a care leaver at the latest contact, whenever that was; None for anybody else."""
    if not rows.care_leavers:
        return None
    row = newest(rows.care_leavers, lambda one: one.care_leaver_latest_contact, lambda one: one.table_id)
    table, key = tables.CARE_LEAVER.name, row.table_id
    block: dict[str, Any] = {}
    put_date(block, "contact_date", row.care_leaver_latest_contact)
    if row.care_leaver_activity is not None:
        put_code(block, _ACTIVITY, _activity(row.care_leaver_activity), notes, table, key)
    if row.care_leaver_accommodation is not None:
        put_code(block, _ACCOMMODATION, _accommodation(row.care_leaver_accommodation), notes, table, key)
    block["purge"] = False
    return block
