"""What `api_response` says: what is written as data is read back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from api_pipeline.api_response import (
    Source,
    given,
    is_own,
    is_receipt,
    last_receipt,
    read,
    refused,
    rehearsed,
    superseded,
    up_to_date,
)

RECEIPT = "0f8fad5b-d9cb-469f-a165-70867728950e"
RULES = st.lists(
    st.text(st.characters(codec="ascii", exclude_characters=";{("), min_size=1).filter(lambda text: text[:4] != "and "),
    min_size=1,
    unique=True,
)


@for_all(RULES)
def test_rules_of_our_own_check_are_read_back_as_they_were(rules: list[str]) -> None:
    reason = refused(rules)
    again = read(reason.text)
    assert (again.source, again.code) == (reason.source, reason.code) == (Source.CHECK, None)
    assert (again.rules, reason.rules) == (tuple(rules[:10]), tuple(rules))


@for_all(RULES, st.integers(100, 599))
def test_answer_is_read_back_from_the_table_as_it_was(rules: list[str], code: int) -> None:
    reason = given(f"HTTP {code}: {'; '.join(rules)}", code)
    assert read(reason.text) == reason
    assert reason.by_rule == [f"HTTP {code}: {rule}" for rule in rules]


@pytest.mark.parametrize(
    ("text", "is_of_service"),
    [
        ("HTTP 500: x", True),
        ("HTTP 503 without a text", True),
        ("network error: no route", True),
        ("network fault: an earlier version's word", True),
        ("HTTP 400: HTTP 500", False),
        ("HTTP 408: the gateway's time is up", True),
        ("HTTP 429: slower", False),
        ("TESTING: HTTP 503: simulated", False),
        ("Payload refused before sending: HTTP 500", False),
        ("written by hand", False),
        ("", False),
    ],
)
def test_stored_answer_says_whether_the_service_failed(text: str, is_of_service: bool) -> None:
    assert read(text).is_of_service is is_of_service


def test_message_as_json_is_one_rule() -> None:
    text = 'HTTP 400: {"errors": ["first; second"]}'
    assert (read(text).rules, read(text).by_rule) == ((), [text])


@pytest.mark.parametrize("rest", [": the proxy requires a login, HTTP 407; check PROXY_URL and PROXY_AUTH", ""])
def test_network_error_is_one_rule_with_its_advice(rest: str) -> None:
    assert read(f"network error{rest}").by_rule == [f"network error{rest}"]


@pytest.mark.parametrize("time", ["2026-11-27_02:00:00.04_", "2026-11-27 02:00:00_", "2026-11-27T02:00:00Z_"])
def test_receipt_that_stands_as_it_came_is_a_receipt(time: str) -> None:
    assert last_receipt(f" {time}{RECEIPT}.json") == f"{RECEIPT}.json"
    assert is_receipt(f" {time}{RECEIPT}.json")
    assert last_receipt(f"HTTP 400: {time}{RECEIPT}") is None


@for_all(st.text(st.characters(exclude_characters="()")), st.booleans())
def test_receipt_outlives_any_number_of_rehearsals(text: str, is_twice: bool) -> None:
    answer = rehearsed(f"TESTING: {text}", last_receipt(f"{RECEIPT} at 02:00"))
    if is_twice:
        answer = rehearsed("TESTING: again", last_receipt(answer))
    assert last_receipt(answer) == f"{RECEIPT} at 02:00"
    assert not is_receipt(answer)


def test_receipt_before_a_rehearsal_is_not_part_of_a_rule() -> None:
    reason = refused(["no child"])
    assert read(rehearsed(reason.text, RECEIPT)) == reason
    assert rehearsed(reason.text, None) == reason.text


@pytest.mark.parametrize("answer", [None, "", "HTTP 400: x", up_to_date(RECEIPT), superseded(7), f"was {RECEIPT}"])
def test_answer_that_only_speaks_of_a_receipt_is_none(answer: str | None) -> None:
    assert last_receipt(answer) is None
    assert not is_receipt(answer)


@pytest.mark.parametrize(
    "answer",
    [
        *(RECEIPT, f"{RECEIPT}.json ", superseded(123456), superseded(-7), up_to_date(None), up_to_date(RECEIPT)),
        *(f"TESTING: simulated receipt {RECEIPT}", rehearsed(f"TESTING: simulated receipt {RECEIPT}", RECEIPT)),
    ],
)
def test_own_answer_that_quotes_nothing_is_known(answer: str) -> None:
    assert is_own(answer)


@pytest.mark.parametrize(
    "answer",
    [
        *(
            "",
            "HTTP 400: x",
            f"{RECEIPT} Smith",
            f"{superseded(7)} Smith",
            f"NOT SENT: {RECEIPT}",
            "TESTING: HTTP 400: x",
        ),
        f"{superseded(7)} (sent before: Smith)",
    ],
)
def test_answer_that_may_quote_a_value_is_not_an_own_one(answer: str) -> None:
    assert not is_own(answer)
