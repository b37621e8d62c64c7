"""How the text of a payload is read, and which texts are none."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from api_pipeline.model import StagedRow
from api_pipeline.payloads.reading import PayloadError, held_text, parse_payload, read_payload

NESTED = '{"la_child_id": "C1", "a": null, "b": [null, {"c": null, "d": [[{"e": null, "f": 1}]]}]}'
WITHOUT_NULLS = {"la_child_id": "C1", "b": [None, {"d": [[{"f": 1}]]}]}


@pytest.mark.parametrize(
    ("child", "error"),
    [
        ("C" * 48, None),
        ("C" * 49, "more than 48 characters"),
        ("  \t", "no la_child_id"),
        ("", "no la_child_id"),
        (17, "no la_child_id"),
        (None, "no la_child_id"),
        ("C\u200b1", "a control character"),
    ],
)
def test_child_is_named_by_a_text_that_every_control_table_takes(child: object, error: str | None) -> None:
    text = json.dumps({"la_child_id": child})
    if error is None:
        assert parse_payload(text).la_child_id == child
    else:
        with pytest.raises(PayloadError, match=error):
            parse_payload(text)


@pytest.mark.parametrize(("mis", "read"), [("M1", "M1"), ("", None), (5, None), (None, None)])
def test_other_identifier_is_a_text_or_none(mis: object, read: str | None) -> None:
    assert parse_payload(json.dumps({"la_child_id": "C1", "mis_child_id": mis})).mis_child_id == read


def test_null_members_are_counted_and_taken_out_at_every_depth() -> None:
    payload = parse_payload(NESTED)
    assert (payload.nulls_removed, payload.data) == (3, WITHOUT_NULLS)
    assert json.loads(held_text(payload)) == WITHOUT_NULLS
    payload.put_aside()
    assert payload.data == WITHOUT_NULLS


def test_word_null_in_a_text_is_no_null() -> None:
    text = '{"la_child_id": "C1",  "surname": "null"}'
    payload = parse_payload(text)
    assert (payload.nulls_removed, held_text(payload)) == (0, text)


def test_payload_of_another_value_has_that_values_text_and_hash() -> None:
    payload = parse_payload(NESTED, lambda _: True)
    assert payload.is_sound
    other = payload.of_data({"la_child_id": "C1"})
    text = '{"la_child_id":"C1"}'
    assert (other.text, other.encoded, other.digest) == (text, text.encode(), sha256(text.encode()).hexdigest())
    assert (other.nulls_removed, other.is_sound, other.data) == (0, False, {"la_child_id": "C1"})
    assert payload.of_data(payload.data) is payload


def test_nesting_that_cannot_be_written_again_is_refused() -> None:
    with pytest.raises(PayloadError, match="nested too deeply"):
        parse_payload(f'{{"la_child_id": "C1", "a": {"[" * 300}{"]" * 300}}}')


def test_text_that_the_driver_cannot_decode_is_refused_by_its_column() -> None:
    row = StagedRow(1, "C1", False, "pending", '{"la_child_id": "C1"}', None, has_previous=False)
    assert read_payload(row).la_child_id == "C1"
    with pytest.raises(PayloadError, match="json_payload and person_id cannot be read"):
        read_payload(row._replace(unreadable=("json_payload", "person_id")))
