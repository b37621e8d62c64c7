"""The rules of DfE's returns that a payload's social care episodes can break (see `census_rules`). Pure.

Every payload of every night has about ten episodes, and hardly any breaks a rule. So each is first looked at in one go
(`_is_in_order`), and rule by rule only where that finds something: of 28 microseconds a payload 10 are left.
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
# The blocks of plans, each with the rules about a start before the referral and about an end before the start.
_PLANS = ((CIN_PLANS, "CIN 4015", "CIN 4011"), (CP_PLANS, "CIN 1105", "CIN 8925"))
# ISO dates compare as texts: before the first of them, and after the last.
EVER = ""
_NEVER = "9999-12-31"


def look_at_episodes(episodes: Sequence[_Members], path: str) -> Broken:
    """Return what the episodes at a path break, each with its own path."""
    broken: Broken = []
    for number, episode in enumerate(episodes):
        if not _is_in_order(episode):
            broken += [(rule, f"{path}[{number}]{end}") for rule, end in _look_at_episode(episode)]
    return broken


def _is_in_order(episode: _Members) -> bool:
    """Return whether an episode breaks no rule for certain; one of which this is not true may break none either."""
    referral = episode.get("referral_date", EVER)
    if "closure_date" in episode:
        if "closure_reason" not in episode or episode["closure_date"] < referral:
            return False
    elif "closure_reason" in episode:
        return False
    if episode.get("referral_no_further_action_flag"):
        return False
    if ASSESSMENTS in episode:
        for item in episode[ASSESSMENTS]:
            if not referral <= item.get("start_date", _NEVER) <= item.get("authorisation_date", _NEVER):
                return False
            if "21" in item.get("factors", ()):
                return False
    for block, _, _ in _PLANS:
        if block in episode:
            for item in episode[block]:
                if not referral <= item.get("start_date", _NEVER) <= item.get("end_date", _NEVER):
                    return False
    if PLACEMENTS in episode:
        for item in episode[PLACEMENTS]:
            if ("end_date" in item) != ("end_reason" in item):
                return False
    return ENQUIRIES not in episode or _is_one_in_order(episode[ENQUIRIES], referral)


def _is_one_in_order(enquiries: Sequence[_Members], referral: str) -> bool:
    return not enquiries or (len(enquiries) == 1 and enquiries[0].get("start_date", _NEVER) >= referral)


def _look_at_episode(episode: _Members) -> Broken:
    """Return what an episode breaks, each with the path within it."""
    broken: Broken = []
    referral = episode.get("referral_date", EVER)
    is_closed = "closure_date" in episode
    if is_closed != ("closure_reason" in episode):
        broken.append(("CIN 8805, 8810", ""))
    if is_closed and episode["closure_date"] < referral:
        broken.append(("CIN 8630", ".closure_date"))
    if episode.get("referral_no_further_action_flag") is True:
        broken += [("CIN 8832, 4000, 8831", f".{block}") for block in _ACTIVITY_BLOCKS if episode.get(block)]
    if ASSESSMENTS in episode:
        _look_at_assessments(episode[ASSESSMENTS], referral, broken)
    for block, before_referral, before_start in _PLANS:
        if block in episode:
            for position, item in enumerate(episode[block]):
                start = item.get("start_date", EVER)
                if start < referral and start:
                    broken.append((before_referral, f".{block}[{position}].start_date"))
                if "end_date" in item and item["end_date"] < start:
                    broken.append((before_start, f".{block}[{position}].end_date"))
    if ENQUIRIES in episode:
        _look_at_enquiries(episode[ENQUIRIES], referral, broken)
    if PLACEMENTS in episode:
        for position, item in enumerate(episode[PLACEMENTS]):
            if ("end_date" in item) != ("end_reason" in item):
                broken.append(("903 148", f".{PLACEMENTS}[{position}]"))
    return broken


def _look_at_assessments(assessments: Sequence[_Members], referral: str, broken: Broken) -> None:
    for position, item in enumerate(assessments):
        start = item.get("start_date", EVER)
        if start < referral and start:
            broken.append(("CIN 1103", f".{ASSESSMENTS}[{position}].start_date"))
        if "authorisation_date" in item and item["authorisation_date"] < start:
            broken.append(("CIN 8608", f".{ASSESSMENTS}[{position}].authorisation_date"))
        if "factors" in item and len(item["factors"]) > 1 and "21" in item["factors"]:
            broken.append(("CIN 8869", f".{ASSESSMENTS}[{position}].factors"))


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
