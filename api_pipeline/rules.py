"""The returns' own rules that one payload can be held against, and the firewall's: warnings, never refusals.

Each rule is a small function that gives the places where it is broken; `RULES` is the table. To add a rule, write the
function and add its line. Specification 6 and 7; the names are those of the CIN census and the SSDA903 return.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, TypeAlias

from api_pipeline.findings import Finding

Members: TypeAlias = "Mapping[str, Any]"
Broken: TypeAlias = "Iterator[str]"

_DETAILS = "$.child_details"
_UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
_UPN = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-HJ-NP-RT-Z]")
_FORMER_UPN = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-Z]")
_HEX = re.compile(r"0x", re.I)
_PLAN_BLOCKS = ("child_in_need_plans", "child_protection_plans")
_ACTIVITY_BLOCKS = (
    *_PLAN_BLOCKS,
    "child_and_family_assessments",
    "section_47_assessments",
    "child_looked_after_placements",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name in the return, what it says, and what finds the places where a payload breaks it."""

    name: str
    says: str
    find: Callable[[Members, date], Broken]
    severity: str = "cross_field"


def cross_field_findings(data: Members, as_of: date, *, may_hold_hex: bool = True) -> list[Finding]:
    """Gives what a payload breaks of the rules of the table; parts of another type than expected are passed over.

    `may_hold_hex` is false where the payload's text is known not to hold the firewall's `0x`, which saves the search.
    """
    return [
        Finding(rule.severity, path, rule.name, rule.says, None)
        for rule in RULES
        if may_hold_hex or rule.severity != "firewall"
        for path in rule.find(data, as_of)
    ]


def _one_birth_date(data: Members, _as_of: date) -> Broken:
    details = _object(data, "child_details")
    if details and ("date_of_birth" in details) == ("expected_date_of_birth" in details):
        yield _DETAILS


def _unborn_sex(data: Members, _as_of: date) -> Broken:
    details = _object(data, "child_details")
    if "expected_date_of_birth" in details and "date_of_birth" not in details and details.get("sex", "U") != "U":
        yield f"{_DETAILS}.sex"


def _school_age_reason(data: Members, as_of: date) -> Broken:
    details = _object(data, "child_details")
    born = _date(details, "date_of_birth")
    if born is None or "unique_pupil_number" in details or not 5 <= _age(born, as_of) < 16:
        return
    if details.get("unique_pupil_number_unknown_reason", "UN1") == "UN1":
        yield f"{_DETAILS}.unique_pupil_number_unknown_reason"


def _upn_form(data: Members, _as_of: date) -> Broken:
    upn = _object(data, "child_details").get("unique_pupil_number")
    if isinstance(upn, str) and not (_UPN.fullmatch(upn) and _has_check_letter(upn)):
        yield f"{_DETAILS}.unique_pupil_number"


def _has_check_letter(upn: str) -> bool:
    values = [int(sign) if sign.isdigit() else _UPN_LETTERS.index(sign) for sign in upn[1:]]
    total = sum(value * position for position, value in enumerate(values, start=2))
    return _UPN_LETTERS[total % 23] == upn[0]


def _former_upn_form(data: Members, _as_of: date) -> Broken:
    upn = _object(data, "child_details").get("former_unique_pupil_number")
    if isinstance(upn, str) and not _FORMER_UPN.fullmatch(upn):
        yield f"{_DETAILS}.former_unique_pupil_number"


def _none_alone(data: Members, _as_of: date) -> Broken:
    codes = _object(data, "child_details").get("disabilities")
    if isinstance(codes, list) and "NONE" in codes and len(codes) > 1:
        yield f"{_DETAILS}.disabilities"


def _uasc_end(data: Members, _as_of: date) -> Broken:
    details = _object(data, "child_details")
    end, born = _date(details, "uasc_end_date"), _date(details, "date_of_birth")
    if end is None:
        return
    is_late = born is not None and (end.year - born.year, end.month, end.day) > (18, born.month, born.day)
    if is_late or details.get("uasc_flag") is not True:
        yield f"{_DETAILS}.uasc_end_date"


def _sdq_range(data: Members, _as_of: date) -> Broken:
    for path, item in _elements(_object(data, "health_and_wellbeing"), "sdq_assessments", "$.health_and_wellbeing"):
        score = item.get("score")
        if isinstance(score, int) and not isinstance(score, bool) and not 0 <= score <= 40:
            yield f"{path}.score"


def _factor_alone(data: Members, _as_of: date) -> Broken:
    for path, assessment in _in_episodes(data, "child_and_family_assessments"):
        factors = assessment.get("factors")
        if isinstance(factors, list) and "21" in factors and len(factors) > 1:
            yield f"{path}.factors"


def _closure_together(data: Members, _as_of: date) -> Broken:
    for path, episode in _elements(data, "social_care_episodes", "$"):
        if ("closure_date" in episode) != ("closure_reason" in episode):
            yield path


def _closure_after_referral(data: Members, _as_of: date) -> Broken:
    for path, episode in _elements(data, "social_care_episodes", "$"):
        if _is_before(episode, "closure_date", episode, "referral_date"):
            yield f"{path}.closure_date"


def _assessment_order(data: Members, _as_of: date) -> Broken:
    for path, assessment in _in_episodes(data, "child_and_family_assessments"):
        if _is_before(assessment, "authorisation_date", assessment, "start_date"):
            yield f"{path}.authorisation_date"


