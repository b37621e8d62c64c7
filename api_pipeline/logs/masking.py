"""Take personal values out of the receiver's error texts before such a text is logged or printed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import resources
from itertools import islice
from typing import TypeAlias
from urllib.parse import unquote

from api_pipeline.api_response import Source, read
from api_pipeline.logs.plain_text import harmless
from api_pipeline.payloads.shape import property_names
from api_pipeline.sql.connection_string import HIDDEN

Mask: TypeAlias = Callable[[str, str | None], str]
"""Takes the values out of an answer; the second text is the record's payload, None where it is not at hand."""
LONGEST = 1000
"""Letters of a masked text that are kept: enough to see the rule, whatever page a proxy sends."""

_LONGEST_READ = 100_000
_MOST_ATTEMPTS = 50
_MOST_LAYERS = 4
_SHORTEST_HIDDEN_NUMBER = 4

# The patterns are compiled when a text is first masked: it takes 3 milliseconds, and most runs mask none.
_QUOTED = (
    r"""(?s)(?:"(?:[^"\\]|\\.)*"?|(?<!\w)'(?:[^']|(?<=\w)'(?=\w))*'?|`[^`]*`?|\u201c[^\u201d]*\u201d?"""
    r"""|\u2018(?:[^\u2019]|\u2019(?=\w))*\u2019?|\u00ab[^\u00bb]*\u00bb?)"""
)
_EMAIL = r"(?<!\S)[^\s@]*@\S*"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
# Day and month beside a year of four digits, whatever stands between them; the position of a record has brackets.
_BETWEEN = r"[^\w\[\]]{1,3}"
_DATE = (
    rf"(?i)\b\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}(?:[T ]\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?)?"
    rf"|\b\d{{4}}{_BETWEEN}\d{{1,2}}{_BETWEEN}\d{{1,2}}\b|\b\d{{1,2}}{_BETWEEN}\d{{1,2}}{_BETWEEN}\d{{4}}\b"
    rf"|\b\d{{1,2}} \d{{1,2}} \d{{2}}\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)?[ -]{_MONTH}\b(?:[ ,-]+\d{{2,4}}\b(?![-/.]\d))?"
    rf"|\b{_MONTH}[ -]\d{{1,2}}(?:st|nd|rd|th)?\b(?:[ ,-]+\d{{2,4}}\b(?![-/.]\d))?"
)
_POSTCODE = r"(?i)\b[A-Z]{1,2}\d[A-Z\d]?\s*\d[A-Z]{2}\b"
_NUMBER_IN_GROUPS = r"\b\d(?:[ -]?\d){5,}\b"
# Letters as their numbers (113, 117, ...) and digits one by one; the position of a record stands in brackets.
_SPELLED = r"(?<!\w)\d{2,3}(?:[^\w\[\]]{1,3}\d{2,3}){2,}(?!\w)|(?<!\w)\d{1,3}(?:[^\w\[\]]{1,12}\d{1,3}){4,}(?!\w)"
_FEWEST_SPELLED = 3
# A date that is taken apart, such as {"month": 3, "birthDay": 2}: these words among those of a member's name.
_PARTS_OF_DATE = frozenset({"day", "month", "year", "dd", "mm", "yy", "yyyy"})
_NUMBER_ALONE = r"[^a-zA-Z\d]*\d[^a-zA-Z]*"
_WORDS_OF_NAME = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+"
_WORD = r"\w+(?:['\u2019]\w+)*"
_UNKNOWN_MEMBERS = r"(unknown members: )([^;]*)"
_TAG = r"<[^<>]{0,500}>"
_ESCAPE = r"\\u\{?([0-9a-fA-F]{4,6})\}?|\\x([0-9a-fA-F]{2})|%u([0-9a-fA-F]{4})"
_PARTS = r"['\u2019_]"
_PATH_SIGNS = r"[\[\]./$]+"
# What a rule may say with a capital, and no family name among it.
_RULE_WORDS = frozenset(
    """
    A And Any Array At Bad Be Boolean But By Cannot Code Content Could Data Date Does Duplicate Each Empty Enum Error
    Errors Expected Failed Failure Failures False First For Forbidden Format From GUID Got HTML HTTP HTTPS Has ID If In
    Incorrect Input Instance Integer Internal Invalid Is It Item Items JSON Last Length Maximum Message Minimum Missing
    Must NULL None Not Null Number Object Of On One Only Or Path Pattern Payload Property Properties Reason Receipt
    Record Records Request Required Response Rule Schema Server Service Should Status String Supplied Text The There
    This Title Too Trace True Type UPN URL UTC UTF UUID Unauthorized Unauthorised Unexpected Unique Unknown
    Unprocessable Unsupported Validation Value Values Was Were XML You Your
    additionalProperties anyOf allOf oneOf exclusiveMaximum exclusiveMinimum maxItems maxLength minItems minLength
    multipleOf statusCode traceId errorCode activityId uniqueItems
    READ_TIMEOUT_S CONNECT_TIMEOUT_S TLS MiB KiB
    UN1 UN2 UN3 UN4 UN5 UN6 UN7 UN8 UN9 UN10 sha256 utf8 base64
    """.split()  # noqa: SIM905 - as a list it would fill pages
)


