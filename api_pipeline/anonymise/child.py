"""What is invented for one child: names, postcodes, numbers, codes and one shift of all dates, by the key of the run.

The same value of the same child becomes the same invention, in whatever payload it stands, and two values become two:
so what is a change between two payloads stays one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Sequence
from datetime import date, timedelta
from functools import cache, lru_cache
from itertools import count

from api_pipeline.anonymise.fields import drawn_codes, kept_codes
from api_pipeline.anonymise.keyed import RunKey, shuffled
from api_pipeline.payloads.schema_check import code_list
from api_pipeline.sandbox.invented_children import invented_upn

LEAST_SHIFT_DAYS, MOST_SHIFT_DAYS = 28, 364
SCORES = range(41)

_LONGEST_IDENTIFIER = 20
_LONGEST_DATE = 10
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NOT_A_SIGN = re.compile(r"[\W_]+")
_CONSONANTS, _VOWELS, _SYLLABLES = "bdfghjklmnprstvz", "aeiou\u00e9\u00f3\u0175", 4
# No postcode area of the United Kingdom begins with Q, V or X. No X behind a digit: 0x trips a firewall.
_AREAS, _LETTERS = "QVX", "ABDEFGHJLNPQRSTUWYZ"


def normalised(value: object) -> str:
    """Return a value as it is compared: letters and digits alone, whatever their case."""
    text = str(value)
    return _short(text) if len(text) <= _LONGEST_DATE else _bare(text)


def _bare(text: str) -> str:
    return (text if text.isalnum() else _NOT_A_SIGN.sub("", text)).casefold()


# Most values are dates and codes, of which a council's records hold a few thousand, and each many times.
_short = lru_cache(maxsize=20_000)(_bare)


def read_date(value: object) -> date | None:
    """Return a date written as the schema has it (YYYY-MM-DD), None for anything else."""
    return _date_of(value) if isinstance(value, str) else None


@lru_cache(maxsize=20_000)
def day_of(value: str) -> int | None:
    """Return the number of the day that a date stands for, None for a text that is none."""
    found = _date_of(value)
    return None if found is None else found.toordinal()


# A council's records hold a few thousand different days, and each many times.
@lru_cache(maxsize=20_000)
def _date_of(text: str) -> date | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


class Child:
    """The inventions for one child. `taken` are the original's values (normalised), none of which is invented again."""

    def __init__(self, key: RunKey, la_child_id: str, taken: Collection[str]) -> None:
        self._key = key
        self._child = la_child_id
        self._taken = taken
        # What was made already: most values stand in both payloads of a row.
        self._made: dict[tuple[str | int, str], str] = {}
        self._dates: dict[str, str | None] = {}
        self._images: dict[str, dict[str, str]] = {}
        self._scores: list[int] = []
        days = LEAST_SHIFT_DAYS + key.number("dates", la_child_id) % (MOST_SHIFT_DAYS - LEAST_SHIFT_DAYS + 1)
        # Backwards only, so that nothing comes to lie in the future that did not lie there.
        self._shift = timedelta(days=-days)

    def identifier(self, value: str, longest: int) -> str:
        """Return the identifier that stands for `value` in this run, for whichever child: workers have many."""
        length = min(longest or _LONGEST_IDENTIFIER, _LONGEST_IDENTIFIER)
        # By far the most frequent: the first attempt without what leads to the others. It is letters and digits alone.
        known = self._made.get((length, value))
        if known is None:
            known = self._key.identifier(length, "identifier", value, "0")
            if known.casefold() not in self._taken:
                self._made[length, value] = known
                return known
        return self._fresh(length, value, lambda attempt: self._key.identifier(length, "identifier", value, attempt))

    def name(self, value: str) -> str:
        """Return an invented name; some have letters that a rehearsal should meet."""
        return self._fresh("name", value, lambda attempt: _name(self._number("name", value, attempt)))

    def postcode(self, value: str) -> str:
        """Return a postcode that nobody has."""
        return self._fresh("postcode", value, lambda attempt: _postcode(self._number("postcode", value, attempt)))

    def upn(self, value: str) -> str:
        """Return a unique pupil number of the census's form."""
        return self._fresh("upn", value, lambda attempt: _upn(self._number("upn", value, attempt)))

    def date(self, value: str) -> str | None:
        """Return a date moved by the child's shift, None for a text that is none, or where the calendar ends before."""
        if value not in self._dates:
            found = read_date(value)
            try:
                self._dates[value] = None if found is None else (found + self._shift).isoformat()
            except OverflowError:
                self._dates[value] = None
        return self._dates[value]

    def code(self, name: str, value: str) -> str:
        """Return a code of the list `name`; a text that is not in the list becomes any of its codes."""
        listed = self._images_of(name).get(value)
        return self.codes(name, [value])[0] if listed is None else listed

    def codes(self, name: str, values: Sequence[str]) -> list[str]:
        """Return codes of the list for several values: as many different ones, as long as the list has enough."""
        listed = self._images_of(name)
        images = {value: listed[value] for value in values if value in listed}
        for value in values:
            if value not in images:
                order = list(listed.values())[: len(drawn_codes(name))]
                images[value] = _unused(order, self._number("code", name, value), set(images.values()))
        return [images[value] for value in values]

    def score(self, value: int) -> int:
        """Return another score of the census's range, and a different one for a different score of it."""
        order = self._scores = self._scores or shuffled(SCORES, self._number("scores"))
        place = order.index(value) if value in SCORES else self._number("score", str(value))
        return order[(place + 1) % len(order)]

    def _images_of(self, name: str) -> dict[str, str]:
        """Return what each code of a list becomes for this child; those that are drawn come first."""
        images = self._images.get(name)
        if images is None:
            pool = drawn_codes(name)
            drawn = dict(zip(pool, shuffled(pool, self._number("codes", name)), strict=True))
            images = self._images[name] = drawn | {code: code for code in kept_codes(name)}
        return images

    def _number(self, *parts: str) -> int:
        return self._key.number(self._child, *parts)

    def _fresh(self, kind: str | int, value: str, make: Callable[[str], str]) -> str:
        known = self._made.get((kind, value))
        if known is None:
            known = make("0")
            if normalised(known) in self._taken:
                known = next(made for attempt in count(1) if normalised(made := make(str(attempt))) not in self._taken)
            self._made[kind, value] = known
        return known


@cache
def listed(name: str) -> frozenset[str]:
    """Return the codes of the list `name`."""
    return frozenset(code_list(name))


def _unused(order: Sequence[str], number: int, used: Collection[str]) -> str:
    start = number % len(order)
    turned = [*order[start:], *order[:start]]
    return next((code for code in turned if code not in used), turned[0])


def _name(number: int) -> str:
    signs = []
    for _ in range(_SYLLABLES):
        number, consonant = divmod(number, len(_CONSONANTS))
        number, vowel = divmod(number, len(_VOWELS))
        signs += [_CONSONANTS[consonant], _VOWELS[vowel]]
    return "".join(signs).capitalize()


def _postcode(number: int) -> str:
    number, area = divmod(number, len(_AREAS))
    number, second = divmod(number, len(_LETTERS))
    number, district = divmod(number, 99)
    number, sector = divmod(number, 10)
    number, first = divmod(number, len(_LETTERS))
    last = number % len(_LETTERS)
    return f"{_AREAS[area]}{_LETTERS[second]}{district + 1} {sector}{_LETTERS[first]}{_LETTERS[last]}"


def _upn(number: int) -> str:
    return invented_upn(random.Random(number))  # noqa: S311 - the keyed hash is what cannot be guessed
