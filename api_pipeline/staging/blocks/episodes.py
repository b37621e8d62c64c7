"""The block `social_care_episodes` (mapping 6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any

from api_pipeline.staging import conversions as convert
from api_pipeline.staging import tables
from api_pipeline.staging.blocks.adoption import adoption
from api_pipeline.staging.blocks.assessments import child_and_family_assessments, section_47_assessments
from api_pipeline.staging.blocks.care_leavers import care_leavers
from api_pipeline.staging.blocks.care_workers import care_worker_details
from api_pipeline.staging.blocks.child_details import put_code
from api_pipeline.staging.blocks.elements import EPISODES, put_date
from api_pipeline.staging.blocks.placements import child_looked_after_placements
from api_pipeline.staging.blocks.plans import child_in_need_plans, child_protection_plans
from api_pipeline.staging.issues import ElementPath, IssueRule, Notes
from api_pipeline.staging.joins import OWN_ID, Joined, in_order, joined, newest
from api_pipeline.staging.options import StageOptions
from api_pipeline.staging.rows import CinEpisode, PersonRows, id_key
from api_pipeline.staging.window import Window

_ID = f"{EPISODES}[].social_care_episode_id"
_SOURCE = f"{EPISODES}[].referral_source"
_REASON = f"{EPISODES}[].closure_reason"
_NO_ACTION = f"{EPISODES}[].referral_no_further_action_flag"
_TABLE = tables.CIN_EPISODE.name
_REFERRED: Callable[[CinEpisode], datetime | None] = attrgetter("referral_date")
_closure_reason = convert.code_lookup(_REASON)


def social_care_episodes(rows: PersonRows, window: Window, options: StageOptions, notes: Notes) -> list[dict[str, Any]]:
    """Return the CIN episodes that touch the window, each with all that belongs to its referral."""
    found = []
    for row in in_order(rows.cin_episodes, _REFERRED, OWN_ID):
        if window.overlaps(row.referral_date, row.close_date):
            found.append(row)
        else:
            notes.outside.append((EPISODES, row.referral_id.strip(" ")))
    if not found:
        return []
    groups = joined(rows)
    adopted, leaver = adoption(rows, window), care_leavers(rows, notes)
    latest = newest(found, _REFERRED, OWN_ID)
    episodes = []
    for row in found:
        takes_blocks = row is latest or not options.one_block_per_child
        of_child = (adopted, leaver) if takes_blocks else (None, None)
        episodes.append(_episode(row, groups, window, notes, *of_child))
        if adopted is None and rows.permanence:
            notes.outside.append((EPISODES, row.referral_id.strip(" "), "adoption"))
    return episodes


def _episode(
    row: CinEpisode,
    rows: Joined,
    window: Window,
    notes: Notes,
    adopted: dict[str, Any] | None,
    leaver: dict[str, Any] | None,
) -> dict[str, Any]:
    block = _referral(row, notes)
    referral: str = id_key(row.referral_id)
    path: ElementPath = (EPISODES, row.referral_id.strip(" "))
    parts: dict[str, Any] = {
        "child_and_family_assessments": child_and_family_assessments(referral, path, rows, window, notes),
        "child_in_need_plans": child_in_need_plans(referral, path, rows, window, notes),
        "section_47_assessments": section_47_assessments(referral, path, rows, window, notes),
        "child_protection_plans": child_protection_plans(referral, path, rows, window, notes),
        "child_looked_after_placements": child_looked_after_placements(referral, path, rows, window, notes),
        "adoption": adopted,
        "care_leavers": leaver,
        "care_worker_details": care_worker_details(referral, rows, window, notes),
    }
    block.update((name, part) for name, part in parts.items() if part)
    block["purge"] = False
    return block


def _referral(row: CinEpisode, notes: Notes) -> dict[str, Any]:
    key = row.referral_id
    block: dict[str, Any] = {}
    found = convert.element_id(key)
    if found is None:
        notes.withhold(IssueRule.ID_ILL_FORMED, _ID, _TABLE)
    else:
        block["social_care_episode_id"] = found
    put_date(block, "referral_date", row.referral_date)
    if row.referral_source_code is not None:
        put_code(block, _SOURCE, convert.referral_source(row.referral_source_code), notes, _TABLE, key)
    put_date(block, "closure_date", row.close_date)
    if row.close_reason is not None:
        put_code(block, _REASON, _closure_reason(row.close_reason), notes, _TABLE, key)
    if row.referral_nfa is not None:
        no_action = convert.flag(row.referral_nfa)
        if no_action is None:
            notes.note(IssueRule.FLAG_NOT_RECOGNISED, _NO_ACTION, _TABLE, key)
        elif isinstance(no_action, bool):
            block["referral_no_further_action_flag"] = no_action
    return block
