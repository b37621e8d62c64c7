"""The returns' own rules that one payload can be held against, and the firewall's: warnings, never refusals.

Each rule is a small function that looks at one part of a payload; `RULES` is the table. To add a rule, write the
function and add its line. A payload is walked once, and every part is shown to the rules about it. Specification 6 and
7; the names are those of the CIN census and the SSDA903 return.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

from api_pipeline.findings import Finding

Members: TypeAlias = "Mapping[str, Any]"
Broken: TypeAlias = "Sequence[str]"
_Told: TypeAlias = "tuple[int, Finding]"
Find: TypeAlias = "Callable[[Members, Members, date], Broken]"

_UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
_UPN = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-HJ-NP-RT-Z]")
_FORMER_UPN = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-Z]")
_HEX = re.compile(r"0x", re.I)
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_DETAILS = "child_details"
_SDQ = "sdq_assessments"
_EPISODE = "social_care_episodes"
_ANYWHERE = "anywhere"
_ACTIVITY_BLOCKS = (
    "child_in_need_plans",
    "child_protection_plans",
    "child_and_family_assessments",
    "section_47_assessments",
    "child_looked_after_placements",
)
_HOLDS: Broken = ()
_HERE: Broken = ("",)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name in the return, what it says, and what it is about.

    `about` is a part of the payload: `child_details`, `sdq_assessments`, `social_care_episodes`, an array of an
    episode, or `anywhere` for all of it. `find` is given that object, what it stands in, and the day; it gives the
    places where the rule is broken, as ends of a path: "" for the object, ".sex" for a member of it.
    """

    name: str
    says: str
    about: str
    find: Find
    severity: str = "cross_field"


def cross_field_findings(data: Members, as_of: date, *, may_hold_hex: bool = True) -> list[Finding]:
    """Gives what a payload breaks of the rules of the table; parts of another type than expected are passed over.

    `may_hold_hex` is false where the payload's text is known not to hold the firewall's `0x`, which saves the search.
    """
    told: list[_Told] = []
    _look_at(data.get(_DETAILS), _DETAILS, f"$.{_DETAILS}", data, as_of, told)
    health, episodes = data.get("health_and_wellbeing"), data.get(_EPISODE)
    if isinstance(health, dict):
        _look_at(health.get(_SDQ), _SDQ, f"$.health_and_wellbeing.{_SDQ}", data, as_of, told)
    _look_at(episodes, _EPISODE, f"$.{_EPISODE}", data, as_of, told)
    for position, episode in enumerate(episodes if isinstance(episodes, list) else ()):
        if isinstance(episode, dict):
            for block in _ACTIVITY_BLOCKS:
                if block in episode:
                    _look_at(episode[block], block, f"$.{_EPISODE}[{position}].{block}", episode, as_of, told)
    if may_hold_hex:
        _look_at(data, _ANYWHERE, "$", data, as_of, told)
    told.sort(key=lambda item: item[0])
    return [finding for _, finding in told]


def _look_at(part: Any, about: str, path: str, within: Members, as_of: date, told: list[_Told]) -> None:
    """Shows an object, or each object of an array, to the rules about it; notes what they find and the rule's rank."""
    is_array = isinstance(part, list)
    rules = _rules_about(about)
    for position, item in enumerate(part if is_array else (part,)):
        if not isinstance(item, dict):
            continue
        for rank, rule, find in rules:
            # Nearly always nothing is found.
            if ends := find(item, within, as_of):
                start = f"{path}[{position}]" if is_array else path
                told += ((rank, Finding(rule.severity, start + end, rule.name, rule.says, None)) for end in ends)


@cache
def _rules_about(part: str) -> tuple[tuple[int, Rule, Find], ...]:
    """Gives the rules about a part, each with its rank in the table: findings are told in the table's order."""
    return tuple((rank, rule, rule.find) for rank, rule in enumerate(RULES) if rule.about == part)


def _one_birth_date(details: Members, _in: Members, _as_of: date) -> Broken:
    if details and ("date_of_birth" in details) == ("expected_date_of_birth" in details):
        return _HERE
    return _HOLDS


