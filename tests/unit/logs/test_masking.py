"""Masking of the receiver's error texts: the rule stays, the child's values go."""

from __future__ import annotations

import time

import pytest

from api_pipeline.logs.masking import LONGEST, mask_values


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "[3].child_details.first_name: 'Zoë O'Brien' is too long (maximum 36)",
            "[3].child_details.first_name: '***' is too long (maximum 36)",
        ),
        (
            "[12].social_care_episodes[0].referral_date must be a date, got 2014-13-02",
            "[12].social_care_episodes[0].referral_date must be a date, got ***",
        ),
        ('Unknown property "hobby" in "child_details"', "Unknown property '***' in \"child_details\""),
        ("section_47_assessments[1] is missing 'start_date'", "section_47_assessments[1] is missing 'start_date'"),
        ("HTTP 422 Unprocessable: Smith is not in the list", "HTTP 422 Unprocessable: *** is not in the list"),
        ("postcode AB1 2CD and ab12 3de and SW1A1AA", "postcode *** and *** and ***"),
        ("UPN A123456789012 unknown", "UPN *** unknown"),
        ("id C3x9 seen, id 4711 seen, id 12345678 seen", "id *** seen, id *** seen, id *** seen"),
        ("born 12 March 2014, 3rd May, 02/03/2014, 2014-03-02T00:00:00", "born ***, ***, ***, ***"),
        ("NHS 943 476 5919 or 01234-567890", "*** *** or ***"),
        ("write to zoe.smith@home.example now", "write to *** now"),
        ("name \u201cZoë\u201d, \u2018Ann\u2019, `Bob`, «Ed»", "name '***', '***', '***', '***'"),
        ("never closed: 'zoe smith is", "never closed: '***'"),
        ("names łukasz and mary-ann O\u2019Neil and d'arcy", "names *** and mary-ann *** and ***"),
        ("doesn't match the children's list", "doesn't match the children's list"),
        ("line one\nline two\ttabbed", "line one line two tabbed"),
        ("", ""),
    ],
)
def test_rule_stays_and_values_go(text: str, masked: str) -> None:
    assert mask_values(text) == masked


def test_json_answer_keeps_its_form() -> None:
    answer = (
        '{"title": "One or more validation errors occurred.", "status": 400, "traceId": "00-4bf92f35-00", '
        '"errors": {"[3].child_details.postcode": ["The value \'AB1 2CD\' of Smith does not match."]}, '
        '"person": {"Zoë": true, "age": 20140302, "weight": 3.5, "none": null}}'
    )

    assert mask_values(f"HTTP 400: {answer} [3] end") == (
        'HTTP 400: {"title": "One or more validation errors occurred.", "status": 400, "traceId": "00-***-00", '
        '"errors": {"[3].child_details.postcode": ["The value \'***\' of *** does not match."]}, '
        '"person": {"***": true, "age": "***", "weight": 3.5, "none": null}} [3] end'
    )


def test_list_of_messages_is_taken_for_json_and_a_record_number_is_not() -> None:
    assert mask_values('["[0] \'Zoë\' is bad", "[1] ok"]') == '["[0] \'***\' is bad", "[1] ok"]'
    assert mask_values("[0] 'Zoë' is bad") == "[0] '***' is bad"


def test_long_answer_is_cut() -> None:
    masked = mask_values("word " * 5000)

    assert len(masked) == LONGEST + 3
    assert masked.endswith("...")


@pytest.mark.parametrize("pattern", ["a.", "[", "{", "a@", "\"'", "x", "1-", '{"a":', "é", "' ", "12 ", "://"])
def test_no_answer_makes_masking_slow(pattern: str) -> None:
    started = time.perf_counter()

    mask_values(pattern * (200_000 // len(pattern)))

    assert time.perf_counter() - started < 3
