"""Null characters are taken out of a text, and nothing else."""

from __future__ import annotations

from api_pipeline.common.null_characters import without_null_characters


def test_null_characters_alone_are_taken_out() -> None:
    assert without_null_characters("\x00a\x01\x00b") == "a\x01b"
    assert without_null_characters("plain") == "plain"
