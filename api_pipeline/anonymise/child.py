"""What is invented for one child: names, postcodes, numbers, codes and one shift of all dates, by the key of the run.

The same value of the same child becomes the same invention, in whatever payload it stands, and two values become two:
so what is a change between two payloads stays one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from api_pipeline.anonymise.fields import code_lists, drawn_codes, kept_codes
from api_pipeline.anonymise.keyed import RunKey, shuffled
from api_pipeline.anonymise.values import FOREIGN_VOWELS, SCORES, date_on, day_of, small_letters
from api_pipeline.common.upn import check_letter

LEAST_SHIFT_DAYS, MOST_SHIFT_DAYS = 28, 364

# Of the bytes that a child draws: the first for its shift, then one for each code list.
_SHIFT_BYTES = 8
_CONSONANTS, _VOWELS, _SYLLABLES = "bdfghjklmnprstvz", f"aeiou{FOREIGN_VOWELS}", 4
# No postcode area of the United Kingdom begins with Q, V or X. No X behind a digit: 0x trips a firewall.
_AREAS, _LETTERS = "QVX", "ABDEFGHJLNPQRSTUWYZ"


class Child:
    """The inventions for one child by `key`; `original` is its row's text, of which no name is invented again."""

    def __init__(self, key: RunKey, la_child_id: str, original: bytes) -> None:
        self.key = key
        self._child = la_child_id
        self._original = small_letters(original)
        self._images: dict[str, Mapping[str, str]] = {}
        self._scores: list[int] = []
        draws = key.draws(_SHIFT_BYTES + len(code_lists()), la_child_id)
        self._draws = dict(zip(code_lists(), draws[_SHIFT_BYTES:], strict=True))
        number = int.from_bytes(draws[:_SHIFT_BYTES], "big")
        # Backwards only, so that nothing comes to lie in the future that did not lie there.
        self._shift = LEAST_SHIFT_DAYS + number % (MOST_SHIFT_DAYS - LEAST_SHIFT_DAYS + 1)

    def name(self, value: str) -> str:
        """Return an invented name; some have letters that a rehearsal should meet."""
        return self._fresh(_name, "name", value)

    def postcode(self, value: str) -> str:
        """Return a postcode that nobody has."""
        return self._fresh(_postcode, "postcode", value)

    def upn(self, value: str) -> str:
        """Return a unique pupil number of the census's form."""
        # It needs no look at the original: twelve digits of a keyed hash stand nowhere else.
        return _upn(self.key.short_number(self._child, "upn", value))

    def date(self, value: str) -> str | None:
        """Return a date moved by the child's shift, None for a text that is none, or where the calendar ends before."""
        day = day_of(value)
        return None if day is None else date_on(day - self._shift)

    def code(self, name: str, value: str) -> str:
        """Return a code of the list `name`; a text that is not in the list becomes any of its codes."""
        images = self._images.get(name) or self._images_of(name)
        return images.get(value) or self.codes(name, [value])[0]

    def codes(self, name: str, values: Sequence[object]) -> list[str]:
        """Return codes of the list for several values: as many different ones, as long as the list has enough.

        A value that is not of the list's codes, or no text, becomes any of them.
        """
        images = self._images.get(name) or self._images_of(name)
        try:
            return [images[value] for value in values]  # type: ignore[index] # what is no text is no code
        except (KeyError, TypeError):
            return self._with_unlisted(name, images, list(map(str, values)))

    def score(self, value: int) -> int:
        """Return another score of the census's range, and a different one for a different score of it."""
        order = self._scores = self._scores or shuffled(SCORES, self._number("scores"))
        place = order.index(value) if value in SCORES else self._number("score", str(value))
        return order[(place + 1) % len(order)]

    def _with_unlisted(self, name: str, listed: Mapping[str, str], values: Sequence[str]) -> list[str]:
        images = {value: listed[value] for value in values if value in listed}
        for value in values:
            if value not in images:
                order = list(listed.values())[: len(drawn_codes(name))]
                images[value] = _unused(order, self._number("code", name, value), set(images.values()))
        return [images[value] for value in values]

    def _images_of(self, name: str) -> Mapping[str, str]:
        """Return what each code of a list becomes for this child; those that are drawn come first."""
        images = self.key.table(name, drawn_codes(name), self._draws[name])
        if kept := kept_codes(name):
            images = {**images, **{code: code for code in kept}}
        self._images[name] = images
        return images

    def _number(self, *parts: str | int) -> int:
        return self.key.number(self._child, *parts)

    def _fresh(self, make: Callable[[int], str], kind: str, value: str) -> str:
        """Return the first invention for `value` that is not in the original; `make` makes one of a number."""
        attempt = 0
        while True:
            made = make(self.key.short_number(self._child, kind, value, attempt))
            if small_letters(made.encode()) not in self._original:
                return made
            attempt += 1


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
    digits = f"{number % 10**12:012d}"
    return check_letter(digits) + digits
