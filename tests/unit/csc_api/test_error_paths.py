"""Which records of a batch an error text names: those it clearly points at, and no other."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.csc_api.error_paths import named_records


def named(body: object) -> set[int]:
    text = body if isinstance(body, str) else json.dumps(body)
    return set(named_records(text.encode(), 10, 400, 4000))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[3].social_care_episodes[0].closure_date: too long", {3}),
        ("Record [2].purge is wrong; [4].la_child_id as well", {2, 4}),
        ("[1].sex is wrong, [2].sex is wrong and [5].sex too", {1, 2, 5}),
        ("Invalid record(s): [3], [7]", {3, 7}),
        ("[3], [5] and [6] are invalid", {3, 5, 6}),
        ("Validation failed for [3]: too long", {3}),
        ("Validation failed: [3] is invalid", {3}),
        ("Error at [4]\nError at [5]", {4, 5}),
        ("Path '[3].child_details.first_name', line 1, position [1].", {3}),
        ("body[3].sex: [0] or [1] are wanted", {3}),
        ({"[7].child_details.disabilities[11]": ["too long"]}, {7}),
        ({"errors": ["[3].a[0]: too long", "$[5].b: unknown"]}, {3, 5}),
        ({"errors": [{"path": "$[1].sex", "message": "too long"}]}, {1}),
        ({"detail": [{"loc": "body[3].x[3]", "msg": "m"}]}, {3}),
        ('"[6].sex is wrong"', {6}),
    ],
)
def test_records_are_found_in_every_shape_of_error_body(body: object, expected: set[int]) -> None:
    assert named(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"errors": {"[2].child_details.sex": ["The field sex must be [0] or [1]"]}}, {2}),
        ({"errors": {"[2].child_details.sex": ["wanted; [0] or [1]"]}}, {2}),
        ({"errors": {"$[2].social_care_episodes[1].purge": ["wrong [4] value"]}}, {2}),
        ([{"field": "[0]", "message": "[9] is what it says"}], {0}),
        ("[2].child_details.sex: must be [0] or [1]", {2}),
        ('[2].disabilities: ["X"] is not valid, allowed [1]', {2}),
        ("[2026-11-21T10:00:00] ERROR [3] [5].sex is wrong", {5}),
        ("the field sex must be [0] or [1]", set()),
        ("social_care_episodes[0] is wrong", set()),
        ("social_care_episodes[0].child_in_need_plans[1] is wrong", set()),
        ("child.disabilities[3] is wrong", set()),
        ("[10] is not in this batch", set()),
        ("[-1].sex is wrong", set()),
        ("something is wrong", set()),
        ({"title": "Bad Request", "status": 400}, set()),
        ("[]", set()),
        ("<!DOCTYPE html><script>\nvar e=entries[0];\nrows[1] = 2;</script><p>Bad Request", set()),
        ("\n<html lang='en'><head><script>body[3]</script>", set()),
        ("<!-- edge-7 --><!DOCTYPE html>\n<script>\nrows[1] = 2;</script>", set()),
        ("<?xml version='1.0'?>\n<!-- a -->\n<?x y?><html><body>\nbody[3]: blocked", set()),
        ("Request rejected\n<HTML><BODY>\nitems[2].x", set()),
        ("<html><body>\nbody[3]</body></html>".join('""'), set()),
        ({"statusCode": 400, "message": "<!-- x --><html><script>\nentries[0] = 1;</script>"}, set()),
        ({"warnings": {"[0].sex": ["unusual"]}, "errors": {"[1].sex": ["unknown"]}}, {1}),
        ({"validRecords": ["[0]"], "invalid": ["[1]: too long"]}, {1}),
        ({"accepted": [{"path": "[0]"}], "rejected": [{"path": "[1]", "reason": "too long"}]}, {1}),
        ([{"path": "[0]", "status": "Accepted"}, {"path": "[1]", "status": "rejected"}], {1}),
        ([{"loc": "[0].sex", "severity": "warning"}, {"loc": "[2].sex", "severity": "error"}], {2}),
        ({"errors": ["<html>\n[1].a", "[2].child_details.sex: unknown"]}, {2}),
        ({"errors": {"[4].child_details.first_name": ["<script> is not allowed"]}}, {4}),
    ],
)
def test_a_number_in_brackets_that_is_no_record_blames_nobody(body: object, expected: set[int]) -> None:
    assert named(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        [{"path": "[0]", "success": True}, {"path": "[1]", "success": False}],
        [{"path": "[0]", "isValid": True}, {"path": "[1]", "isValid": False}],
        [{"path": "[0]", "status": 202}, {"path": "[1]", "status": 400}],
        [{"path": "[0]", "statusCode": "200"}, {"path": "[1]", "statusCode": "422"}],
        {"[0]": "valid", "[1]": "too long"},
        {"[0]": "", "[1]": "too long"},
        "[0]: OK\n[1]: too long\n[2]: valid",
        "[0] OK; [1] too long; [2] was accepted.",
        "$[1].sex: too long, $[2].sex: valid",
    ],
)
def test_record_of_which_the_answer_says_that_it_is_sound_is_not_named(body: object) -> None:
    assert named(body) == {1}


@pytest.mark.parametrize(
    "sent", ["Records [0] to [9] rejected", "records [0]-[9]: one is bad", "rows [0] .. [9] failed"]
)
def test_range_of_the_records_that_were_sent_names_none(sent: str) -> None:
    assert named(sent) == set()


@pytest.mark.parametrize("name", ["target", "propertyName", "instancePath", "key"])
def test_reason_beside_a_path_is_kept_whatever_the_name_of_the_path(name: str) -> None:
    body = json.dumps({"errors": [{"code": "E7", name: "[4].sex", "message": "must be one of [0] or [1]"}]}).encode()
    assert named_records(body, 10, 400, 4000) == {4: "HTTP 400: [4].sex: E7; must be one of [0] or [1]"}


@pytest.mark.parametrize(
    "errors",
    [
        {"INVALID_SEX": "[3]", "MISSING_DATE": "[4]", "TOO_LONG": "[4].a"},
        {"first": "[3]", "second": "[4].sex: too long"},
        {"target": "[4].sex", "message": "[4].sex: too long", "near": "[3]"},
    ],
)
def test_paths_beside_each_other_each_name_their_own_record(errors: dict[str, str]) -> None:
    found = named_records(json.dumps({"errors": errors}).encode(), 10, 400, 4000)
    assert set(found) == {3, 4}
    assert found[3] == "HTTP 400: [3]"


def test_each_record_gets_its_own_reason() -> None:
    body = {"errors": {"[3].a": ["too long", "not a date"], "[5].b": ["unknown"]}}
    assert named_records(json.dumps(body).encode(), 10, 422, 4000) == {
        3: "HTTP 422: [3].a: too long; [3].a: not a date",
        5: "HTTP 422: [5].b: unknown",
    }
    text = "Record [2].purge is wrong; [4].la_child_id, as well"
    assert named_records(text.encode(), 10, 400, 4000) == {
        2: "HTTP 400: Record [2].purge is wrong",
        4: "HTTP 400: [4].la_child_id, as well",
    }
    assert named_records(b"[2] is much too long", 10, 400, 13) == {2: "HTTP 400: [2]"}


@given(st.binary(max_size=200) | st.text('[]0123.:,; \n"{}a$').map(str.encode), st.integers(0, 5))
def test_any_error_body_is_read_and_names_only_records_sent(body: bytes, records: int) -> None:
    assert all(0 <= position < records for position in named_records(body, records, 400, 4000))


@pytest.mark.parametrize("levels", [300, 900])
def test_deep_error_body_is_read_and_in_order(levels: int) -> None:
    texts = ",".join(f'"[{number}].sex is bad"' for number in range(3))
    body = f'{{"errors":{"[" * levels}{texts}{"]" * levels}}}'.encode()
    assert list(named_records(body, 10, 400, 100)) == [0, 1, 2]


def test_many_texts_below_many_levels_cost_little_time() -> None:
    began = time.perf_counter()
    named_records(b"[" * 600 + b",".join([b'"x"'] * 200_000) + b"]" * 600, 1, 400, 4000)
    assert time.perf_counter() - began < 5
