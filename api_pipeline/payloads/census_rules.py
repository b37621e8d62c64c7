"""Rules of DfE's returns, and of the receiver's firewall, that one payload can break: warnings, never refusals.

`RULES` is the table: for each rule its name, a sentence, and the part of the payload that it is about. Every payload of
every night is checked against all of them. So each part of a payload has one function, which looks at the part once and
lists the rules that it breaks; those about episodes are in `episode_rules`. To add a rule, write its line in the table
and its condition in that function. See specification 6 and 7; the names are those of the CIN census and the SSDA903
return.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from api_pipeline.common.upn import check_letter
from api_pipeline.payloads.episode_rules import (
    ASSESSMENTS,
    CIN_PLANS,
    CP_PLANS,
    ENQUIRIES,
    EVER,
    PLACEMENTS,
    Broken,
    look_at_episodes,
)
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.shape import UNKNOWN_MEMBER, is_harmless

Members: TypeAlias = "Mapping[str, Any]"

_UPN = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-HJ-NP-RT-Z]")
_FORMER_UPN = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-Z]")
_HEX = re.compile(r"0x", re.I)
_ZERO = ord("0")
_DETAILS = "child_details"
_HEALTH = "health_and_wellbeing"
_SDQ = "sdq_assessments"
_EPISODE = "social_care_episodes"
_ANYWHERE = "anywhere"
# The rules of `value_rules`.
DEFAULT_DATE = "default date"
NOT_WHOLE = "whole number"
CONTROL_SIGN = "control character"


class Rule(NamedTuple):
    """One rule: its name in the return, what it says, and the part of the payload that it is about."""

    name: str
    says: str
    about: str
    severity: str = "cross_field"


RULES: tuple[Rule, ...] = (
    Rule("CIN 8525Q", "expected a date of birth or an expected date of birth, and not both", _DETAILS),
    Rule("CIN 8750", "the sex of an unborn child must be U", _DETAILS),
    Rule("CIN 8770Q", "of school age without a UPN: a reason other than UN1 is expected", _DETAILS),
    Rule("CIN 1510-1550", "the UPN does not have the census's form, or its check letter is wrong", _DETAILS),
    Rule("CIN 1560Q", "the former UPN does not have the census's form", _DETAILS),
    Rule("CIN 8790", "the disability NONE must stand alone", _DETAILS),
    Rule("903 205C, 303, 304", "a UASC end date is for a UASC only, and no later than the 18th birthday", _DETAILS),
    Rule("SDQ range", "the SDQ score is not between 0 and 40", _SDQ),
    Rule("CIN 8869", "the factor 21 must stand alone", ASSESSMENTS),
    Rule("CIN 8805, 8810", "closure date and closure reason come together", _EPISODE),
    Rule("CIN 8630", "the closure is before the referral", _EPISODE),
    Rule("CIN 8608", "the assessment starts after its authorisation", ASSESSMENTS),
    Rule("CIN 1103", "the assessment starts before the referral", ASSESSMENTS),
    Rule("CIN 1105", "the CP plan starts before the referral", CP_PLANS),
    Rule("CIN 2889", "the enquiry starts before the referral", ENQUIRIES),
    Rule("CIN 4015", "the CIN plan starts before the referral", CIN_PLANS),
    Rule("CIN 4011", "the CIN plan ends before its start", CIN_PLANS),
    Rule("CIN 8925", "the CP plan ends before its start", CP_PLANS),
    Rule("CIN 8832, 4000, 8831", "there is activity on a referral without further action", _EPISODE),
    Rule("CIN 8890, 8839", "section 47 enquiries overlap, or two are open", _EPISODE),
    Rule("903 148", "placement end date and end reason come together", PLACEMENTS),
    Rule("born later", "the date of birth is in the future", _DETAILS),
    Rule(DEFAULT_DATE, "the year is before 1910 or after 2049: a date that stands for no date?", _ANYWHERE),
    Rule(
        NOT_WHOLE, "a whole number is written with a point or an exponent, or too long; it may not be read", _ANYWHERE
    ),
    Rule(CONTROL_SIGN, "the text holds a control character, which nobody sees", _ANYWHERE),
    Rule(
        "firewall 0x",
        "the receiver's firewall may take 0x for an attack and forbid the whole batch",
        _ANYWHERE,
        "firewall",
    ),
)


def cross_field_findings(data: Members, as_of: date) -> list[Finding]:
    """Return what a payload breaks of the returns' rules, in the table's order.

    `data` has only values of the schema's types, and only valid dates: see `schema_check.sound_parts`.
    """
    broken: Broken = []
    if details := data.get(_DETAILS):
        broken += [(rule, f"$.{_DETAILS}{end}") for rule, end in _look_at_details(details, as_of)]
    if _HEALTH in data:
        for number, item in enumerate(data[_HEALTH].get(_SDQ, ())):
            if not 0 <= item.get("score", 0) <= 40:
                broken.append(("SDQ range", f"$.{_HEALTH}.{_SDQ}[{number}].score"))
    broken += look_at_episodes(data.get(_EPISODE, ()), f"$.{_EPISODE}")
    return as_findings(broken) if broken else []


def firewall_findings(data: Members) -> list[Finding]:
    """Return where a payload holds what the receiver's firewall may take for an attack."""
    return as_findings([("firewall 0x", path) for path in _hexadecimal(data, "$")])


