"""Values that are not what they seem: dates of no date, numbers and signs that another reader takes otherwise."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from api_pipeline.payloads.reading import parse_payload
from api_pipeline.payloads.schema_check import Checker, identity_findings
from tests.support.staging import child

CHECKER = Checker(date(2026, 11, 2))


def found(text: str) -> set[tuple[str, str]]:
    payload = parse_payload(text)
    return {(finding.rule, finding.path) for finding in CHECKER.check(payload.data, payload.encoded)}


def with_details(**details: Any) -> str:
    payload = child("C7", **{"health_and_wellbeing": {"sdq_assessments": [{"date": "2025-02-03", "score": 3}]}})
    payload["child_details"].update(details)
    return json.dumps(payload, ensure_ascii=False)


@pytest.mark.parametrize("year", ["0001-01-01", "1753-01-01", "1899-12-30", "1900-01-01", "2099-12-31", "9999-12-31"])
def test_default_date_gets_a_warning(year: str) -> None:
    text = with_details().replace("2025-02-03", year)

    assert ("default date", "$.health_and_wellbeing.sdq_assessments[0].date") in found(text)


def test_birth_in_the_future_gets_a_warning() -> None:
    assert ("born later", "$.child_details.date_of_birth") in found(with_details(date_of_birth="2027-01-31"))
    assert "born later" not in {rule for rule, _ in found(with_details(date_of_birth="2026-11-02"))}


@pytest.mark.parametrize("written", ["7.0", "2e1", "-1E1"])
def test_whole_number_with_a_point_or_exponent_gets_a_warning(written: str) -> None:
    text = with_details().replace('"score": 3', f'"score": {written}')

    assert ("whole number", "$.health_and_wellbeing.sdq_assessments[0].score") in found(text)


@pytest.mark.parametrize("sign", ["\\u0000", "\\u001F", "\\b", "\\u0085", "\x7f", "\x9b"])
def test_control_character_in_a_text_gets_a_warning(sign: str) -> None:
    text = with_details(first_name="A@B").replace("@", sign)

    assert ("control character", "$.child_details.first_name") in found(text)


def test_ordinary_values_get_no_warning() -> None:
    text = with_details(first_name="Zoë\\n 2e1 12.0 1900", surname="1900-01-01 Street")

    assert {rule for rule, _ in found(text)} <= {"CIN 8770Q"}


@pytest.mark.parametrize(("person", "is_warned"), [("C7", False), (" C7  ", False), ("", False), ("C8", True)])
def test_row_and_payload_of_two_people_get_a_warning(person: str, is_warned: bool) -> None:
    assert bool(identity_findings(person, "C7")) == is_warned