def mask_values(text: str, payload: str | None = None) -> str:
    """Return an error text of the receiver without values: rule words, JSON paths, short numbers and codes stay.

    A word stays when rules are made of it (`data/rule_words.txt`, property names); every other one goes, and so do
    quotations, dates, postcodes, e-mail addresses, numbers of four digits and more, and every word that the refused
    record itself has, where its `payload` is given, in any case of letters. What hides a word from a reader of the
    text (entities, percent and `\\u` escapes, tags, invisible signs) is undone first (contract 6). A JSON text keeps
    its form. The result is on one line and has at most `LONGEST` letters and an ellipsis.

    The reasons of our own check stay whole: patterns and codes in them are the rule itself. Only the
    names of unknown members, which come from the payload, are masked like any word.
    """
    text = text[:_LONGEST_READ]
    own = _words_of(payload) if payload else frozenset()
    if read(text).source is Source.CHECK:
        masked = re.sub(_UNKNOWN_MEMBERS, lambda found: found[1] + _mask_text(found[2], own), text)
        return _shortened(harmless(masked))
    pieces: list[str] = []
    position = 0
    for opening in islice(re.finditer(r"[\[{]", text), _MOST_ATTEMPTS):
        if opening.start() < position:
            continue
        try:
            value, end = json.JSONDecoder().raw_decode(text, opening.start())
            if not _is_message(value):
                continue
            masked = json.dumps(_mask_json(value, own), ensure_ascii=False)
        except (ValueError, RecursionError):
            # What is nested too deep to be gone through is masked as the text that it is.
            continue
        pieces.append(_mask_text(text[position : opening.start()], own))
        pieces.append(masked)
        position = end
    pieces.append(_mask_text(text[position:], own))
    return _shortened("".join(pieces))


def _shortened(text: str) -> str:
    masked = " ".join(text.split())
    return masked if len(masked) <= LONGEST else masked[:LONGEST] + "..."


def _is_message(value: object) -> bool:
    """Return whether a decoded JSON value is a message rather than the position of a record, such as [3]."""
    if isinstance(value, list):
        return any(not isinstance(item, int) for item in value)
    return isinstance(value, dict)


def _mask_json(value: object, own: frozenset[str], *, is_of_date: bool = False) -> object:
    """Return a decoded value masked; `is_of_date` says that it stands in a part of a date, at whatever depth."""
    if isinstance(value, dict):
        return {
            _mask_text(key, own): _mask_json(item, own, is_of_date=is_of_date or _is_part_of_date(key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        if sum(1 for item in value if _is_short_number(item)) >= _FEWEST_SPELLED:
            return [HIDDEN]
        return [_mask_json(item, own, is_of_date=is_of_date) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if is_of_date and re.fullmatch(_NUMBER_ALONE, str(value)):
        return HIDDEN
    if isinstance(value, str):
        return _mask_text(value, own)
    return value if len(str(value)) < _SHORTEST_HIDDEN_NUMBER else HIDDEN


def _is_part_of_date(name: str) -> bool:
    return any(word.lower() in _PARTS_OF_DATE for word in re.findall(_WORDS_OF_NAME, name))


def _is_short_number(value: object) -> bool:
    return isinstance(value, (int, str)) and re.fullmatch(r"\d{1,4}", str(value)) is not None


def _mask_text(text: str, own: frozenset[str]) -> str:
    text = _undone(text)
    text = re.sub(_QUOTED, _mask_quoted, text)
    for pattern in (_EMAIL, _DATE, _POSTCODE, _NUMBER_IN_GROUPS, _SPELLED):
        text = re.sub(pattern, HIDDEN, text)
    return re.sub(_WORD, lambda match: match[0] if _may_stay(match[0], own) else HIDDEN, text)


def _undone(text: str) -> str:
    """Return `text` as a reader sees it: with entities, escapes and tags decoded, until nothing changes any more."""
    # It takes 2 milliseconds, and most runs mask nothing.
    import html

    for _ in range(_MOST_LAYERS):
        plain = re.sub(_TAG, "", re.sub(_ESCAPE, _unescaped, html.unescape(text)))
        plain = harmless(unquote(plain, errors="replace") if "%" in plain else plain)
        if plain == text:
            break
        text = plain
    return text


def _unescaped(match: re.Match[str]) -> str:
    code = int(match[1] or match[2] or match[3], 16)
    return chr(code) if code <= sys.maxunicode else "\ufffd"


def _mask_quoted(match: re.Match[str]) -> str:
    inner = match[0].strip("\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb")
    parts = [part for part in re.split(_PATH_SIGNS, inner) if part]
    if parts and all(part in property_names() or re.fullmatch("[0-9]{1,3}", part) for part in parts):
        return match[0]
    return f"'{HIDDEN}'"


def _may_stay(word: str, own: frozenset[str]) -> bool:
    if word in property_names():
        return True
    if any(part in own for part in re.split(_PARTS, word.casefold())):
        return False
    if word.isascii() and word.isdigit():
        return len(word) < _SHORTEST_HIDDEN_NUMBER
    return word in _RULE_WORDS or word in _plain_words()


def _words_of(payload: str) -> frozenset[str]:
    """Return the words of a record's own values, casefolded; single letters and numbers are none."""
    try:
        values = list(_texts_in(json.loads(payload)))
    except (ValueError, RecursionError):
        values = [payload]
    words = (word.casefold() for value in values for word in re.findall(r"[^\W\d_]{2,}", value))
    names = property_names()
    return frozenset(word for word in words if word not in names)


def _texts_in(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str):
            yield item


@lru_cache(maxsize=1)
def _plain_words() -> frozenset[str]:
    """Return the words in lower case that rules are made of, and the parts of the payload's property names."""
    text = resources.files("api_pipeline.data").joinpath("rule_words.txt").read_text("utf-8")
    listed = (word for line in text.splitlines() if not line.startswith("#") for word in line.split())
    return frozenset(listed) | {part for name in property_names() for part in name.split("_") if part.isalpha()}