def _unborn_sex(details: Members, _in: Members, _as_of: date) -> Broken:
    if "expected_date_of_birth" in details and "date_of_birth" not in details and details.get("sex", "U") != "U":
        return (".sex",)
    return _HOLDS


def _school_age_reason(details: Members, _in: Members, as_of: date) -> Broken:
    if "unique_pupil_number" in details or details.get("unique_pupil_number_unknown_reason", "UN1") != "UN1":
        return _HOLDS
    born = _date(details, "date_of_birth")
    if born is not None and 5 <= _age(born, as_of) < 16:
        return (".unique_pupil_number_unknown_reason",)
    return _HOLDS


def _upn_form(details: Members, _in: Members, _as_of: date) -> Broken:
    upn = details.get("unique_pupil_number")
    if isinstance(upn, str) and not (_UPN.fullmatch(upn) and _has_check_letter(upn)):
        return (".unique_pupil_number",)
    return _HOLDS


def _has_check_letter(upn: str) -> bool:
    values = [int(sign) if sign.isdigit() else _UPN_LETTERS.index(sign) for sign in upn[1:]]
    total = sum(value * position for position, value in enumerate(values, start=2))
    return _UPN_LETTERS[total % 23] == upn[0]


def _former_upn_form(details: Members, _in: Members, _as_of: date) -> Broken:
    upn = details.get("former_unique_pupil_number")
    return (".former_unique_pupil_number",) if isinstance(upn, str) and not _FORMER_UPN.fullmatch(upn) else _HOLDS


def _none_alone(details: Members, _in: Members, _as_of: date) -> Broken:
    codes = details.get("disabilities")
    return (".disabilities",) if isinstance(codes, list) and "NONE" in codes and len(codes) > 1 else _HOLDS


def _uasc_end(details: Members, _in: Members, _as_of: date) -> Broken:
    if "uasc_end_date" not in details:
        return _HOLDS
    end, born = _date(details, "uasc_end_date"), _date(details, "date_of_birth")
    if end is None:
        return _HOLDS
    is_late = born is not None and (end.year - born.year, end.month, end.day) > (18, born.month, born.day)
    return (".uasc_end_date",) if is_late or details.get("uasc_flag") is not True else _HOLDS


def _sdq_range(item: Members, _in: Members, _as_of: date) -> Broken:
    score = item.get("score")
    if isinstance(score, int) and not isinstance(score, bool) and not 0 <= score <= 40:
        return (".score",)
    return _HOLDS


def _factor_alone(assessment: Members, _in: Members, _as_of: date) -> Broken:
    factors = assessment.get("factors")
    return (".factors",) if isinstance(factors, list) and "21" in factors and len(factors) > 1 else _HOLDS


def _closure_together(episode: Members, _in: Members, _as_of: date) -> Broken:
    return _HERE if ("closure_date" in episode) != ("closure_reason" in episode) else _HOLDS


def _closure_after_referral(episode: Members, _in: Members, _as_of: date) -> Broken:
    return (".closure_date",) if _is_before(episode, "closure_date", episode, "referral_date") else _HOLDS


def _assessment_order(assessment: Members, _in: Members, _as_of: date) -> Broken:
    return (
        (".authorisation_date",) if _is_before(assessment, "authorisation_date", assessment, "start_date") else _HOLDS
    )


def _starts_after_referral(item: Members, episode: Members, _as_of: date) -> Broken:
    return (".start_date",) if _is_before(item, "start_date", episode, "referral_date") else _HOLDS


def _ends_after_start(item: Members, _in: Members, _as_of: date) -> Broken:
    return (".end_date",) if _is_before(item, "end_date", item, "start_date") else _HOLDS


def _activity_without_action(episode: Members, _in: Members, _as_of: date) -> Broken:
    if episode.get("referral_no_further_action_flag") is not True:
        return _HOLDS
    return [f".{block}" for block in _ACTIVITY_BLOCKS if episode.get(block)]


