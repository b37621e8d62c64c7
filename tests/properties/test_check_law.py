"""The law of the check: whatever a payload looks like, what breaks the schema is found, and nothing stops the check."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from itertools import chain, pairwise, product
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api_pipeline.model import Baseline, Record, StagedRow
from api_pipeline.payloads.episode_rules import look_at_episodes
from api_pipeline.payloads.plan import Policy, plan
from api_pipeline.payloads.reading import PayloadError, parse_payload
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.payloads.shape import schema
from api_pipeline.payloads.value_rules import DEFAULT_DATE_PATTERN
from api_pipeline.sandbox.invented_children import invented_child
from tests.support.effort import examples

CHECKER = Checker(date(2026, 11, 21))
RECEIVER = jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)
many = settings(max_examples=examples(60, 500), deadline=None, suppress_health_check=list(HealthCheck))
strange = st.sampled_from(
    [
        1, -5, 55, 0.5, True, "", "x", "0x12", "x" * 80, "2020-01-01", "2031-02-02", "2026-1-5", "9999-99-99",
        "0000-01-01", "2026-02-30", "-026-11-21", "20.6-11-21", "2026-11-2*",
        "21", "NONE", "UN1", "A801200001001", [], {}, [1], [[]], [{}], ["21", "1A"],
        ["NONE", "LD"], ["1A", "1A"], {"purge": True}, {"a": 1}, [{"start_date": "2020-01-01"}], [None], [["x"]],
    ]
)  # fmt: skip
changes = st.lists(st.tuples(st.integers(0, 10**6), strange), max_size=4)
days = st.sampled_from(["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01"])


def parts(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return arrays of objects that all have a start, and the other members or not."""
    return st.lists(st.fixed_dictionaries({"start_date": days}, optional=members), max_size=3)


episodes = st.lists(
    st.fixed_dictionaries(
        {"referral_date": days},
        optional={
            "closure_date": days,
            "closure_reason": st.just("RC1"),
            "referral_no_further_action_flag": st.booleans(),
            "child_and_family_assessments": parts(
                authorisation_date=days, factors=st.lists(st.sampled_from(["21", "1A"]), max_size=2)
            ),
            "child_in_need_plans": parts(end_date=days),
            "child_protection_plans": parts(end_date=days),
            "section_47_assessments": parts(end_date=days),
            "child_looked_after_placements": parts(end_date=days, end_reason=st.just("E8")),
        },
    ),
    max_size=2,
)


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
def test_validation_while_reading_changes_no_payload_and_no_finding(seed: int, wanted: list[tuple[int, Any]]) -> None:
    text = json.dumps({**changed_child(seed, wanted), "la_child_id": "C1"})
    alone, asked = parse_payload(text), parse_payload(text, CHECKER.is_sound)
    assert (asked.data, asked.nulls_removed, asked.digest) == (alone.data, alone.nulls_removed, alone.digest)
    found = CHECKER.check(asked.data, asked.encoded, is_sound=asked.is_sound)
    assert found == CHECKER.check(alone.data, alone.encoded)


def take_out(made: list[dict[str, Any]], missing: list[int]) -> None:
    """Take referral and start dates out of episodes."""
    for number in missing:
        found = [path for path in places(made) if path[-1] in ("referral_date", "start_date")]
        if found:
            *way, last = found[number % len(found)]
            within: Any = made
            for step in way:
                within = within[step]
            del within[last]


def broken_in(episode: dict[str, Any]) -> Iterator[str]:
    """Yield the rules that an episode breaks, one condition a rule."""
    referral = episode.get("referral_date", "")
    blocks = ("child_in_need_plans", "child_protection_plans", "child_and_family_assessments")
    plans, protections, assessments = (episode.get(block, []) for block in blocks)
    enquiries, placements = (
        episode.get(block, []) for block in ("section_47_assessments", "child_looked_after_placements")
    )
    if ("closure_date" in episode) ^ ("closure_reason" in episode):
        yield "CIN 8805, 8810"
    if episode.get("closure_date", "9999") < referral:
        yield "CIN 8630"
    if episode.get("referral_no_further_action_flag"):
        for block in (plans, protections, assessments, enquiries, placements):
            yield from ["CIN 8832, 4000, 8831"] if block else []
    for rule, block in (("CIN 1103", assessments), ("CIN 4015", plans), ("CIN 1105", protections)):
        yield from [rule for item in block if item.get("start_date", "9999") < referral]
    yield from ["CIN 2889" for item in enquiries if item.get("start_date", "9999") < referral]
    for rule, block, end in (("CIN 8608", assessments, "authorisation_date"), ("CIN 4011", plans, "end_date"), (
        "CIN 8925", protections, "end_date",
    )):  # fmt: skip
        yield from [rule for item in block if item.get(end, "9999") < item.get("start_date", "")]
    yield from ["CIN 8869" for item in assessments if len(item.get("factors", [])) > 1 and "21" in item["factors"]]
    yield from ["903 148" for item in placements if ("end_date" in item) ^ ("end_reason" in item)]
    spells = sorted((item["start_date"], item.get("end_date", "9999")) for item in enquiries if "start_date" in item)
    if any(earlier[1] > later[0] for earlier, later in pairwise(spells)):
        yield "CIN 8890, 8839"


