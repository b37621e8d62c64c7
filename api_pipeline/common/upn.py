"""The check letter of a unique pupil number (UPN). Pure."""

from __future__ import annotations

from operator import mul

# I, O and S are left out, because they look like digits.
LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
_VALUES = {sign: value for signs in ("0123456789", LETTERS) for value, sign in enumerate(signs)}
_WEIGHTS = range(2, 14)


def check_letter(signs: str) -> str:
    """Return the check letter of a UPN, which stands first, from the 12 characters that follow it.

    These are digits; the last may be a letter, in a temporary UPN.
    """
    return LETTERS[sum(map(mul, map(_VALUES.__getitem__, signs), _WEIGHTS)) % len(LETTERS)]
