"""The law of the check: whatever a payload looks like, what breaks the schema is found, and nothing stops the check."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_pipeline.payloads.reading import PayloadError, parse_payload
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.payloads.shape import schema
from api_pipeline.sandbox.invented_children import invented_child
from tests.support.effort import examples

CHECKER = Checker(date(2026, 11, 21))
RECEIVER = jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)
many = settings(max_examples=examples(150, 500), deadline=None, suppress_health_check=list(HealthCheck))
strange = st.sampled_from(
    [
        1, -5, 55, 0.5, True, "", "x", "0x12", "x" * 80, "2020-01-01", "2031-02-02", "2026-1-5", "9999-99-99",
        "0000-01-01", "2026-02-30", "-026-11-21", "20.6-11-21", "2026-11-2*",
        "21", "NONE", "UN1", "A801200001001", [], {}, [1], [[]], [{}], ["21", "1A"],
        ["NONE", "LD"], ["1A", "1A"], {"purge": True}, {"a": 1}, [{"start_date": "2020-01-01"}], [None], [["x"]],
    ]
)  # fmt: skip
changes = st.lists(st.tuples(st.integers(0, 10**6), strange), max_size=4)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in pairs:
        yield from places(item, (*path, step))


def changed_child(seed: int, wanted: list[tuple[int, Any]]) -> dict[str, Any]:
    child = invented_child(random.Random(seed), 1, 3000)
    for number, value in wanted:
        found = list(places(child))
        *way, last = found[number % len(found)]
        within: Any = child
        for step in way:
            within = within[step]
        within[last] = deepcopy(value)
    return child


@many
@given(seed=st.integers(0, 2**32), wanted=changes)
def test_what_the_receivers_schema_refuses_is_found_and_nothing_else(seed: int, wanted: list[tuple[int, Any]]) -> None:
    child = changed_child(seed, wanted)
    found = [finding for finding in CHECKER.check(child) if finding.severity == "schema"]
    assert len(found) == len(list(RECEIVER.iter_errors(child)))


@many
@given(seed=st.integers(0, 2**32), wanted=changes)
def test_every_finding_names_a_place_in_the_payload(seed: int, wanted: list[tuple[int, Any]]) -> None:
    child = changed_child(seed, wanted)
    known = {"$"} | {
        "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path) for path in places(child)
    }
    for finding in CHECKER.check(child):
        # A rule may ask for a member that is not there: then its object is.
        assert {finding.path, re.sub(r"\.[a-z_]+$", "", finding.path)} & known, finding


@many
@given(seed=st.integers(0, 2**32), wanted=changes)
def test_a_values_code_is_looked_up_wherever_its_form_is_right(seed: int, wanted: list[tuple[int, Any]]) -> None:
    child = changed_child(seed, wanted)
    sex = child.get("child_details", {}).get("sex") if isinstance(child.get("child_details"), dict) else None
    if isinstance(sex, str):
        told = [finding.path for finding in CHECKER.check(child) if finding.code_list == "code_sex"]
        assert (told == ["$.child_details.sex"]) == (sex not in ("M", "F", "U"))


@many
@given(seed=st.integers(0, 2**32), wanted=changes)
def test_asking_a_validator_while_reading_changes_no_payload_and_no_finding(
    seed: int, wanted: list[tuple[int, Any]]
) -> None:
    text = json.dumps({**changed_child(seed, wanted), "la_child_id": "C1"})
    alone, asked = parse_payload(text), parse_payload(text, CHECKER.is_sound)
    assert (asked.data, asked.nulls_removed, asked.digest) == (alone.data, alone.nulls_removed, alone.digest)
    found = CHECKER.check(asked.data, text, is_sound=asked.is_sound)
    assert found == CHECKER.check(alone.data, text)


@pytest.mark.parametrize("levels", [250, 900])
def test_a_payload_nested_too_deeply_is_sound_to_no_validator(levels: int) -> None:
    text = '{"la_child_id": "C1", "child_details": {"disabilities": ' + "[" * levels + "]" * levels + "}}"
    with pytest.raises(PayloadError, match="nested too deeply"):
        parse_payload(text, CHECKER.is_sound)
