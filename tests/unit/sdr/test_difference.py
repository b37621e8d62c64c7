"""What a staged record looks like on the wire, and by which hash it is known."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.sdr.difference import NotSendable, body_of


@given(st.dictionaries(st.text(min_size=1), st.integers() | st.text(), max_size=5))
def test_another_order_of_members_is_no_change(record: dict[str, Any]) -> None:
    record = {name: value for name, value in record.items() if name != "localId" and abs(hash(value)) < 2**53}
    record = {name: value for name, value in record.items() if not isinstance(value, int) or abs(value) < 2**63}
    turned = dict(reversed(list(record.items())))
    first, one = body_of("a", orjson.dumps(record).decode())
    _, other = body_of("a", orjson.dumps(turned).decode())
    assert one == other
    assert orjson.loads(first) == {"localId": "a", **record}


@pytest.mark.parametrize("payload", ["", "[]", "{", '{"localId": "b"}', '{"LocalID": "a"}', "null"])
def test_what_cannot_be_sent_is_said_without_its_values(payload: str) -> None:
    with pytest.raises(NotSendable, match=r"^(json_payload is not|the payload's localId)"):
        body_of("a", payload)


@pytest.mark.parametrize(
    "payload",
    [
        '{"a":1,"a":2}',
        '{"localId":"b","localId":"a"}',
        '{"localId":"a","a":{"b":[{"c":1,"\\u0063":2}]}}',
        '{"n":99999999999999999991,"a":1,"a":2}',
    ],
)
def test_payload_with_a_member_twice_is_not_sendable(payload: str) -> None:
    with pytest.raises(NotSendable, match=r"^json_payload has a member twice in one object$"):
        body_of("a", payload)


def test_local_id_of_an_inner_object_is_no_second_one() -> None:
    payload = '{"x": {"localId": "b"}, "localId": "a"}'
    assert body_of("a", payload)[0] == payload.encode()


def test_a_payload_that_is_nested_too_deeply_is_not_sendable() -> None:
    body_of("a", '{"a":' + "[" * 200 + "]" * 200 + "}")
    with pytest.raises(NotSendable, match=r"^json_payload is nested more than 250 levels deep$"):
        body_of("a", '{"a":' + "[" * 300 + "]" * 300 + "}")


def test_whole_number_of_more_than_64_bits_is_another_than_its_neighbour_and_sent_as_it_is() -> None:
    number = 99999999999999999991
    _, one = body_of("a", f'{{"n":{number}}}')
    _, other = body_of("a", f'{{"n":{number + 1}}}')
    assert one != other
    body, same = body_of("a", f'{{"localId": null, "n": {number}}}')
    assert (body, same) == (f'{{"localId":"a","n":{number}}}'.encode(), one)