@settings(many, max_examples=examples(300, 5000))
@given(made=episodes, missing=st.lists(st.integers(0, 10**6), max_size=3))
def test_episodes_break_the_rules_that_hold_for_each_of_them_and_no_others(
    made: list[dict[str, Any]], missing: list[int]
) -> None:
    take_out(made, missing)
    assert sorted(rule for rule, _ in look_at_episodes(made, "$")) == sorted(chain.from_iterable(map(broken_in, made)))


@many
@given(made=episodes, missing=st.lists(st.integers(0, 10**6), min_size=1, max_size=3))
def test_episodes_without_a_date_break_no_rule_that_they_kept(made: list[dict[str, Any]], missing: list[int]) -> None:
    before = look_at_episodes(made, "$")
    take_out(made, missing)
    assert set(look_at_episodes(made, "$")) <= set(before)


def test_identifier_is_sound_unless_it_begins_like_a_default_date() -> None:
    heads = [
        "",
        "A",
        "_",
        "-",
        "1",
        "20",
        "199",
        "0001",
        "1809",
        "1909",
        "1910",
        "2024",
        "2049",
        "2050",
        "2100",
        "3000",
    ]
    for head, middle, end in product(heads, ["", "1", "-", "A", "_"], ["", "1", "-", "-A", "A-"]):
        identifier = head + middle + end
        child = {"la_child_id": "C1", "mis_child_id": identifier}
        assert CHECKER.is_sound(child) == (re.match(DEFAULT_DATE_PATTERN, identifier, re.ASCII) is None), identifier


@pytest.mark.parametrize("sign", [" ", ".", "/", "é", "٣", "\n"])
def test_identifier_with_another_sign_is_not_sound(sign: str) -> None:
    for identifier in (f"{sign}A1", f"A{sign}1", f"2024{sign}1", f"A1{sign}"):
        assert not CHECKER.is_sound({"la_child_id": "C1", "mis_child_id": identifier})


def test_a_day_is_sound_if_it_is_in_the_calendar_from_1910_to_2049() -> None:
    for year, month, day in product(range(1905, 2055), range(14), (0, 1, 9, 15, *range(27, 33))):
        try:
            is_day = 1910 <= date(year, month, day).year <= 2049
        except ValueError:
            is_day = False
        child = {"la_child_id": "C1", "child_details": {"date_of_birth": f"{year}-{month:02}-{day:02}"}}
        assert CHECKER.is_sound(child) == is_day, child


@pytest.mark.parametrize("levels", [254, 900])
def test_a_payload_nested_too_deeply_is_sound_to_no_validator(levels: int) -> None:
    text = '{"la_child_id": "C1", "child_details": {"disabilities": ' + "[" * levels + "]" * levels + "}}"
    with pytest.raises(PayloadError, match="nested too deeply"):
        parse_payload(text, CHECKER.is_sound)


@pytest.mark.parametrize("inmost", ["null", '"0x1"', '{"purge": true}'])
def test_a_payload_as_deep_as_can_be_is_checked_and_compared(inmost: str) -> None:
    text = '{"la_child_id": "C1", "child_details": ' + '{"x": ' * 250 + inmost + "}" * 250 + "}"
    payload = parse_payload(text, CHECKER.is_sound)
    assert CHECKER.check(payload.data, payload.encoded, is_sound=payload.is_sound)
    row = StagedRow(1, "P1", False, "pending", text, None, has_previous=True)
    step = plan(row, payload, Baseline(text.replace("x", "y", 1)), Policy(deltas=True))
    assert isinstance(step, Record)
