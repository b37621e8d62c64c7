"""The returns' own rules that one payload can be held against, and the firewall's: warnings, never refusals.

Each rule is a small function that looks at all parts of one kind in a payload; `RULES` is the table. To add a rule,
write the function and add its line. A payload is walked once, and its parts are shown to the rules about them.
Specification 6 and 7; the names are those of the CIN census and the SSDA903 return.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from operator import mul
from typing import Any, TypeAlias

from api_pipeline.findings import Finding

Members: TypeAlias = "Mapping[str, Any]"
# Parts of one kind: each with what it stands in.
Parts: TypeAlias = "Sequence[tuple[Members, Members]]"
# Where a rule is broken: which of the parts, and the end of the path: "" for the part, ".sex" for a member of it.
Broken: TypeAlias = "Sequence[tuple[int, str]]"
Find: TypeAlias = "Callable[[Parts, date], Broken]"

_UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
_UPN_VALUES = {**{letter: value for value, letter in enumerate(_UPN_LETTERS)}, **{str(n): n for n in range(10)}}
_UPN_WEIGHTS = range(2, 14)
_UPN = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-HJ-NP-RT-Z]")
_FORMER_UPN = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-Z]")
_HEX = re.compile(r"0x", re.I)
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_DETAILS = "child_details"
_SDQ = "sdq_assessments"
_EPISODE = "social_care_episodes"
_ANYWHERE = "anywhere"
_ENQUIRIES = "section_47_assessments"
_ACTIVITY_BLOCKS = (
    "child_in_need_plans",
    "child_protection_plans",
    "child_and_family_assessments",
    _ENQUIRIES,
    "child_looked_after_placements",
)
_HOLDS: Broken = ()
_DAY_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name in the return, what it says, and what it is about.

    `about` is a kind of part: `child_details`, `sdq_assessments`, `social_care_episodes`, an array of an episode, or
    `anywhere` for the payload. `find` is given all parts of that kind, and the day; it gives where the rule is broken.
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
    parts = _parts_of(data)
    if not may_hold_hex:
        del parts[_ANYWHERE]
    findings: list[Finding] = []
    for rule in RULES:
        # Nearly always nothing is found, and no path is needed.
        if (of_its_kind := parts.get(rule.about)) and (broken := rule.find(of_its_kind, as_of)):
            paths = _paths_of(data, rule.about)
            findings += (Finding(rule.severity, paths[n] + end, rule.name, rule.says, None) for n, end in broken)
    return findings


def may_hold_hex(text: str) -> bool:
    """Whether the firewall's `0x` can be in a payload of this text; in most one look at each x shows that it is not."""
    if "\\" in text and "\\u" in text:
        return True
    return any(_follows_zero(text, sign) for sign in "xX")


def _follows_zero(text: str, sign: str) -> bool:
    at = text.find(sign)
    while at >= 0:
        if text[at - 1] == "0":
            return True
        at = text.find(sign, at + 1)
    return False


def _parts_of(data: Members) -> dict[str, Parts]:
    """Gives the parts of each kind, in their order; those that are no objects are left out."""
    episodes = [episode for episode in _array(data, _EPISODE) if type(episode) is dict]
    parts: dict[str, Parts] = {
        block: [
            (item, episode)
            for episode in episodes
            if type(items := episode.get(block)) is list
            for item in items
            if type(item) is dict
        ]
        for block in _ACTIVITY_BLOCKS
    }
    parts[_EPISODE] = [(episode, data) for episode in episodes]
    details, health = data.get(_DETAILS), data.get("health_and_wellbeing")
    parts[_DETAILS] = [(details, data)] if type(details) is dict else []
    parts[_SDQ] = (
        [(item, health) for item in _array(health, _SDQ) if type(item) is dict] if type(health) is dict else []
    )
    parts[_ANYWHERE] = [(data, data)]
    return parts


