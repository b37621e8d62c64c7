"""Single values of the SSD as the specification takes them (mapping 3, 4, 6, 7). Pure.

What cannot be taken comes back as None, what is blank as BLANK: the caller lists the one and not the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, TypeAlias

import orjson

from api_pipeline.payloads.schema_check import code_list, legacy_codes
from api_pipeline.staging.fields import BY_PATH

BLANK: Final = ""
Lookup: TypeAlias = "Callable[[str], str | None]"

_is_record_id = re.compile(r"[A-Za-z0-9]{1,20}").fullmatch
_is_element_id = re.compile(r"[A-Za-z0-9_-]{1,36}").fullmatch
_is_worker_id = re.compile(r"[A-Za-z0-9_-]{1,12}").fullmatch
_REFERRAL_SOURCE = re.compile(r"10|[123][A-F]|5[A-D]|[46789]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
# What SQL Server's INT holds, so that a text of digits means the same as a number.
_INT_LIMIT = 2**31
_YES = frozenset({"Y", "T", "1", "TRUE"})
_NO = frozenset({"N", "F", "0", "FALSE"})
_WHITE_SPACE = str.maketrans("", "", " \t\r\n")
_UPN_LENGTH = 13
_MOST_FACTORS = 41
_NO_FACTOR = "21"
# How many different texts of one column are kept; descriptions of codes are far fewer.
_REMEMBERED = 4096


@lru_cache(maxsize=8192)
def day(moment: datetime) -> str:
    """Return a date as YYYY-MM-DD."""
    return moment.date().isoformat()


def trimmed(text: str | None) -> str:
    """Return a text without spaces at its ends; BLANK for none."""
    return BLANK if text is None else text.strip(" ")


def record_id(text: str) -> str | None:
    """Return a person id as `la_child_id`, None where it is ill-formed: an id is refused, never cut."""
    return _whole(_is_record_id, text)


def element_id(text: str) -> str | None:
    """Return the id of a part of a record, None where it is ill-formed."""
    return _whole(_is_element_id, text)


def worker_id(text: str) -> str | None:
    """Return a care worker's registration number, None where it is ill-formed."""
    return _whole(_is_worker_id, text)


def _whole(matches: Callable[[str], object], text: str) -> str | None:
    found = text.strip(" ")
    return found if matches(found) else None


def pupil_number(text: str | None) -> str | None:
    """Return a pupil number, BLANK for none, None where it has not 13 characters."""
    found = trimmed(text)
    return found if found == BLANK or len(found) == _UPN_LENGTH else None


def is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8; SQL Server also stores halves of characters."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@cache
def code_lookup(path: str) -> Lookup:
    """Return the function that cuts a code out of a description and looks it up: the code, BLANK or None.

    `path` is a field of the table with a length and a code list; codes of earlier years are taken (specification 3.5).
    """
    field = BY_PATH[path]
    accepted = _accepted(path)

    @lru_cache(maxsize=_REMEMBERED)
    def look_up(text: str) -> str | None:
        found = text.strip(" ")[: field.length].strip(" ").upper()
        return found if found == BLANK or found in accepted else None

    return look_up


@cache
def _accepted(path: str) -> frozenset[str]:
    name = BY_PATH[path].codes or ""
    return frozenset(code_list(name)) | frozenset(legacy_codes(name))


@lru_cache(maxsize=_REMEMBERED)
def end_reason(text: str) -> str | None:
    """Return the code of a reason why care ended, BLANK or None: 3 characters, without white space.

    The white space goes after the cut, so that `X1 Episode ceases` is X1; where that is not a code, before it.
    """
    start = text.strip(" \t\r\n")[:3].translate(_WHITE_SPACE).upper()
    for found in (start, text.translate(_WHITE_SPACE)[:3].upper()):
        if found == BLANK or found in _accepted(_END_REASON_PATH):
            return found
    return None


