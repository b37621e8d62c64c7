"""The check letter of a unique pupil number (UPN). Pure."""

from __future__ import annotations

from operator import mul

# I, O and S are left out, because they look like digits.
LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
_VALUES = {sign: value for signs in ("0123456789", LETTERS) for value, sign in enumerate(signs)}
_WEIGHTS = range(2, 14)


def check_letter(signs: str) -> str:
    """Return the letter that stands before 12 signs: digits, of which the last may be a letter (a temporary UPN)."""
    return LETTERS[sum(map(mul, map(_VALUES.__getitem__, signs), _WEIGHTS)) % len(LETTERS)]
