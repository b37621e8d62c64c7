"""The block `child_looked_after_placements` (mapping 7.2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any

from api_pipeline.staging import conversions as convert
from api_pipeline.staging import tables
from api_pipeline.staging.blocks.child_details import put_code, put_postcode
from api_pipeline.staging.blocks.elements import Element, element, put_date
from api_pipeline.staging.issues import ElementPath, IssueRule, Notes
from api_pipeline.staging.joins import OWN_ID, Joined, in_order, newest
from api_pipeline.staging.rows import ClaEpisode, Placement, id_key
from api_pipeline.staging.window import Window

_KIND = Element("child_looked_after_placements", "child_looked_after_placement_id", tables.PLACEMENT.name)
_START_REASON = _KIND.field("start_reason")
_END_REASON = _KIND.field("end_reason")
_TYPE = _KIND.field("placement_type")
_CHANGE_REASON = _KIND.field("change_reason")
_POSTCODE = _KIND.field("postcode")
_STARTED: Callable[[Placement], datetime | None] = attrgetter("cla_placement_start_date")
_start_of: Callable[[ClaEpisode], datetime | None] = attrgetter("cla_episode_start_date")
_start_reason = convert.code_lookup(_START_REASON)
_placement_type = convert.code_lookup(_TYPE)
_change_reason = convert.code_lookup(_CHANGE_REASON)


def child_looked_after_placements(
    referral: str, episode: ElementPath, rows: Joined, window: Window, notes: Notes
) -> list[dict[str, Any]]:
    """Return the placements of a referral's periods of care that touch the window, each once."""
    care = rows.care.get(referral)
    if not care:
        return []
    periods = dict.fromkeys(id_key(row.cla_id) for row in care if row.cla_id is not None)
    found = [placement for period in periods for placement in rows.placements.get(period, ())]
    blocks = []
    for row in in_order(found, _STARTED, OWN_ID):
        if window.overlaps(row.cla_placement_start_date, row.cla_placement_end_date):
            blocks.append(_placement(row, rows, notes))
        else:
            notes.outside.append(_KIND.path(episode, row.cla_placement_id))
    return blocks


def _placement(row: Placement, rows: Joined, notes: Notes) -> dict[str, Any]:
    table, key = _KIND.table, row.cla_placement_id
    care = rows.care_of_placement.get(id_key(key), ())
    block = element(_KIND, key, notes)
    put_date(block, "start_date", row.cla_placement_start_date)
    if care:
        _put_start_reason(block, _first(care), notes)
    if row.cla_placement_postcode is not None:
        put_postcode(block, _POSTCODE, row.cla_placement_postcode, notes, table, key)
    if row.cla_placement_type is not None:
        put_code(block, _TYPE, _placement_type(row.cla_placement_type), notes, table, key)
    if row.cla_placement_end_date is not None:
        if _ends_before_start(row):
            notes.note(IssueRule.PLACEMENT_ENDS_BEFORE_START, _KIND.field("end_date"), table, key)
        else:
            put_date(block, "end_date", row.cla_placement_end_date)
            if care:
                _put_end_reason(block, _last(care), notes)
    if row.cla_placement_change_reason is not None:
        put_code(block, _CHANGE_REASON, _change_reason(row.cla_placement_change_reason), notes, table, key)
    block["purge"] = False
    return block


def _ends_before_start(row: Placement) -> bool:
    # Days, not times: an end without a time on the day of the start is not a contradiction.
    start, end = row.cla_placement_start_date, row.cla_placement_end_date
    return start is not None and end is not None and end.date() < start.date()


def _put_start_reason(block: dict[str, Any], care: ClaEpisode, notes: Notes) -> None:
    if care.cla_episode_start_reason is not None:
        code = _start_reason(care.cla_episode_start_reason)
        put_code(block, _START_REASON, code, notes, tables.CLA_EPISODE.name, care.cla_episode_id)


def _put_end_reason(block: dict[str, Any], care: ClaEpisode, notes: Notes) -> None:
    if care.cla_episode_ceased_reason is not None:
        code = convert.end_reason(care.cla_episode_ceased_reason)
        put_code(block, _END_REASON, code, notes, tables.CLA_EPISODE.name, care.cla_episode_id)


def _first(care: list[ClaEpisode]) -> ClaEpisode:
    return in_order(care, _start_of, OWN_ID)[0]


def _last(care: list[ClaEpisode]) -> ClaEpisode:
    return newest(care, _start_of, OWN_ID)
