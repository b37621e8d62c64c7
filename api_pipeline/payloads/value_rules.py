"""Values that are valid but may not be meant: warnings, never refusals.

Example: the date 1900-01-01, which a database writes where it has none. Nearly every payload has no such value. So the
text is searched once, and the values are looked at only where the search finds something. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from api_pipeline.payloads.census_rules import CONTROL_SIGN, DEFAULT_DATE, NOT_WHOLE, as_findings, step_to
from api_pipeline.payloads.finding import Finding

# Years of which no child, and nothing that happened to one, is: 1900-01-01 and 9999-12-31 stand for "no date" in many
# systems.
_YEARS = r"(?:0\d{3}|1[0-8]\d\d|190\d|20[5-9]\d|2[1-9]\d\d|[3-9]\d{3})"
_DATE = re.compile(rf"{_YEARS}-\d\d-\d\d(?:T.*)?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# The one member of a payload that is a number, and the way to it.
_HEALTH, _SDQ, _SCORE = "health_and_wellbeing", "sdq_assessments", "score"
# What a text in UTF-8 is searched for.
_NUMBER = f'"{_SCORE}"'.encode()
_DATE_IN_TEXT = re.compile(rf'"{_YEARS}-'.encode())
_NUMBER_IN_TEXT = re.compile(rb"[:\[,]\s*-?(?:\d+[.eE]|\d{19})")
_ESCAPE_IN_TEXT = re.compile(rb"\\(?:[bf]|u00(?:[01]|7[fF]|[89]))")
_CONTROL_IN_TEXT = re.compile(rb"\xc2[\x80-\x9f]")


# What the validator of the schema looks for on its way through a payload: 3 microseconds, where a search takes 50.
DEFAULT_DATE_PATTERN = rf"^{_YEARS}-"


def value_findings(data: Mapping[str, Any], encoded: bytes | None, *, is_sound: bool = False) -> list[Finding]:
    """Return a warning for each value of a payload that is not what it seems; `encoded` is its UTF-8 text as staged.

    `is_sound` says that the validator found nothing: no number but scores, no text that begins like a default date.
    """
    is_suspect = encoded is None or _is_suspect_at_all(encoded)
    # Three look-ups say of a sound payload what a search of its text would: 1.4 microseconds instead of 52.
    if not (is_suspect or (_has_odd_score(data) if is_sound else _is_suspect(encoded or b""))):
        return []
    found = list(_broken(data, "$"))
    return as_findings(found) if found else []


def _is_suspect_at_all(encoded: bytes) -> bool:
    """Return whether a payload's text may hold a control character."""
    if b"\\" in encoded and _ESCAPE_IN_TEXT.search(encoded) is not None:
        return True
    # Those beyond ASCII begin with the byte C2; the letters of names hardly ever do.
    return b"\x7f" in encoded or (b"\xc2" in encoded and _CONTROL_IN_TEXT.search(encoded) is not None)


def _has_odd_score(data: Mapping[str, Any]) -> bool:
    """Return whether a score of a sound payload was written with a point or an exponent, or is too long."""
    if _HEALTH not in data:
        return False
    return any(type(item.get(_SCORE)) is float for item in data[_HEALTH].get(_SDQ, ()))


def _is_suspect(encoded: bytes) -> bool:
    """Return whether a payload's text may hold a default date or a number that is not whole."""
    if _DATE_IN_TEXT.search(encoded) is not None:
        return True
    return _NUMBER in encoded and _NUMBER_IN_TEXT.search(encoded) is not None


def _broken(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if _CONTROL.search(value):
            yield CONTROL_SIGN, path
        if _DATE.fullmatch(value):
            yield DEFAULT_DATE, path
    elif isinstance(value, float):
        if value.is_integer():
            yield NOT_WHOLE, path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _broken(item, f"{path}.{step_to(name)}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _broken(item, f"{path}[{position}]")