def _starts_after_referral(block: str) -> Callable[[Members, date], Broken]:
    def find(data: Members, _as_of: date) -> Broken:
        for path, episode in _elements(data, "social_care_episodes", "$"):
            for inner, item in _elements(episode, block, path):
                if _is_before(item, "start_date", episode, "referral_date"):
                    yield f"{inner}.start_date"

    return find


def _ends_after_start(block: str) -> Callable[[Members, date], Broken]:
    def find(data: Members, _as_of: date) -> Broken:
        for path, item in _in_episodes(data, block):
            if _is_before(item, "end_date", item, "start_date"):
                yield f"{path}.end_date"

    return find


def _activity_without_action(data: Members, _as_of: date) -> Broken:
    for path, episode in _elements(data, "social_care_episodes", "$"):
        if episode.get("referral_no_further_action_flag") is True:
            yield from (f"{path}.{block}" for block in _ACTIVITY_BLOCKS if episode.get(block))


def _overlapping_enquiries(data: Members, _as_of: date) -> Broken:
    for path, episode in _elements(data, "social_care_episodes", "$"):
        spells = sorted(
            (str(item["start_date"]), str(item.get("end_date", "9999-12-31")))
            for _, item in _elements(episode, "section_47_assessments", path)
            if "start_date" in item
        )
        if any(later[0] < earlier[1] for earlier, later in pairwise(spells)):
            yield f"{path}.section_47_assessments"


def _placement_end(data: Members, _as_of: date) -> Broken:
    for path, placement in _in_episodes(data, "child_looked_after_placements"):
        if ("end_date" in placement) != ("end_reason" in placement):
            yield path


def _hexadecimal(value: Any, path: str = "$") -> Broken:
    if isinstance(value, str):
        if _HEX.search(value):
            yield path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            shown = name if re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name) else "(unknown member)"
            yield from _hexadecimal(item, f"{path}.{shown}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _hexadecimal(item, f"{path}[{position}]")


RULES: tuple[Rule, ...] = (
    Rule("CIN 8525Q", "wanted is a date of birth or an expected one, not both and not neither", _one_birth_date),
    Rule("CIN 8750", "the sex of an unborn child must be U", _unborn_sex),
    Rule("CIN 8770Q", "of school age without a UPN: a reason other than UN1 is expected", _school_age_reason),
    Rule("CIN 1510-1550", "the UPN does not have the census's form, or its check letter is wrong", _upn_form),
    Rule("CIN 1560Q", "the former UPN does not have the census's form", _former_upn_form),
    Rule("CIN 8790", "the disability NONE must stand alone", _none_alone),
    Rule("903 205C, 303, 304", "a UASC end date is for a UASC only, and no later than the 18th birthday", _uasc_end),
    Rule("SDQ range", "the SDQ score is not between 0 and 40", _sdq_range),
    Rule("CIN 8869", "the factor 21 must stand alone", _factor_alone),
    Rule("CIN 8805, 8810", "closure date and closure reason come together", _closure_together),
    Rule("CIN 8630", "the closure is before the referral", _closure_after_referral),
    Rule("CIN 8608", "the assessment starts after its authorisation", _assessment_order),
    Rule(
        "CIN 1103", "the assessment starts before the referral", _starts_after_referral("child_and_family_assessments")
    ),
    Rule("CIN 1105", "the CP plan starts before the referral", _starts_after_referral("child_protection_plans")),
    Rule("CIN 2889", "the enquiry starts before the referral", _starts_after_referral("section_47_assessments")),
    Rule("CIN 4015", "the CIN plan starts before the referral", _starts_after_referral("child_in_need_plans")),
    Rule("CIN 4011", "the CIN plan ends before its start", _ends_after_start("child_in_need_plans")),
    Rule("CIN 8925", "the CP plan ends before its start", _ends_after_start("child_protection_plans")),
    Rule("CIN 8832, 4000, 8831", "there is activity on a referral without further action", _activity_without_action),
    Rule("CIN 8890, 8839", "section 47 enquiries overlap, or two are open", _overlapping_enquiries),
    Rule("903 148", "placement end date and end reason come together", _placement_end),
    Rule(
        "firewall 0x",
        "the receiver's firewall may take 0x for an attack and forbid the whole batch",
        lambda data, _as_of: _hexadecimal(data),
        "firewall",
    ),
)


def _object(data: Members, name: str) -> Members:
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}


def _elements(data: Members, name: str, path: str) -> Iterator[tuple[str, Members]]:
    value = data.get(name)
    if isinstance(value, list):
        for position, item in enumerate(value):
            if isinstance(item, Mapping):
                yield f"{path}.{name}[{position}]", item


def _in_episodes(data: Members, block: str) -> Iterator[tuple[str, Members]]:
    for path, episode in _elements(data, "social_care_episodes", "$"):
        yield from _elements(episode, block, path)


def _date(data: Members, name: str) -> date | None:
    value = data.get(name)
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_before(one: Members, name: str, other: Members, other_name: str) -> bool:
    """Whether one date is before another; ISO dates compare as texts, and what is no date is the schema's business."""
    first, second = one.get(name), other.get(other_name)
    return isinstance(first, str) and isinstance(second, str) and len(first) == len(second) == 10 and first < second


def _age(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
