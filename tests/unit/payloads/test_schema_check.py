"""Records that are right, and records that break one rule each."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from api_pipeline.payloads.census_rules import RULES
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.schema_check import Checker, identity_findings
from api_pipeline.sandbox.invented_children import changed, invented_child
from tests.unit.payloads.records import BROKEN, CODES, CROSS, Json, whole, within

AS_OF = date(2026, 11, 21)


CHECKER = Checker(AS_OF)


def findings(change: Callable[[Json], object] = lambda _record: None) -> list[Finding]:
    record = whole()
    change(record)
    return CHECKER.check(record, json.dumps(record).encode())


def test_a_record_with_every_block_has_no_finding() -> None:
    assert findings() == []


def test_invented_children_and_their_next_versions_have_no_finding() -> None:
    import random

    rng = random.Random(7)
    for number in range(200):
        child = invented_child(rng, number)
        for version in (child, changed(rng, child)):
            assert [finding for finding in CHECKER.check(version) if finding.severity in ("schema", "code")] == []


@pytest.mark.parametrize(("name", "change", "path", "rule"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_record_that_breaks_one_rule_is_found_by_that_rule_at_its_place(
    name: str, change: Callable[[Json], object], path: str, rule: str
) -> None:
    found = [(finding.path, finding.rule) for finding in findings(change) if finding.severity == "schema"]
    assert (path, rule) in found
    assert {place for place, _ in found} == {path}


@pytest.mark.parametrize(("rule", "change"), CROSS)
def test_what_the_returns_would_query_is_a_warning_by_the_rules_name(
    rule: str, change: Callable[[Json], object]
) -> None:
    found = [finding for finding in findings(change) if finding.severity in ("cross_field", "firewall")]
    assert rule in {finding.rule for finding in found}
    assert not [finding for finding in findings(change) if finding.severity == "schema"]


def test_every_rule_of_the_table_has_a_record_that_breaks_it() -> None:
    assert {rule.name for rule in RULES} == {rule for rule, _ in CROSS}


@pytest.mark.parametrize(("code_list", "change", "path"), CODES, ids=[case[0] for case in CODES])
def test_a_value_outside_its_code_list_is_found_with_the_list(
    code_list: str, change: Callable[[Json], object], path: str
) -> None:
    found = [finding for finding in findings(change) if finding.severity == "code"]
    assert [(finding.path, finding.rule, finding.code_list) for finding in found] == [(path, "code_list", code_list)]


def test_a_code_of_an_earlier_year_is_told_apart() -> None:
    found = findings(within("child_looked_after_placements", "placement_type", "H5"))
    assert [finding.rule for finding in found] == ["legacy_code"]


def test_no_finding_ever_quotes_a_value() -> None:
    secret = "Zq9Xk"

    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: spoil(item) for name, item in value.items()} | {f"{secret} name": secret}
        if isinstance(value, list):
            return [spoil(item) for item in value] * 2
        return secret * 9

    record = spoil(copy.deepcopy(whole()))
    found = CHECKER.check(record)
    assert len(found) > 40
    assert not [finding for finding in found if secret in str(finding)]


@pytest.mark.parametrize(
    ("members", "path", "message"),
    [
        ({"la_child_id": None}, "$.la_child_id", "the value is not of type string"),
        ({"la_child_id": "C" * 21}, "$.la_child_id", "the text is longer than 20 characters"),
        ({"la_child_id": ""}, "$.la_child_id", "the text has characters or a form that ^[A-Za-z0-9]+$ does not allow"),
        ({"purge": "yes"}, "$.purge", "the value is not of type boolean"),
        ({"nickname": 1, "hobby": 2}, "$", "unknown members: nickname, hobby"),
        ({"nickname": 1, "Jo Smith": 2}, "$", "2 unknown members"),
        ({"Jo Smith": 2}, "$", "1 unknown member"),
        ({"social_care_episodes": [{}]}, "$.social_care_episodes[0]", "the member social_care_episode_id is missing"),
        ({"child_details": {"former_unique_pupil_number": "A1"}}, "", "the text is shorter than 13 characters"),
        ({"child_details": {"date_of_birth": "2024-02-30"}}, "", "the text is not a valid date"),
        ({"child_details": {"disabilities": ["MOB", "MOB"]}}, "", "the array has an item twice"),
        ({"child_details": {"disabilities": [*"ABCDEFGHIJKLM"]}}, "", "the array has more than 12 items"),
    ],
)
def test_finding_of_the_schema_says_where_and_what_is_expected(members: Json, path: str, message: str) -> None:
    found = [one for one in CHECKER.check({"la_child_id": "C1", **members}) if one.severity == "schema"]
    place = path or f"$.child_details.{next(iter(members['child_details']))}"
    assert [(one.path, one.message) for one in found] == [(place, message)]


@pytest.mark.parametrize(
    ("details", "rules"),
    [
        ({"date_of_birth": "2025-06-01", "sex": "M", "disabilities": ["NONE"], "uasc_flag": True}, []),
        ({"expected_date_of_birth": "2027-01-01"}, []),
        ({"expected_date_of_birth": "2027-01-01", "sex": "M"}, ["CIN 8750"]),
        ({"expected_date_of_birth": "2025-06-01", "date_of_birth": "2025-06-01", "sex": "M"}, ["CIN 8525Q"]),
        ({"date_of_birth": "2015-06-01", "unique_pupil_number_unknown_reason": "UN3"}, []),
        ({"date_of_birth": "2015-06-01"}, ["CIN 8770Q"]),
        ({"date_of_birth": "2015-06-01", "unique_pupil_number": "A" * 13}, ["CIN 1510-1550"]),
        ({"date_of_birth": "2015-06-01", "unique_pupil_number": "I123456789012"}, ["CIN 1510-1550"]),
    ],
)
def test_details_break_the_rules_that_they_break_and_no_other(details: Json, rules: list[str]) -> None:
    assert [one.rule for one in CHECKER.check({"la_child_id": "C1", "child_details": details})] == rules


@pytest.mark.parametrize(
    ("members", "rules"),
    [
        ({"child_in_need_plans": [{"child_in_need_plan_id": "a"}]}, ["CIN 8832, 4000, 8831"]),
        ({"child_protection_plans": [{"child_protection_plan_id": "a"}]}, ["CIN 8832, 4000, 8831"]),
        ({"child_and_family_assessments": [{"child_and_family_assessment_id": "a"}]}, ["CIN 8832, 4000, 8831"]),
        ({"section_47_assessments": [{"section_47_assessment_id": "a"}]}, ["CIN 8832, 4000, 8831"]),
        (
            {"child_looked_after_placements": [{"child_looked_after_placement_id": "a"}], "child_in_need_plans": []},
            ["CIN 8832, 4000, 8831"],
        ),
        ({"child_and_family_assessments": [], "adoption": {"placed_date": "2026-01-02"}}, []),
    ],
)
def test_each_activity_counts_on_a_referral_without_further_action(members: Json, rules: list[str]) -> None:
    episode = {"social_care_episode_id": "E1", "referral_no_further_action_flag": True, **members}
    found = CHECKER.check({"la_child_id": "C1", "social_care_episodes": [episode]})
    assert [(one.rule, one.path) for one in found] == [
        (rule, f"$.social_care_episodes[0].{next(iter(members))}") for rule in rules
    ]


@pytest.mark.parametrize(
    ("block", "item"),
    [
        ("child_and_family_assessments", {"factors": ["21"], "authorisation_date": "2026-01-01"}),
        ("child_and_family_assessments", {"factors": ["1A", "2A"]}),
        ("child_in_need_plans", {"end_date": "2026-01-01"}),
        ("section_47_assessments", {"end_date": "2026-01-01"}),
    ],
)
def test_date_or_code_that_is_missing_or_alone_breaks_no_rule(block: str, item: Json) -> None:
    key = f"{block.removesuffix('s')}_id"
    items = [{key: name, **item} for name in ("a", "b")]
    episode = {"social_care_episode_id": "E1", "referral_date": "2026-01-05", block: items}
    assert CHECKER.check({"la_child_id": "C1", "social_care_episodes": [episode]}) == []


@pytest.mark.parametrize(
    "written", ["a0x1", "0X", "\\u0030x", "0\\u0078", "x0", "00-x", "10", "\\u0041", "xxX0", "xx0x"]
)
def test_firewall_is_looked_for_in_what_is_written_as_in_what_it_means(written: str) -> None:
    text = f'{{"la_child_id": "C1", "mis_child_id": "{written}"}}'
    found = [one.rule for one in CHECKER.check(json.loads(text), text.encode())]
    assert ("firewall 0x" in found) is ("0x" in json.loads(f'"{written}"').lower())


@pytest.mark.parametrize(
    ("person", "is_other"), [("C1", False), (" C1\t", False), ("  ", False), ("c1", True), ("C2", True)]
)
def test_row_that_names_another_person_than_its_payload_is_a_warning(person: str, is_other: bool) -> None:
    assert bool(identity_findings(person, "C1 ")) is is_other


@pytest.mark.parametrize("as_of", [date(2026, 11, 21), date(2024, 2, 29), date(2025, 2, 28), date(2025, 3, 1)])
def test_school_age_is_from_the_fifth_to_the_sixteenth_birthday(as_of: date) -> None:
    checker = Checker(as_of)
    for days in [*range(365 * 5 - 3, 365 * 5 + 5), *range(365 * 16 - 2, 365 * 16 + 8)]:
        born = as_of - timedelta(days)
        age = as_of.year - born.year - ((as_of.month, as_of.day) < (born.month, born.day))
        details = {"date_of_birth": born.isoformat(), "unique_pupil_number_unknown_reason": "UN1"}
        rules = [finding.rule for finding in checker.check({"la_child_id": "C1", "child_details": details})]
        assert rules == (["CIN 8770Q"] if 5 <= age < 16 else []), born


def purgeable(value: Any) -> Iterator[dict[str, Any]]:
    """Return the objects at any depth of a payload that say of themselves whether they are to be purged."""
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from purgeable(part)
    if isinstance(value, dict) and "purge" in value:
        yield value


def test_a_payload_that_purges_a_part_of_any_kind_is_valid_but_not_sound() -> None:
    child = invented_child(random.Random(3), 1000001, 6500)
    parts = list(purgeable(child))
    assert len(parts) > 10
    assert CHECKER.is_sound(child)
    for part in parts:
        part["purge"] = True
        assert not CHECKER.is_sound(child)
        assert CHECKER.check(child) == []
        part["purge"] = False
