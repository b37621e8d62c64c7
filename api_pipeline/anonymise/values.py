"""How single values of a payload are read and compared. Pure."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from datetime import date
from functools import cache, lru_cache

from api_pipeline.payloads.schema_check import code_list

SCORES = range(41)
# Letters beyond ASCII that some invented names have; each takes two bytes in UTF-8, as the capital does.
FOREIGN_VOWELS = "\u00e9\u00f3\u0175"

_FIRST_DAY = date.min.toordinal()
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NOT_A_SIGN = re.compile(r"[\W_]+")
_LINE = "\n"
_SMALL = bytes(range(256)).lower()
# The capitals of the foreign vowels differ from them in the second byte alone. Other letters with that byte are taken
# for each other here, which does no harm: of two names that differ so, neither is invented where the other stands.
_FOLDED = _SMALL.translate(bytes.maketrans(FOREIGN_VOWELS.upper().encode()[1::2], FOREIGN_VOWELS.encode()[1::2]))
_ASCII_SIGNS = bytes(set(range(128)) - set((string.ascii_letters + string.digits + _LINE).encode()))


def normalised(value: object) -> str:
    """Return a value as it is compared: letters and digits alone, whatever their case."""
    text = str(value)
    return (text if text.isalnum() else _NOT_A_SIGN.sub("", text)).casefold()


def all_normalised(values: Iterable[object]) -> set[str]:
    """Return what `normalised` makes of several values, without the empty text."""
    texts = list(map(str, values))
    joined = _LINE.join(texts)
    if joined.count(_LINE) >= len(texts):
        joined = _LINE.join(text.replace(_LINE, "") for text in texts)
    # ASCII all at once: a fifth of the time that one by one takes.
    signs = joined.encode("utf-8", "surrogatepass").translate(_SMALL, _ASCII_SIGNS)
    found = set(signs.decode("utf-8", "surrogatepass").split(_LINE))
    if not joined.isascii():
        found = {text if text.isascii() else normalised(text) for text in found}
    found.discard("")
    return found


def small_letters(text: bytes) -> bytes:
    """Return a text in UTF-8 with those letters made small that an invented name can have."""
    return text.translate(_FOLDED)


# A council's records hold a few thousand different days, and each many times.
@lru_cache(maxsize=20_000)
def day_of(value: str) -> int | None:
    """Return the number of the day that a date stands for (YYYY-MM-DD, as in the schema), None for any other text."""
    if not _DATE.fullmatch(value):
        return None
    try:
        return date.fromisoformat(value).toordinal()
    except ValueError:
        return None


@lru_cache(maxsize=20_000)
def date_on(day: int) -> str | None:
    """Return the date of a day by its number, None before the calendar begins."""
    return date.fromordinal(day).isoformat() if day >= _FIRST_DAY else None


@cache
def listed(name: str) -> frozenset[str]:
    """Return the codes of the list `name`."""
    return frozenset(code_list(name))
