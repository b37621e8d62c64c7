"""Characters that come along when a value is copied out of Word, Teams or a PDF, such as an invisible space."""

from __future__ import annotations

import unicodedata

_QUOTES = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u00ab\u00bb"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"


def copied_sign(text: str) -> str:
    """Return the first such character in words, such as "an invisible sign (U+200B)"; "" where there is none.

    Letters of any language are allowed. So is a blank at the beginning or the end, which is taken off before.
    """
    for letter in text:
        kind = _kind(letter)
        if kind:
            return f"{kind} (U+{ord(letter):04X})"
    return ""


def without_invisible_signs(text: str) -> str:
    """Return `text` without its invisible characters."""
    return "".join(letter for letter in text if not _is_invisible(letter))


def _kind(letter: str) -> str:
    if letter.isascii():
        return ""
    if _is_invisible(letter):
        return "an invisible sign"
    if letter in _QUOTES:
        return "a curly quotation mark"
    if letter in _DASHES:
        return "a dash that is not a minus"
    return "a blank that is not an ordinary one" if unicodedata.category(letter) == "Zs" else ""


def _is_invisible(letter: str) -> bool:
    return not letter.isascii() and unicodedata.category(letter) == "Cf"