def _overlapping_enquiries(episode: Members, _in: Members, _as_of: date) -> Broken:
    enquiries = episode.get("section_47_assessments")
    if not isinstance(enquiries, list):
        return _HOLDS
    spells = sorted(
        (str(item["start_date"]), str(item.get("end_date", "9999-12-31")))
        for item in enquiries
        if isinstance(item, dict) and "start_date" in item
    )
    return (".section_47_assessments",) if any(b[0] < a[1] for a, b in pairwise(spells)) else _HOLDS


def _placement_end(placement: Members, _in: Members, _as_of: date) -> Broken:
    return _HERE if ("end_date" in placement) != ("end_reason" in placement) else _HOLDS


def _firewall(data: Members, _in: Members, _as_of: date) -> Broken:
    return list(_hexadecimal(data, ""))


def _hexadecimal(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if _HEX.search(value):
            yield path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            shown = name if _PLAIN_NAME.fullmatch(name) else "(unknown member)"
            yield from _hexadecimal(item, f"{path}.{shown}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _hexadecimal(item, f"{path}[{position}]")


RULES: tuple[Rule, ...] = (
    Rule(
        "CIN 8525Q", "wanted is a date of birth or an expected one, not both and not neither", _DETAILS, _one_birth_date
    ),
    Rule("CIN 8750", "the sex of an unborn child must be U", _DETAILS, _unborn_sex),
    Rule("CIN 8770Q", "of school age without a UPN: a reason other than UN1 is expected", _DETAILS, _school_age_reason),
    Rule("CIN 1510-1550", "the UPN does not have the census's form, or its check letter is wrong", _DETAILS, _upn_form),
    Rule("CIN 1560Q", "the former UPN does not have the census's form", _DETAILS, _former_upn_form),
    Rule("CIN 8790", "the disability NONE must stand alone", _DETAILS, _none_alone),
    Rule(
        "903 205C, 303, 304",
        "a UASC end date is for a UASC only, and no later than the 18th birthday",
        _DETAILS,
        _uasc_end,
    ),
    Rule("SDQ range", "the SDQ score is not between 0 and 40", _SDQ, _sdq_range),
    Rule("CIN 8869", "the factor 21 must stand alone", "child_and_family_assessments", _factor_alone),
    Rule("CIN 8805, 8810", "closure date and closure reason come together", _EPISODE, _closure_together),
    Rule("CIN 8630", "the closure is before the referral", _EPISODE, _closure_after_referral),
    Rule(
        "CIN 8608", "the assessment starts after its authorisation", "child_and_family_assessments", _assessment_order
    ),
    Rule(
        "CIN 1103", "the assessment starts before the referral", "child_and_family_assessments", _starts_after_referral
    ),
    Rule("CIN 1105", "the CP plan starts before the referral", "child_protection_plans", _starts_after_referral),
    Rule("CIN 2889", "the enquiry starts before the referral", "section_47_assessments", _starts_after_referral),
    Rule("CIN 4015", "the CIN plan starts before the referral", "child_in_need_plans", _starts_after_referral),
    Rule("CIN 4011", "the CIN plan ends before its start", "child_in_need_plans", _ends_after_start),
    Rule("CIN 8925", "the CP plan ends before its start", "child_protection_plans", _ends_after_start),
    Rule(
        "CIN 8832, 4000, 8831",
        "there is activity on a referral without further action",
        _EPISODE,
        _activity_without_action,
    ),
    Rule("CIN 8890, 8839", "section 47 enquiries overlap, or two are open", _EPISODE, _overlapping_enquiries),
    Rule("903 148", "placement end date and end reason come together", "child_looked_after_placements", _placement_end),
    Rule(
        "firewall 0x",
        "the receiver's firewall may take 0x for an attack and forbid the whole batch",
        _ANYWHERE,
        _firewall,
        "firewall",
    ),
)


def _date(data: Members, name: str) -> date | None:
    value = data.get(name)
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_before(one: Members, name: str, other: Members, other_name: str) -> bool:
    """Whether one date is before another; ISO dates compare as texts, and what is no date is the schema's business."""
    first = one.get(name)
    if first is None:
        return False
    second = other.get(other_name)
    return isinstance(first, str) and isinstance(second, str) and first < second and len(first) == len(second) == 10


def _age(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