@lru_cache(maxsize=_REMEMBERED)
def referral_source(text: str) -> str | None:
    """Return the code that a referral source begins with (mapping 6.1), BLANK or None."""
    found = text.strip(" ").upper()
    match = _REFERRAL_SOURCE.match(found)
    if match is None:
        return BLANK if found == BLANK else None
    return match[0] if match[0] in _accepted(_REFERRAL_SOURCE_PATH) else None


@lru_cache(maxsize=_REMEMBERED)
def upn_in_place_of_reason(text: str) -> str:
    """Return the reason that stands in the column of the pupil number (UN1 to UN10), BLANK where it is none."""
    found = text.strip(" ").upper()
    return found if found in _accepted(_UNKNOWN_REASON_PATH) else BLANK


def flag(text: str) -> bool | str | None:
    """Return a flag, BLANK for a blank one (SQL Server would make it false), None for anything else."""
    found = text.strip(" ").upper()
    if found in _YES:
        return True
    if found in _NO:
        return False
    return BLANK if found == BLANK else None


def outcome_flag(text: str) -> str | None:
    """Return CP_CONFERENCE_FLAG of a section 47 enquiry's outcome as text, for `flag`; None where it is not JSON."""
    if text.strip() == BLANK:
        return BLANK
    try:
        outcome = orjson.loads(text)
    except ValueError:
        return None
    value = outcome.get("CP_CONFERENCE_FLAG") if isinstance(outcome, dict) else None
    return BLANK if value is None else str(value)


def score(value: str | int) -> int | str | None:
    """Return the score of an SDQ, BLANK for a blank one, None where it is not a whole number."""
    if isinstance(value, int):
        number = value
    else:
        text = value.strip(" ")
        if text == BLANK:
            return BLANK
        if not _INTEGER.fullmatch(text):
            return None
        number = int(text)
    return number if -_INT_LIMIT <= number < _INT_LIMIT else None


@lru_cache(maxsize=64)
def is_uasc(values: tuple[str, ...]) -> Callable[[str], bool]:
    """Return the test whether an immigration status is that of an unaccompanied child (UASC_VALUES; mapping 4.1)."""
    patterns = (".*".join(re.escape(part) for part in value.strip(" ").split("*")) for value in values)
    wanted = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE | re.DOTALL)

    @lru_cache(maxsize=_REMEMBERED)
    def matches(text: str) -> bool:
        found = text.strip(" ")
        return found != BLANK and wanted.fullmatch(found) is not None

    return matches


@lru_cache(maxsize=_REMEMBERED)
def stored_factors(text: str) -> tuple[tuple[str, ...], bool] | None:
    """Return the factors that one row stores, and whether all of them are codes; None where the JSON is unreadable.

    Taken are `["1A","2B"]` and `{"1A":"Yes"}`; null, blank and "null" are not factors (mapping 7.1).
    """
    if text.strip().lower() in ("", "null"):
        return (), True
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    if isinstance(value, dict):
        value = [name for name, answer in value.items() if str(answer).strip().upper() == "YES"]
    if not isinstance(value, list):
        return None
    accepted = _accepted(_FACTORS_PATH)
    codes = [item if type(item) is str and item in accepted else _factor(item) for item in value]
    return tuple(code for code in codes if code), all(codes)


def _factor(item: Any) -> str:
    found = str(item).strip().upper()
    return found if found in _accepted(_FACTORS_PATH) else BLANK


def limited_factors(codes: list[str]) -> tuple[list[str], bool, bool]:
    """Return each factor once, 21 (none) only alone, 41 at most; whether 21 was left out; whether some were cut."""
    once = list(dict.fromkeys(codes))
    drops_21 = len(once) > 1 and _NO_FACTOR in once
    if drops_21:
        once.remove(_NO_FACTOR)
    return once[:_MOST_FACTORS], drops_21, len(once) > _MOST_FACTORS


_EPISODE = "social_care_episodes[]."
_UNKNOWN_REASON_PATH = "child_details.unique_pupil_number_unknown_reason"
_REFERRAL_SOURCE_PATH = _EPISODE + "referral_source"
_FACTORS_PATH = _EPISODE + "child_and_family_assessments[].factors[]"
_END_REASON_PATH = _EPISODE + "child_looked_after_placements[].end_reason"
