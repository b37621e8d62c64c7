"""What each answer of TEC's means, in every form in which a code may stand in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_pipeline.sdr.answers import (
    Acknowledged,
    Blocked,
    Declined,
    Malformed,
    NotUnderstood,
    Refused,
    TokenGone,
    TooLarge,
    Unreadable,
    WrongAddress,
    classify,
)
from api_pipeline.sdr.problem import named_keys, read_problem


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "SC1", TokenGone),
        (400, "sc10", TokenGone),
        (400, "MP1", TooLarge),
        (400, "CV1", Malformed),
        (429, "DS2", Blocked),
        (400, "AM2", Refused),
        (400, "AU1", Refused),
        (400, "GM1", NotUnderstood),
        (400, "R1", Declined),
        (400, "", Malformed),
        (409, "", Blocked),
        (423, "", Blocked),
        (404, "", WrongAddress),
        (413, "", TooLarge),
        (402, "", Declined),
    ],
)
@pytest.mark.parametrize("form", ["text", "list", "inner"])
def test_a_code_is_read_wherever_it_stands(status: int, code: str, kind: type, form: str) -> None:
    body: dict[str, Any] = {"title": "Something", "errors": {}}
    if code and form == "text":
        body["errorCode"] = code
    elif code and form == "list":
        body["errorCodes"] = [code]
    elif code:
        body["errors"]["errorCode"] = code
    assert type(classify(status, json.dumps(body).encode())) is kind


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"", Acknowledged({})),
        (200, b'{"content": [{"localId": "a", "errors": []}]}', None),
    ],
)
def test_an_acceptance_refuses_nobody(status: int, body: bytes, expected: Acknowledged | None) -> None:
    answer = classify(status, body, ["a"])
    assert isinstance(answer, Acknowledged)
    assert answer.refused == {}
    assert expected is None or answer == expected


def test_a_200_may_refuse_single_records() -> None:
    body = b'\xef\xbb\xbf{"content": [{"localId": "a", "errors": ["no"]}, {"localId": "b", "errors": []}]}'
    answer = classify(200, body, ["a", "b"])
    assert isinstance(answer, Acknowledged)
    assert answer.refused == {"a": "no"}


@pytest.mark.parametrize(
    "entry", [{"errors": ["no"]}, {"localId": 2, "errors": ["no"]}, {"localId": "?", "errors": "no"}]
)
def test_a_refusal_without_an_id_of_ours_is_found_by_its_place(entry: dict[str, Any]) -> None:
    body = json.dumps({"content": [{"localId": "1", "errors": []}, entry]}).encode()
    answer = classify(200, body, ["1", "2"])
    assert isinstance(answer, Acknowledged)
    assert answer.refused == {"2": "no"}


def test_place_of_record_that_has_an_entry_of_its_own_is_not_taken_for_another() -> None:
    body = b'{"content": [{"localId": "b", "errors": []}, {"localId": "?", "errors": ["no"]}]}'
    assert isinstance(classify(200, body, ["a", "b"]), Malformed)


def test_a_refusal_that_may_be_of_any_record_is_searched_for() -> None:
    body = b'{"content": [{"localId": null, "errors": ["no"]}]}'
    assert isinstance(classify(200, body, ["a", "b"]), Malformed)
    assert classify(200, body, ["a"]) == Acknowledged({"a": "no"}, json.loads(body))


def test_a_204_is_an_acceptance_of_a_reset_alone() -> None:
    assert isinstance(classify(204, b"", ["a"]), Unreadable)
    assert classify(204, b"", may_be_empty=True) == Acknowledged({})


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"[]", b'"ok"'])
def test_a_200_that_is_no_object_is_no_acceptance(body: bytes) -> None:
    assert isinstance(classify(200, body, ["a"]), Unreadable)


@pytest.mark.parametrize(
    "errors",
    [
        {"content[1].gender": ["bad"]},
        {"$.content[1].gender": "bad"},
        {"content": {"1": ["bad"]}},
        {"content": {"b": ["bad"]}},
        {"content": [{"localId": "b", "errors": ["bad"]}]},
    ],
)
def test_named_records_are_found_by_place_and_by_id(errors: dict[str, Any]) -> None:
    problem = read_problem(400, json.dumps({"errors": errors, "errorCode": "CV1"}).encode())
    assert named_keys(problem, ["a", "b"]) == {"b": "bad"}


def test_a_page_of_a_firewall_is_read_as_text() -> None:
    assert read_problem(403, b"<html><body>Forbidden  here</body></html>").text == "Forbidden here"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"errorCode": "CV1", "title": "Schema"}, Malformed),
        ({"errorCodes": ["SC1"]}, TokenGone),
        ({"errors": {"content": {"b": ["bad"]}}}, Malformed),
        ({"content": {"a": [], "b": ["bad"]}}, Malformed),
        ({"errorCode": None, "errors": {}}, Acknowledged),
        ({"content": {"a": [], "b": []}}, Acknowledged),
    ],
)
def test_a_200_that_holds_an_error_is_no_acceptance(content: dict[str, Any], kind: type) -> None:
    answer = classify(200, json.dumps(content).encode(), ["a", "b"])
    assert isinstance(answer, kind)
    if "b" in str(content) and isinstance(answer, Malformed):
        assert named_keys(answer.problem, ["a", "b"]) == {"b": "bad"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["a", "b"], {"b"}),
        (["0", "1"], {"1"}),
        (["7", "0001"], {"0001"}),
        (["1", "b"], set()),
        (["1"], {"1"}),
        (["[1]", "b"], set()),
        (["a", "[1]"], {"[1]"}),
    ],
)
def test_number_that_is_one_place_and_another_id_names_no_record(keys: list[str], expected: set[str]) -> None:
    name = next((key for key in keys if key in ("0001", "[1]")), "1")
    body = json.dumps({"errorCode": "CV1", "errors": {"content": {name: ["too long"]}}}).encode()
    assert set(named_keys(read_problem(400, body), keys)) == expected


def test_null_characters_of_an_answer_are_left_out() -> None:
    answer = classify(200, b'{"content":[{"localId":"s1","errors":["no \\u0000name"]}]}', ["s1"])
    assert isinstance(answer, Acknowledged)
    assert answer.refused == {"s1": "no name"}
    assert read_problem(400, b'{"errorCode":"CV1","title":"no \\u0000name"}').reason == "HTTP 400 CV1: no name"
