"""Masking of the receiver's error texts: the rule stays, the child's values go."""

from __future__ import annotations

import json
import time

import pytest

from api_pipeline.api_response import OWN_REFUSAL
from api_pipeline.logs.masking import LONGEST, mask_values
from tests.support.echoes import ECHOES, found_in


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
        ("born 02 / 03 / 2014, 2 \u2013 3 \u2013 2014; 2014, 3, 2", "born ***, ***; ***"),
        ("Date(2014, 3, 2) 02|03|2014 2014:03:02 2 3 14", "Date(***) *** *** ***"),
        ("at 2014-03-02 10:11:12: [3], [5] and 2000", "at ***: [3], [5] and ***"),
        ("NHS 943 476 5919 or 01234-567890", "*** *** or ***"),
        ("write to zoe.smith@home.example now", "write to *** now"),
        ("name \u201cZoë\u201d, \u2018Ann\u2019, `Bob`, «Ed»", "name '***', '***', '***', '***'"),
        ("never closed: 'zoe smith is", "never closed: '***'"),
        ("names łukasz and mary-ann O\u2019Neil and d'arcy", "names *** and ***-*** *** and ***"),
        ("doesn't match the children's list", "doesn't match the children's list"),
        ("line one\nline two\tends", "line one line two ends"),
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


@pytest.mark.parametrize(
    "echo",
    [
        *("[2014, 3, 2]", '["2014", "3", "2"]', '{"first": [[2014, 3, 2]]}'),
        *('{"month": 3, "day": 2}', '{"birthYear": 14, "birthMonth": "03", "birth_day": 2}', '{"DD": 2, "MM": 3}'),
        *(
            '{"day_of_birth": 3, "dobYear": 14, "Birth Month": 2}',
            '{"birth-month": 2.0, "DDOfBirth": 3, "dob.yyyy": 14}',
        ),
        *('{"day": " 3 ", "month": "2.0"}', '{"day": -3, "month": "+2", "year": "\'14"}'),
        *('{"day": [3]}', '{"day": {"value": 3}, "Month": [{"given": ["02", 4]}]}'),
    ],
)
def test_date_as_numbers_one_by_one_is_hidden(echo: str) -> None:
    masked = mask_values(f'{{"value": {echo}}}')
    assert not any(digit in masked for digit in "0123456789")


@pytest.mark.parametrize(
    "name", ["today", "add", "comm", "holiday", "Monday", "yesterday", "weekdays", "dated", "midyear", "addFormat"]
)
def test_number_whose_name_only_ends_like_a_part_of_a_date_stays(name: str) -> None:
    masked = mask_values(f'{{"{name}": 3, "status": {{"{name}": [4]}}, "day": true}}')
    assert (": 3" in masked, "[4]" in masked, "true" in masked) == (True, True, True)


def test_list_of_messages_is_taken_for_json_and_a_record_number_is_not() -> None:
    assert mask_values('["[0] \'Zoë\' is bad", "[1] ok"]') == '["[0] \'***\' is bad", "[1] ok"]'
    assert mask_values("[0] 'Zoë' is bad") == "[0] '***' is bad"


def test_long_answer_is_cut() -> None:
    masked = mask_values("word " * 5000)

    assert len(masked) == LONGEST + 3
    assert masked.endswith("...")