def as_findings(broken: Broken) -> list[Finding]:
    """Return what was found broken, in the order of `RULES`."""
    ranks = _ranks()
    ranked = sorted(((ranks[name], path) for name, path in broken), key=lambda found: found[0])
    return [Finding(RULES[rank].severity, path, RULES[rank].name, RULES[rank].says, None) for rank, path in ranked]


@cache
def _ranks() -> dict[str, int]:
    return {rule.name: rank for rank, rule in enumerate(RULES)}


def may_hold_hex(encoded: bytes) -> bool:
    """Return whether the firewall's `0x` can be in a payload of this text.

    To look at each x takes 2 microseconds for 6.5 KB, a search by a pattern 6.
    """
    if b"\\" in encoded and b"\\u" in encoded:
        return True
    return _follows_zero(encoded, b"x") or _follows_zero(encoded, b"X")


def _follows_zero(encoded: bytes, sign: bytes) -> bool:
    at = encoded.find(sign)
    while at >= 0:
        if encoded[at - 1] == _ZERO:
            return True
        at = encoded.find(sign, at + 1)
    return False


def _look_at_details(details: Members, as_of: date) -> Broken:
    """Return what the child's details break, each with the path within them."""
    broken: Broken = []
    today, oldest, youngest = _days(as_of)
    born = details.get("date_of_birth", EVER)
    if born > today:
        broken.append(("born later", ".date_of_birth"))
    is_born, is_expected = "date_of_birth" in details, "expected_date_of_birth" in details
    if is_born == is_expected:
        broken.append(("CIN 8525Q", ""))
    if is_expected and not is_born and details.get("sex", "U") != "U":
        broken.append(("CIN 8750", ".sex"))
    if "unique_pupil_number" in details:
        upn = details["unique_pupil_number"]
        if not (_UPN.fullmatch(upn) and upn[0] == check_letter(upn[1:])):
            broken.append(("CIN 1510-1550", ".unique_pupil_number"))
    elif oldest < born <= youngest and details.get("unique_pupil_number_unknown_reason", "UN1") == "UN1":
        broken.append(("CIN 8770Q", ".unique_pupil_number_unknown_reason"))
    if "former_unique_pupil_number" in details and not _FORMER_UPN.fullmatch(details["former_unique_pupil_number"]):
        broken.append(("CIN 1560Q", ".former_unique_pupil_number"))
    disabilities = details.get("disabilities", ())
    if len(disabilities) > 1 and "NONE" in disabilities:
        broken.append(("CIN 8790", ".disabilities"))
    if "uasc_end_date" in details and not _is_uasc_end_right(details):
        broken.append(("903 205C, 303, 304", ".uasc_end_date"))
    return broken


@cache
def _days(as_of: date) -> tuple[str, str, str]:
    """Return a day, and the birthdays on it of the youngest who is too old for school and of the youngest pupil."""
    day = as_of.isoformat()
    return day, f"{as_of.year - 16:04}{day[4:]}", f"{as_of.year - 5:04}{day[4:]}"


def _is_uasc_end_right(details: Members) -> bool:
    end, born = _date(details, "uasc_end_date"), _date(details, "date_of_birth")
    if end is None:
        return True
    is_late = born is not None and (end.year - born.year, end.month, end.day) > (18, born.month, born.day)
    return details.get("uasc_flag") is True and not is_late


def _hexadecimal(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if _HEX.search(value):
            yield path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _hexadecimal(item, f"{path}.{step_to(name)}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _hexadecimal(item, f"{path}[{position}]")


def step_to(name: str) -> str:
    """Return a member's name as a path shows it; a strange one is not repeated."""
    return name if is_harmless(name) else UNKNOWN_MEMBER


def _date(data: Members, name: str) -> date | None:
    try:
        return date.fromisoformat(data[name])
    except (KeyError, ValueError):
        return None
