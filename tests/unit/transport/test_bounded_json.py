"""JSON with more values than an answer has use for is not read."""

from __future__ import annotations

import pytest

from api_pipeline.transport.bounded_json import MOST_VALUES, TooManyValues, read_json


def test_json_is_read_with_and_without_a_byte_order_mark() -> None:
    assert read_json(b'{"a":[1]}') == {"a": [1]} == read_json(b'\xef\xbb\xbf{"a":[1]}')


def test_too_many_values_are_not_read() -> None:
    most = b"[" + b"1," * (MOST_VALUES - 1) + b"1]"
    assert len(read_json(most)) == MOST_VALUES
    with pytest.raises(TooManyValues):
        read_json(b"[" + most[1:-1] + b",1]")
