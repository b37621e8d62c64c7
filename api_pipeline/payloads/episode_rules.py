"""The rules of DfE's returns that a payload's social care episodes can break (see `census_rules`). Pure.

Every payload of every night has about ten episodes, and hardly any breaks a rule. So a member is looked up once, and a
block only where it is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

_Members: TypeAlias = "Mapping[str, Any]"
# What was found broken: a rule's name, and the path.
Broken: TypeAlias = "list[tuple[str, str]]"

ASSESSMENTS = "child_and_family_assessments"
ENQUIRIES = "section_47_assessments"
CIN_PLANS = "child_in_need_plans"
CP_PLANS = "child_protection_plans"
PLACEMENTS = "child_looked_after_placements"
_ACTIVITY_BLOCKS = (CIN_PLANS, CP_PLANS, ASSESSMENTS, ENQUIRIES, PLACEMENTS)
# Blocks of what has a start and an end: the rule about a start before the referral, the member that holds the end, and
# the rule about an end before the start.
_SPELLS = (
    (ASSESSMENTS, "CIN 1103", "authorisation_date", "CIN 8608"),
    (CIN_PLANS, "CIN 4015", "end_date", "CIN 4011"),
    (CP_PLANS, "CIN 1105", "end_date", "CIN 8925"),
)
# ISO dates compare as texts: before the first of them, and after the last.
EVER = ""
_NEVER = "9999-12-31"


def look_at_episodes(episodes: Sequence[_Members], path: str) -> Broken:
    """Return what the episodes at a path break, each with its own path."""
    broken: Broken = []
    for number, episode in enumerate(episodes):
        if found := _look_at_episode(episode):
            broken += [(rule, f"{path}[{number}]{end}") for rule, end in found]
    return broken


def _look_at_episode(episode: _Members) -> Broken:
    """Return what an episode breaks, each with the path within it."""
    broken: Broken = []
    referral = episode.get("referral_date", EVER)
    if "closure_date" in episode:
        if "closure_reason" not in episode:
            broken.append(("CIN 8805, 8810", ""))
        if episode["closure_date"] < referral:
            broken.append(("CIN 8630", ".closure_date"))
    elif "closure_reason" in episode:
        broken.append(("CIN 8805, 8810", ""))
    if episode.get("referral_no_further_action_flag") is True:
        broken += [("CIN 8832, 4000, 8831", f".{block}") for block in _ACTIVITY_BLOCKS if episode.get(block)]
    for block, before_referral, end, before_start in _SPELLS:
        if block in episode:
            for position, item in enumerate(episode[block]):
                start = item.get("start_date", EVER)
                if start < referral and start:
                    broken.append((before_referral, f".{block}[{position}].start_date"))
                if end in item and item[end] < start:
                    broken.append((before_start, f".{block}[{position}].{end}"))
    if ASSESSMENTS in episode:
        for position, item in enumerate(episode[ASSESSMENTS]):
            if "factors" in item and "21" in item["factors"] and len(item["factors"]) > 1:
                broken.append(("CIN 8869", f".{ASSESSMENTS}[{position}].factors"))
    if ENQUIRIES in episode:
        _look_at_enquiries(episode[ENQUIRIES], referral, broken)
    if PLACEMENTS in episode:
        for position, item in enumerate(episode[PLACEMENTS]):
            if ("end_date" in item) != ("end_reason" in item):
                broken.append(("903 148", f".{PLACEMENTS}[{position}]"))
    return broken


def _look_at_enquiries(enquiries: Sequence[_Members], referral: str, broken: Broken) -> None:
    for position, item in enumerate(enquiries):
        if "start_date" in item and item["start_date"] < referral:
            broken.append(("CIN 2889", f".{ENQUIRIES}[{position}].start_date"))
    if len(enquiries) > 1 and _is_overlapping(enquiries):
        broken.append(("CIN 8890, 8839", f".{ENQUIRIES}"))


def _is_overlapping(enquiries: Sequence[_Members]) -> bool:
    """Return whether one of several enquiries starts before an earlier one has ended."""
    spells = sorted((item["start_date"], item.get("end_date", _NEVER)) for item in enquiries if "start_date" in item)
    return any(later[0] < earlier[1] for earlier, later in pairwise(spells))
