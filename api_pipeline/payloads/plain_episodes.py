"""A short look at a payload's episodes that shows of nearly every one that it breaks none of the returns' rules. Pure.

`census_rules` looks closely only at the others. A law compares the two looks (tests/properties/test_check_law.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

ACTIVITY_BLOCKS = (
    "child_in_need_plans",
    "child_protection_plans",
    "child_and_family_assessments",
    "section_47_assessments",
    "child_looked_after_placements",
)
# ISO dates compare as texts: after the last of them.
NEVER = "9999-12-31"


def are_plain(episodes: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether no rule is broken in the episodes; False says only that a closer look is due.

    Few calls, and subscripts where a member is nearly always there: the nine episodes of a payload of 6.5 KB take
    9 microseconds, the closer look 15. No member is of a wrong type: see `schema_check.sound_parts`.
    """
    try:
        for episode in episodes:
            referral = episode["referral_date"]
            if "closure_date" in episode:
                if "closure_reason" not in episode or episode["closure_date"] < referral:
                    return False
            elif "closure_reason" in episode:
                return False
            if episode.get("referral_no_further_action_flag") and any(map(episode.get, ACTIVITY_BLOCKS)):
                return False
            if "child_and_family_assessments" in episode:
                for item in episode["child_and_family_assessments"]:
                    start = item["start_date"]
                    if start < referral or ("authorisation_date" in item and item["authorisation_date"] < start):
                        return False
                    if "factors" in item and "21" in item["factors"] and len(item["factors"]) > 1:
                        return False
            if "child_in_need_plans" in episode and not _are_plans_plain(episode["child_in_need_plans"], referral):
                return False
            if "child_protection_plans" in episode and not _are_plans_plain(
                episode["child_protection_plans"], referral
            ):
                return False
            if "section_47_assessments" in episode and not _are_enquiries_plain(
                episode["section_47_assessments"], referral
            ):
                return False
            if "child_looked_after_placements" in episode:
                for item in episode["child_looked_after_placements"]:
                    if ("end_date" in item) != ("end_reason" in item):
                        return False
    except KeyError:
        return False
    return True


def _are_plans_plain(plans: Sequence[Mapping[str, Any]], referral: str) -> bool:
    for item in plans:
        start = item["start_date"]
        if start < referral or ("end_date" in item and item["end_date"] < start):
            return False
    return True


def _are_enquiries_plain(enquiries: Sequence[Mapping[str, Any]], referral: str) -> bool:
    for item in enquiries:
        if item["start_date"] < referral:
            return False
    return not is_overlapping(enquiries)


def is_overlapping(enquiries: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether one of several enquiries starts before an earlier one has ended."""
    if len(enquiries) < 2:
        return False
    spells = sorted((item["start_date"], item.get("end_date", NEVER)) for item in enquiries if "start_date" in item)
    return any(later[0] < earlier[1] for earlier, later in pairwise(spells))