def _paths_of(data: Members, kind: str) -> list[str]:
    """Gives the paths of the parts of one kind, in the order of `_parts_of`."""
    if kind == _ANYWHERE:
        return ["$"]
    if kind == _DETAILS:
        return [f"$.{_DETAILS}"]
    if kind == _SDQ:
        return _element_paths(f"$.health_and_wellbeing.{_SDQ}", data["health_and_wellbeing"][_SDQ])
    episodes = data[_EPISODE]
    paths = _element_paths(f"$.{_EPISODE}", episodes)
    if kind == _EPISODE:
        return paths
    objects = [episode for episode in episodes if type(episode) is dict]
    return [
        inner
        for path, episode in zip(paths, objects, strict=True)
        for inner in _element_paths(f"{path}.{kind}", _array(episode, kind))
    ]


def _element_paths(path: str, array: Sequence[Any]) -> list[str]:
    return [f"{path}[{position}]" for position, item in enumerate(array) if type(item) is dict]


def _array(data: Members, name: str) -> Sequence[Any]:
    value = data.get(name)
    return value if type(value) is list else ()


def _one_birth_date(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, "")
        for n, (details, _) in enumerate(parts)
        if details and ("date_of_birth" in details) == ("expected_date_of_birth" in details)
    ]


def _unborn_sex(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, ".sex")
        for n, (details, _) in enumerate(parts)
        if "expected_date_of_birth" in details and "date_of_birth" not in details and details.get("sex", "U") != "U"
    ]


def _school_age_reason(parts: Parts, as_of: date) -> Broken:
    reason = "unique_pupil_number_unknown_reason"
    return [
        (n, f".{reason}")
        for n, (details, _) in enumerate(parts)
        if details.get(reason, "UN1") == "UN1"
        and "unique_pupil_number" not in details
        and (born := _date(details, "date_of_birth")) is not None
        and 5 <= _age(born, as_of) < 16
    ]


def _upn_form(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, ".unique_pupil_number")
        for n, (details, _) in enumerate(parts)
        if isinstance(upn := details.get("unique_pupil_number"), str)
        and not (_UPN.fullmatch(upn) and _has_check_letter(upn))
    ]


def _has_check_letter(upn: str) -> bool:
    values = [_UPN_VALUES[sign] for sign in upn[1:]]
    return _UPN_LETTERS[sum(map(mul, values, _UPN_WEIGHTS)) % 23] == upn[0]


def _former_upn_form(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, ".former_unique_pupil_number")
        for n, (details, _) in enumerate(parts)
        if isinstance(upn := details.get("former_unique_pupil_number"), str) and not _FORMER_UPN.fullmatch(upn)
    ]


def _alone(name: str, code: str) -> Find:
    """Gives the rule that a code stands alone in its array."""

    def find(parts: Parts, _as_of: date) -> Broken:
        return [
            (n, f".{name}")
            for n, (item, _) in enumerate(parts)
            if type(codes := item.get(name)) is list and code in codes and len(codes) > 1
        ]

    return find


def _uasc_end(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, ".uasc_end_date")
        for n, (details, _) in enumerate(parts)
        if "uasc_end_date" in details
        and (end := _date(details, "uasc_end_date")) is not None
        and (details.get("uasc_flag") is not True or _is_after_childhood(end, _date(details, "date_of_birth")))
    ]


def _is_after_childhood(day: date, born: date | None) -> bool:
    return born is not None and (day.year - born.year, day.month, day.day) > (18, born.month, born.day)


def _sdq_range(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, ".score")
        for n, (item, _) in enumerate(parts)
        if isinstance(score := item.get("score"), int) and not isinstance(score, bool) and not 0 <= score <= 40
    ]


def _together(one: str, other: str) -> Find:
    """Gives the rule that two members are there together or not at all."""

    def find(parts: Parts, _as_of: date) -> Broken:
        return [(n, "") for n, (item, _) in enumerate(parts) if (one in item) != (other in item)]

    return find