@pytest.mark.unmeasured
@pytest.mark.parametrize("pattern", ["a.", "[", "{", "a@", "\"'", "x", "1-", '{"a":', "é", "' ", "12 ", "://"])
def test_no_answer_makes_masking_slow(pattern: str) -> None:
    # The processor's time: the clock's is that of a busy machine.
    started = time.process_time()

    mask_values(pattern * (200_000 // len(pattern)))

    assert time.process_time() - started < 3


@pytest.mark.unmeasured
def test_no_value_in_a_part_of_a_date_makes_masking_slow() -> None:
    started = time.process_time()

    mask_values(f'{{"day": "{"1" * 90_000}x"}}')

    assert time.process_time() - started < 3


@pytest.mark.unmeasured
@pytest.mark.parametrize("levels", [400, 900, 5_000, 30_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"sex":', "}]")])
def test_no_nesting_stops_masking(levels: int, opening: str, closing: str) -> None:
    masked = mask_values(f"{opening * levels}'Quillfeather'{closing * levels} quillfeather")
    masked += mask_values(f'{opening * levels}"Quillfeather"{closing * levels} quillfeather')

    assert "quillfeather" not in masked.lower()


SURNAME = "Quillfeather-Price"
PAYLOAD = json.dumps(
    {
        "la_child_id": "17",
        "child_details": {"surname": SURNAME, "first_name": "Will", "sex": "F", "postcode": "ZE9 7QX"},
    }
)


def test_surname_is_hidden_however_it_is_echoed() -> None:
    assert [echo for echo in ECHOES if not is_hidden(echo)] == []


def is_hidden(echo: str) -> bool:
    """Return whether nothing is left of an echoed surname, and all of what stands around it."""
    written = ECHOES[echo](SURNAME)
    masked = mask_values(
        f"HTTP 400: [3].child_details.surname is not valid: {written} is not allowed; will not retry", PAYLOAD
    )
    masked.encode("utf-8")
    is_end_kept = masked.endswith(" is not allowed; *** not retry")
    return (
        "[3].child_details.surname is not valid: " in masked
        and (is_end_kept or echo in ("without a quotation's end", "in angle brackets"))
        and found_in(masked, [SURNAME]) == []
        and written.casefold() not in masked.casefold()
    )


def test_word_that_no_rule_is_made_of_is_hidden_without_the_record_too() -> None:
    assert mask_values("surname quillfeather is too long") == "surname *** is too long"


def test_name_that_is_a_word_of_rules_is_hidden_with_its_record_only() -> None:
    assert mask_values("surname long is too long") == "surname long is too long"
    assert mask_values("surname long is too long", '{"child_details": {"surname": "Long"}}') == "surname *** is too ***"
    assert mask_values("Long's surname", '{"surname": "long"') == "*** surname"


def test_own_reason_loses_no_word_but_those_of_unknown_members() -> None:
    text = f"{OWN_REFUSAL}sex does not match the pattern; unknown members: quillfeather, hobby"

    assert mask_values(text, PAYLOAD) == f"{OWN_REFUSAL}sex does not match the pattern; unknown members: ***, ***"


def test_pattern_and_codes_of_our_own_reason_stay_as_they_are() -> None:
    text = f"{OWN_REFUSAL}form that ^[A-Za-z0-9]+$ does not allow; not in code_sex (M, F, U); longer than 2000"
    assert mask_values(text) == text


@pytest.mark.parametrize(
    "reason",
    [
        "network error: the receiver could not be reached",
        "network error: the receiver's certificate or TLS was not accepted",
        "HTTP 200: the answer is larger than allowed",
        "HTTP 502: the body broke off",
        "HTTP 502: the answer's compression is damaged",
        "HTTP 200: the answer is compressed in a way that was not asked for",
    ],
)
def test_own_reason_for_what_was_not_delivered_stays(reason: str) -> None:
    assert mask_values(reason, PAYLOAD) == reason


def test_answer_leaves_no_sign_that_steers_a_terminal() -> None:
    masked = mask_values("\x1b]0;surname\x07sex\x1b[2J \x9b31mis\u202e not \u2066valid\x85\x7f\x00")

    assert masked == "sex is not valid"


@pytest.mark.parametrize(
    "value", ["Xiq", "Vocabulary", "O'Thistlewood", "2011-02-27", "ZE9 7QX", "Z874563219045", "Zoë Brønn"]
)
def test_no_value_is_left_however_it_is_echoed(value: str) -> None:
    payload = json.dumps({"la_child_id": "17", "child_details": {"surname": value}})
    left = {}
    for echo, write in ECHOES.items():
        written = write(value)
        as_text = mask_values(f"HTTP 400: [3].child_details.surname is not valid: {written}", payload)
        as_json = mask_values("HTTP 400: " + json.dumps({"errors": {"[3].child_details.surname": [written]}}), payload)
        left[echo] = found_in(as_text + as_json, [value])

    assert left == {echo: [] for echo in ECHOES}


def test_search_of_these_tests_finds_what_is_echoed() -> None:
    assert {echo: found_in(write(SURNAME), [SURNAME]) for echo, write in ECHOES.items()} == {
        echo: [SURNAME[:4]] for echo in ECHOES
    }


def test_numbers_of_records_stay() -> None:
    assert mask_values("[10].sex and [11].sex, items 1, 2 and 3") == ("[10].sex and [11].sex, items 1, 2 and 3")
