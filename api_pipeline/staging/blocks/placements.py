"""The block `child_looked_after_placements` (mapping 7.2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter

from api_pipeline.staging import conversions as convert
from api_pipeline.staging.blocks.elements import Block, CodeField, Element, Episode, put_date, put_postcode
from api_pipeline.staging.groups import Groups, each_once, in_order, newest
from api_pipeline.staging.issues import IssueRule, Notes
from api_pipeline.staging.rows import ClaEpisode, Placement, id_key

_KIND = Element("child_looked_after_placements", "child_looked_after_placement_id")
_START_REASON = CodeField(_KIND.field("start_reason"))
_END_REASON = CodeField(_KIND.field("end_reason"), convert.end_reason)
_TYPE = CodeField(_KIND.field("placement_type"))
_CHANGE_REASON = CodeField(_KIND.field("change_reason"))
_POSTCODE = _KIND.field("postcode")
_STARTED: Callable[[Placement], datetime | None] = attrgetter("cla_placement_start_date")
_start_of: Callable[[ClaEpisode], datetime | None] = attrgetter("cla_episode_start_date")


def child_looked_after_placements(of: Episode) -> list[Block]:
    """Return the placements of a referral's periods of care that touch the window, each once.

    One that is in a period of the person's and in another is as in the person's.
    """
    care = of.rows.care.get(of.referral)
    if not care:
        return []
    periods = dict.fromkeys(id_key(row.cla_id) for row in care if row.cla_id is not None)
    of_periods = [placement for period in periods for placement in of.rows.placements.get(period, ())]
    found = each_once(of_periods, lambda row: id_key(row.cla_id or "") in of.rows.own_periods)
    blocks = []
    for row in in_order(found, _STARTED):
        if of.window.overlaps(row.cla_placement_start_date, row.cla_placement_end_date):
            blocks.append(_placement(row, of.rows, of.notes))
        else:
            _KIND.leave_out(row.cla_placement_id, of)
    return blocks


def _placement(row: Placement, rows: Groups, notes: Notes) -> Block:
    key = row.cla_placement_id
    care = rows.care_of_placement.get(id_key(key), ())
    block = _KIND.new(key, notes)
    put_date(block, "start_date", row.cla_placement_start_date)
    if care:
        first = in_order(care, _start_of)[0]
        _START_REASON.put(block, first.cla_episode_start_reason, first.cla_episode_id, notes)
    put_postcode(block, _POSTCODE, row.cla_placement_postcode or "", key, notes)
    _TYPE.put(block, row.cla_placement_type, key, notes)
    if _ends_before_start(row):
        notes.note(IssueRule.PLACEMENT_ENDS_BEFORE_START, _KIND.field("end_date"), key)
    elif row.cla_placement_end_date is not None:
        put_date(block, "end_date", row.cla_placement_end_date)
        if care:
            last = newest(care, _start_of)
            _END_REASON.put(block, last.cla_episode_ceased_reason, last.cla_episode_id, notes)
    _CHANGE_REASON.put(block, row.cla_placement_change_reason, key, notes)
    block["purge"] = False
    return block


def _ends_before_start(row: Placement) -> bool:
    # Days, not times: an end without a time on the day of the start is not a contradiction.
    start, end = row.cla_placement_start_date, row.cla_placement_end_date
    return start is not None and end is not None and end.date() < start.date()