def _in_order(late: str, early: str) -> Find:
    """Gives the rule that of two dates of a part `late` is not before `early`."""

    def find(parts: Parts, _as_of: date) -> Broken:
        return [
            (n, f".{late}")
            for n, (item, _) in enumerate(parts)
            if late in item and _is_before(item[late], item.get(early))
        ]

    return find


def _starts_after_referral(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, ".start_date")
        for n, (item, episode) in enumerate(parts)
        if "start_date" in item and _is_before(item["start_date"], episode.get("referral_date"))
    ]


def _activity_without_action(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, f".{block}")
        for n, (episode, _) in enumerate(parts)
        if episode.get("referral_no_further_action_flag") is True
        for block in _ACTIVITY_BLOCKS
        if episode.get(block)
    ]


def _overlapping_enquiries(parts: Parts, _as_of: date) -> Broken:
    return [
        (n, f".{_ENQUIRIES}")
        for n, (episode, _) in enumerate(parts)
        if _ENQUIRIES in episode and len(enquiries := _array(episode, _ENQUIRIES)) > 1 and _is_overlapping(enquiries)
    ]


def _is_overlapping(enquiries: Sequence[Any]) -> bool:
    spells = sorted(
        (str(item["start_date"]), str(item.get("end_date", "9999-12-31")))
        for item in enquiries
        if isinstance(item, dict) and "start_date" in item
    )
    return any(later[0] < earlier[1] for earlier, later in pairwise(spells))


def _firewall(parts: Parts, _as_of: date) -> Broken:
    return [(n, end) for n, (data, _) in enumerate(parts) for end in _hexadecimal(data, "")]


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
    Rule("CIN 8790", "the disability NONE must stand alone", _DETAILS, _alone("disabilities", "NONE")),
    Rule(
        "903 205C, 303, 304",
        "a UASC end date is for a UASC only, and no later than the 18th birthday",
        _DETAILS,
        _uasc_end,
    ),
    Rule("SDQ range", "the SDQ score is not between 0 and 40", _SDQ, _sdq_range),
    Rule("CIN 8869", "the factor 21 must stand alone", "child_and_family_assessments", _alone("factors", "21")),
    Rule(
        "CIN 8805, 8810",
        "closure date and closure reason come together",
        _EPISODE,
        _together("closure_date", "closure_reason"),
    ),
    Rule("CIN 8630", "the closure is before the referral", _EPISODE, _in_order("closure_date", "referral_date")),
    Rule(
        "CIN 8608",
        "the assessment starts after its authorisation",
        "child_and_family_assessments",
        _in_order("authorisation_date", "start_date"),
    ),
    Rule(
        "CIN 1103", "the assessment starts before the referral", "child_and_family_assessments", _starts_after_referral
    ),
    Rule("CIN 1105", "the CP plan starts before the referral", "child_protection_plans", _starts_after_referral),
    Rule("CIN 2889", "the enquiry starts before the referral", "section_47_assessments", _starts_after_referral),
    Rule("CIN 4015", "the CIN plan starts before the referral", "child_in_need_plans", _starts_after_referral),
    Rule("CIN 4011", "the CIN plan ends before its start", "child_in_need_plans", _in_order("end_date", "start_date")),
    Rule(
        "CIN 8925", "the CP plan ends before its start", "child_protection_plans", _in_order("end_date", "start_date")
    ),
    Rule(
        "CIN 8832, 4000, 8831",
        "there is activity on a referral without further action",
        _EPISODE,
        _activity_without_action,
    ),
    Rule("CIN 8890, 8839", "section 47 enquiries overlap, or two are open", _EPISODE, _overlapping_enquiries),
    Rule(
        "903 148",
        "placement end date and end reason come together",
        "child_looked_after_placements",
        _together("end_date", "end_reason"),
    ),
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


def _is_before(one: Any, other: Any) -> bool:
    """Whether one date is before another; ISO dates compare as texts, and what is no date is the schema's business."""
    return type(one) is str and type(other) is str and one < other and len(one) == len(other) == _DAY_LENGTH


def _age(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
