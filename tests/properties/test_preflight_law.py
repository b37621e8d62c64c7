"""The law that the pre-flight script and `stage` judge a stored value alike: what one lists, the other cannot take."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging import conversions
from api_pipeline.staging.fields import FIELDS, Conversion, Field
from api_pipeline.staging.preflight.dialects import Sql
from api_pipeline.staging.preflight.rules import codes_of, field_rules

_SQL = Sql(Dialect.SQLITE)
_IN_CODES = {Conversion.CODE, Conversion.START_REASON, Conversion.UNKNOWN_REASON, Conversion.DISABILITIES}
_CODED = [field for field in FIELDS if field.conversion in _IN_CODES]
_IDS: dict[Conversion, Callable[[str], str | None]] = {
    Conversion.RECORD_ID: conversions.record_id,
    Conversion.ID: conversions.element_id,
    Conversion.WORKER_ID: conversions.worker_id,
}
_IDENTIFIED = [field for field in FIELDS if field.conversion in _IDS and field.name != "mis_child_id"]


@cache
def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:")


def _breaks(field: Field, text: str | None) -> bool:
    """Whether a value of the field's column breaks one of its rules, as SQLite finds."""
    # A key that stands twice needs a table.
    rules = [
        rule for rule in field_rules(field) if rule.name != "the same key twice" and rule.column == field.columns[0]
    ]
    condition = " OR ".join(f"({rule.where(_SQL)})" for rule in rules)
    columns = ", ".join(f"'' AS {name}" for name in field.columns[1:])
    row = f"SELECT ? AS {field.columns[0]}{', ' + columns if columns else ''}"
    found = _memory().execute(f"SELECT COUNT(*) FROM ({row}) AS t WHERE {condition}", [text]).fetchone()
    return bool(found[0])


def _texts(field: Field) -> st.SearchStrategy[str]:
    """Return texts near the field's codes: in any case, with blanks around them, followed by words, or anything."""
    codes = st.sampled_from(codes_of(field))
    blanks = st.sampled_from(["", " ", "  "])
    words = st.sampled_from(["", " Other", "- text", "X", " x", "1"])
    near = st.tuples(blanks, st.one_of(codes, codes.map(str.lower), codes.map(lambda code: code[:1])), words, blanks)
    anything = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
    return st.one_of(near.map("".join), anything)


@pytest.mark.parametrize("field", _CODED, ids=lambda field: field.path)
@given(data=st.data())
def test_a_code_is_listed_by_both_or_by_none(field: Field, data: st.DataObject) -> None:
    text = data.draw(_texts(field))

    assert _breaks(field, text) == (conversions.code_lookup(field.path)(text) is None)


def _field(name: str) -> Field:
    (found,) = [field for field in FIELDS if field.name == name]
    return found


@given(text=_texts(_field("referral_source")))
@example("1E")
@example(" 10 x")
def test_a_referral_source_is_listed_by_both_or_by_none(text: str) -> None:
    assert _breaks(_field("referral_source"), text) == (conversions.referral_source(text) is None)


@given(
    before=st.text(" \t\r\n", max_size=3),
    text=_texts(_field("end_reason")),
    at=st.integers(0, 4),
    inside=st.text(" \t\r\n", max_size=2),
)
@example("\t\t", "X1 Episode ceases", 0, "")
def test_an_end_reason_is_listed_by_both_or_by_none(before: str, text: str, at: int, inside: str) -> None:
    whole = before + text[:at] + inside + text[at:]

    assert _breaks(_field("end_reason"), whole) == (conversions.end_reason(whole) is None)


@given(text=st.one_of(st.sampled_from([" y ", "true", "False", "TRUE", "0"]), st.text("YNTF01 yntx", max_size=3)))
def test_a_flag_is_listed_by_both_or_by_none(text: str) -> None:
    field = _field("referral_no_further_action_flag")

    assert _breaks(field, text) == (conversions.flag(text) is None)


@pytest.mark.parametrize("field", _IDENTIFIED, ids=lambda field: field.path)
@given(text=st.text("Aa09_-/ .\u00e9", max_size=40))
def test_an_id_is_listed_by_both_or_by_none(field: Field, text: str) -> None:
    if field.conversion is Conversion.WORKER_ID and not text.strip(" "):
        return  # no number: the worker is left out, and preflight counts it

    assert _breaks(field, text) == (_IDS[field.conversion](text) is None)


@given(text=st.text("A019 ", max_size=16))
def test_a_pupil_number_is_listed_by_both_or_by_none(text: str) -> None:
    (field,) = [field for field in FIELDS if field.conversion is Conversion.EXACT]

    assert _breaks(field, text) == (conversions.pupil_number(text) is None)


@given(text=st.text('[]{}"1A,: nul', max_size=12))
def test_factors_that_the_script_lists_cannot_be_read(text: str) -> None:
    if _breaks(_field("factors"), text):
        assert conversions.stored_factors(text) is None


@given(text=st.text("0123456789-+ x.", max_size=9))
def test_a_score_that_is_taken_is_not_listed_as_no_number(text: str) -> None:
    field = _field("score")
    score = conversions.score(text)

    if isinstance(score, int) and 0 <= score <= 40 and text.strip(" ").isdigit():
        assert not _breaks(field, text)
    if score is None or score == conversions.BLANK:
        assert _breaks(field, text)
