"""Texts that come from outside, as every database takes them. Pure."""

from __future__ import annotations


def without_null_characters(text: str) -> str:
    """Return a text without null characters: PostgreSQL takes none, and the other databases show none."""
    return text.replace("\x00", "") if "\x00" in text else text


def stored_text(value: object, most: int) -> str:
    """Return a value of an answer as a text that every database takes, of at most `most` letters; "" for None."""
    return "" if value is None else without_null_characters(str(value))[:most]
