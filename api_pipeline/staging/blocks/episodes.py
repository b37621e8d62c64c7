"""The block `social_care_episodes` (mapping 6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter

from api_pipeline.settings.model import StagingSettings
from api_pipeline.staging import conversions as convert
from api_pipeline.staging.blocks.adoption import adoption
from api_pipeline.staging.blocks.assessments import child_and_family_assessments, section_47_assessments
from api_pipeline.staging.blocks.care_leavers import care_leavers
from api_pipeline.staging.blocks.care_workers import care_worker_details
from api_pipeline.staging.blocks.elements import EPISODES, Block, CodeField, Episode, put_date, put_flag, put_id
from api_pipeline.staging.blocks.placements import child_looked_after_placements
from api_pipeline.staging.blocks.plans import child_in_need_plans, child_protection_plans
from api_pipeline.staging.groups import each_once, grouped, in_order, newest
from api_pipeline.staging.issues import ElementPath, Notes
from api_pipeline.staging.rows import CinEpisode, PersonRows, id_key
from api_pipeline.staging.window import Window

_ID = f"{EPISODES}[].social_care_episode_id"
_SOURCE = CodeField(f"{EPISODES}[].referral_source", convert.referral_source)
_REASON = CodeField(f"{EPISODES}[].closure_reason")
_NO_ACTION = f"{EPISODES}[].referral_no_further_action_flag"
_REFERRED: Callable[[CinEpisode], datetime | None] = attrgetter("referral_date")


def social_care_episodes(rows: PersonRows, window: Window, settings: StagingSettings, notes: Notes) -> list[Block]:
    """Return the CIN episodes that touch the window, each once and with all that belongs to its referral."""
    found = []
    for row in in_order(each_once(rows.cin_episodes, lambda _: True), _REFERRED):
        if window.overlaps(row.referral_date, row.close_date):
            found.append(row)
        else:
            notes.outside.append(_path(row))
    if not found:
        return []
    groups = grouped(rows)
    adopted, leaver = adoption(rows, window), care_leavers(rows, notes)
    latest = newest(found, _REFERRED)
    episodes = []
    for row in found:
        of_child: dict[str, Block | None] = {}
        if row is latest or not settings.one_block_per_child:
            of_child = {"adoption": adopted, "care_leavers": leaver}
        episode = Episode(_path(row), id_key(row.referral_id), groups, window, notes)
        episodes.append(_episode(row, episode, of_child))
        if adopted is None and rows.permanence:
            notes.outside.append((*episode.path, "adoption"))
    return episodes


def _path(row: CinEpisode) -> ElementPath:
    return (EPISODES, row.referral_id.strip(" "))


def _episode(row: CinEpisode, of: Episode, of_child: dict[str, Block | None]) -> Block:
    block = _referral(row, of.notes)
    parts = {
        "child_and_family_assessments": child_and_family_assessments(of),
        "child_in_need_plans": child_in_need_plans(of),
        "section_47_assessments": section_47_assessments(of),
        "child_protection_plans": child_protection_plans(of),
        "child_looked_after_placements": child_looked_after_placements(of),
        **of_child,
        "care_worker_details": care_worker_details(of),
    }
    block.update((name, part) for name, part in parts.items() if part)
    block["purge"] = False
    return block


def _referral(row: CinEpisode, notes: Notes) -> Block:
    key = row.referral_id
    block: Block = {}
    put_id(block, _ID, key, notes)
    put_date(block, "referral_date", row.referral_date)
    _SOURCE.put(block, row.referral_source_code, key, notes)
    put_date(block, "closure_date", row.close_date)
    _REASON.put(block, row.close_reason, key, notes)
    if row.referral_nfa is not None:
        put_flag(block, _NO_ACTION, convert.flag(row.referral_nfa), key, notes)
    return block
