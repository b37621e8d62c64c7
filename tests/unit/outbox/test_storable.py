"""Values as every database can hold them: whole characters, times within bounds, and all else untouched."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_pipeline.outbox.storable import are_storable, nearest, storable
from tests.support.effort import examples

NOW = datetime(2026, 11, 27, 2, 0, 0)  # noqa: DTZ001 - database times have no zone
EMOJI = "\U0001f600"


@pytest.mark.parametrize("text", ["", "Zoë", f"smile {EMOJI}", '{"a": "b"}'])
def test_text_of_whole_characters_is_stored_as_it_is(text: str) -> None:
    assert storable(text, NOW) == text


def test_half_a_character_is_replaced_and_the_rest_is_kept() -> None:
    assert storable("a\ud83d b\ude00 Zoë", NOW) == "a\ufffd b\ufffd Zoë"


def test_two_halves_side_by_side_become_the_character_they_mean() -> None:
    assert storable("a\ud83d\ude00b", NOW) == f"a{EMOJI}b"


def test_null_character_is_replaced_and_others_of_the_text_are_kept() -> None:
    assert storable(f"a\x00{EMOJI}", NOW) == f"a\ufffd{EMOJI}"


@pytest.mark.parametrize(
    "time",
    [datetime(1900, 1, 1), datetime(2079, 6, 5, 23, 59, 59), NOW],  # noqa: DTZ001
)
def test_time_that_the_narrowest_type_holds_is_stored_as_it_is(time: datetime) -> None:
    assert storable(time, NOW.replace(year=2027)) == time


@pytest.mark.parametrize(
    "time",
    [datetime(1, 1, 1), datetime(1899, 12, 31, 23, 59, 59), datetime(2079, 6, 6), datetime(9999, 1, 1)],  # noqa: DTZ001
)
def test_time_out_of_bounds_becomes_the_time_of_the_write_back(time: datetime) -> None:
    assert storable(time, NOW) == NOW


@pytest.mark.parametrize("value", [None, 7, True, b"\x00\xff"])
def test_values_of_other_types_are_never_changed(value: object) -> None:
    assert storable(value, NOW) is value
    assert nearest(value, NOW) is value


def test_refused_text_is_replaced_by_one_in_ascii_as_json_writes_it() -> None:
    assert nearest(f"Zoë {EMOJI} plain", NOW) == "Zo\\u00eb \\ud83d\\ude00 plain"


def test_refused_half_of_a_character_is_replaced_before_it_is_escaped() -> None:
    assert nearest("a\ud83d", NOW) == "a\\ufffd"


@settings(max_examples=25)
@given(st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.integers(), max_size=2))
def test_payload_in_ascii_means_the_same_as_before(payload: dict[str, object]) -> None:
    text = json.dumps(payload, ensure_ascii=False)

    stored = nearest(text, NOW)

    assert isinstance(stored, str)
    assert stored.isascii()
    assert json.loads(stored) == payload


def test_refused_time_becomes_the_time_of_the_write_back() -> None:
    assert nearest(datetime(2026, 1, 1), NOW) == NOW  # noqa: DTZ001


def test_nearest_text_holds_no_null_character_even_where_all_else_is_ascii() -> None:
    assert nearest("An\0 is odd", NOW) == "An\\ufffd is odd"


@settings(max_examples=examples(60, 600))
@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(st.characters(), max_size=4), st.integers(), st.none()),
            st.one_of(st.none(), st.datetimes(datetime(1899, 12, 30), datetime(2079, 6, 7))),  # noqa: DTZ001
        ),
        max_size=4,
    )
)
def test_rows_are_storable_together_where_each_value_is(rows: list[tuple[object, object]]) -> None:
    each = all(storable(value, NOW) == value for row in rows for value in row if value != NOW)

    assert are_storable(rows) is each
