"""An answer read from its file gives what it gives in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_pipeline.xporter.wire.big_json import BadJson, FileRows, loads, read_members

_texts = st.text(alphabet=st.sampled_from('ab"\\{}[]:,é \n'), max_size=6)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | _texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_texts, inner, max_size=2),
    max_leaves=4,
)
_rows = st.lists(st.dictionaries(_texts, _values, max_size=3), max_size=4)
_bodies = st.dictionaries(
    st.sampled_from(["Students", "meta", "__pagination__", "Message"]), _rows | st.none() | st.integers(-9, 9) | _texts
)


def _plain(members: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, FileRows) else value for name, value in members.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_bodies, st.booleans(), st.booleans())
def test_file_and_memory_give_the_same_members(
    tmp_path: Path, body: dict[str, Any], wrapped: bool, spaced: bool
) -> None:
    whole = {"TrackingId": "1", "DataSet": body, "After": [1]} if wrapped else body
    path = tmp_path / "body.json"
    path.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2 if spaced else 0))
    expected = {"TrackingId": "1", **body, "After": [1]} if wrapped else body
    assert _plain(dict(read_members(path))) == expected


def test_rows_are_read_as_often_as_they_are_gone_through(tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(orjson.dumps({"Students": [{"Id": 1}, {"Id": 2}]}))
    rows = read_members(path)["Students"]
    assert isinstance(rows, FileRows)
    assert [list(rows), list(rows), len(rows)] == [[{"Id": 1}, {"Id": 2}], [{"Id": 1}, {"Id": 2}], 2]


@pytest.mark.parametrize("text", [b"", b'{"Students": [{"Id": 1}', b"<html>"])
def test_a_cut_body_is_an_error(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(text)
    with pytest.raises(BadJson):
        read_members(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        b'{"Students":[{"a":"' + b"x" * (8 * 1024 * 1024) + b'"}]}',
        b'{"Message":"' + b"x" * (8 * 1024 * 1024) + b'"}',
        b'{"Message":[' + b"[]," * 500_000 + b"[]]}",
    ],
    ids=["a row", "a text", "millions of lists"],
)
def test_value_that_would_take_much_memory_is_not_read(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(body)
    with pytest.raises(BadJson):
        read_members(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rb'"a\ud83d"', "a\ufffd"),
        (rb'"\uDE00b"', "\ufffdb"),
        (rb'["\ud83d\ude00", "\ud83d"]', ["\U0001f600", "\ufffd"]),
    ],
)
def test_half_a_letter_spoils_no_answer(text: bytes, expected: object) -> None:
    assert loads(text) == expected


def test_row_of_a_file_that_is_not_json_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(b'{"Students": [{"Id": 1}, {"Id": }]}')
    with pytest.raises(BadJson):
        list(read_members(path)["Students"])


def test_two_long_ids_stay_two() -> None:
    found = loads(b'[{"Id": 100000000000000000001, "Points": 3, "Share": 0.5}, {"Id": 100000000000000000002}]')
    assert found == [
        {"Id": "100000000000000000001", "Points": 3, "Share": 0.5},
        {"Id": "100000000000000000002"},
    ]
