"""Texts that are nearly JSON, and objects with a member twice: what is said of them, without a value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.payloads.reading import PayloadError, parse_payload

GOOD = '{"la_child_id": "C7", "child_details": {"surname": "Quillfeather", "sex": "F"}}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\ufeff" + GOOD, "byte order mark"),
        ("\u2003" + GOOD, "kind of blank"),
        (json.dumps(GOOD), "a text in a text"),
        (f"[{GOOD}, {GOOD}]", "an array of 2"),
        ("12", "a single value"),
        (GOOD[:-1] + ", }", r"a comma with nothing after it \(line 1, column \d+\)"),
        (GOOD.replace('"F"', "NaN"), r"NaN or Infinity is not a JSON value \(line 1, column \d+\)"),
        (GOOD.replace('"F"', "-Infinity"), "NaN or Infinity"),
        (GOOD[:40], "cut off: it ends in the middle, after 40 characters"),
        (GOOD[:-1], "cut off"),
        (GOOD.replace('"', "'"), r"single quotes where JSON has double quotes \(line 1, column 2\)"),
        (GOOD.replace(", ", ", /* x */ ", 1), "a comment"),
        (GOOD.replace(", ", " ", 1), "a comma or the end is missing"),
        (GOOD.replace("Quill", "Quill\n"), "a line break, tab or control character inside a text"),
        (GOOD.replace("Quill", "Quill\\x"), "a backslash before a character"),
        (GOOD + GOOD, "something more follows"),
        (GOOD + "\u00a0\r\n", r"a kind of blank that JSON does not know follows after its end \(line 1"),
        (GOOD.replace('"F"', "9" * 5000), "a number beyond all bounds"),
        (GOOD.replace('"F"', "9" * 400), r"a number beyond all bounds \(line 1, column \d+\)"),
        (GOOD.replace("Quill", "section: 1.2.3e4 \\ud83d"), "half of a character"),
        (GOOD.replace("Quill", "Quill\\ud83d"), "half of a character"),
        ("\n\n" + GOOD.replace("{", "{#", 1), r"a comment \(line 3, column 2\)"),
        ("", "cut off"),
        (
            GOOD.replace('"F"', "-2.5E+999").replace("Quill", "\\ud83d\\ude00"),
            r"a number beyond all bounds \(line 1, column \d+\)",
        ),
    ],
)
def test_reason_says_where_and_what_without_a_value(text: str, words: str) -> None:
    with pytest.raises(PayloadError, match=words) as refused:
        parse_payload(text)

    assert "Quillfeather" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"la_child_id": "A", "la_child_id": "C7"}', r"\$\.la_child_id"),
        ('{"la_child_id": "A", "child_details": {"sex": "F", "s\\u0065x": "M"}}', r"\$\.child_details\.sex"),
        ('{"la_child_id": "A", "list": [{"a": 1}, {"a": 1, "b": "\\u0022\\u0022", "a": 2}]}', r"\$\.list\[1\]\.a"),
        ('{"la_child_id": "A", "Smith Anne": 1, "Smith Anne": 1}', r"\$\.\(unknown member\)"),
    ],
)
def test_member_twice_is_invalid_and_its_path_named(text: str, path: str) -> None:
    with pytest.raises(PayloadError, match=f"a member twice in one object: {path}$"):
        parse_payload(text)


_NAMES = st.sampled_from(["a", "b", 'q"', "é"])
_VALUES = st.recursive(
    st.sampled_from([None, 1, True, "", '"', "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(value=st.dictionaries(_NAMES, _VALUES, max_size=4), repeats=st.booleans(), escaped=st.booleans())
def test_object_is_refused_if_and_only_if_a_member_stands_twice(
    value: dict[str, object], repeats: bool, escaped: bool
) -> None:
    text = json.dumps({"la_child_id": "A", "inner": value, "quote": '"'}, ensure_ascii=escaped)
    if escaped:
        text = text.replace('\\"', "\\u0022")
    if repeats:
        text = text.replace('"inner": {', '"inner": {"a": 1, "a": 1, ' if value else '"inner": {"a": 1, "a": 1')
        with pytest.raises(PayloadError, match="twice"):
            parse_payload(text)
    else:
        assert parse_payload(text).la_child_id == "A"


def test_child_id_with_a_control_character_is_refused() -> None:
    with pytest.raises(PayloadError, match="control character"):
        parse_payload('{"la_child_id": "A\\u0000B"}')
