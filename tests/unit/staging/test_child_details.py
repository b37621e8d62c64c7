"""Top level and personal details (mapping 4)."""

from __future__ import annotations

import pytest

from api_pipeline.payloads.schema_check import code_list
from api_pipeline.settings.definitions import BY_NAME
from api_pipeline.staging.issues import Issue, IssueRule
from api_pipeline.staging.options import UASC_VALUES, StageOptions
from tests.support.ssd import (
    When,
    address,
    built,
    details,
    disability,
    linked,
    person,
    rows,
    rules,
    sdq,
    status,
    withheld,
)

UPN = "A123456789012"
FORMER = "B123456789012"


def test_the_person_id_is_the_childs_id() -> None:
    assert built(rows(person("Abc123"))).payload["la_child_id"] == "Abc123"
    assert built(rows(person(" 77 "))).payload["la_child_id"] == "77"
    assert built(rows(person("A" * 20))).payload["la_child_id"] == "A" * 20


@pytest.mark.parametrize("person_id", ["A" * 21, "12-34", "12_34", "12 34", "12.0", "É1", "12\n", ""])
def test_long_or_malformed_person_id_stops_the_record(person_id: str) -> None:
    (issue,) = withheld(rows(person(person_id))).issues

    assert issue == Issue(IssueRule.LA_CHILD_ID_ILL_FORMED, person_id, "la_child_id", "ssd_person")


def test_the_legacy_id_is_trimmed_and_left_out_when_blank() -> None:
    assert built(rows(person(legacy_id=" L-1_a "))).payload["mis_child_id"] == "L-1_a"
    assert built(rows(person(legacy_id="L" * 36))).payload["mis_child_id"] == "L" * 36
    for blank in ("  ", "", None):
        assert "mis_child_id" not in built(rows(person(legacy_id=blank))).payload


@pytest.mark.parametrize("legacy_id", ["L" * 37, "L 1", "L/1"])
def test_a_legacy_id_that_is_too_long_or_ill_formed_holds_the_record_back(legacy_id: str) -> None:
    (issue,) = withheld(rows(person(legacy_id=legacy_id))).issues

    assert (issue.rule, issue.field, issue.where) == (IssueRule.ID_ILL_FORMED, "mis_child_id", "ssd_person")
    assert legacy_id not in repr(issue)


def test_a_record_that_is_held_back_still_lists_its_other_issues() -> None:
    result = withheld(rows(person("1-1", upn="A1")))

    assert [issue.rule for issue in result.issues] == [IssueRule.LA_CHILD_ID_ILL_FORMED, IssueRule.UPN_NOT_13]


def test_a_pupil_number_is_sent_only_with_13_characters() -> None:
    assert details(rows(person(upn=UPN)))["unique_pupil_number"] == UPN
    assert details(rows(person(upn=f"{UPN} ")))["unique_pupil_number"] == UPN
    for wrong in ("A12345678901", "A1234567890123"):
        assert "unique_pupil_number" not in details(rows(person(upn=wrong)))
        assert rules(rows(person(upn=wrong))) == ["upn_not_13"]


@pytest.mark.parametrize("upn", ["", "   ", "UN1", None])
def test_a_blank_or_an_un_code_is_no_pupil_number_and_no_issue(upn: str | None) -> None:
    assert "unique_pupil_number" not in details(rows(person(upn=upn)))
    assert rules(rows(person(upn=upn))) == []


def test_the_former_pupil_number_is_the_newest_of_its_type() -> None:
    found = details(
        rows(
            linked_identifiers=[
                linked("C123456789012", "2019-01-01", "L1"),
                linked(FORMER, "2021-01-01", "L2"),
                linked("D123456789012", None, "L3"),
                linked("NHS9876543210", "2024-01-01", "L4", "NHS Number"),
                linked("NHS9876543211", "2024-01-01", "L5", None),
            ]
        )
    )

    assert found["former_unique_pupil_number"] == FORMER


def test_identifier_type_is_compared_without_case_and_spaces() -> None:
    found = details(rows(linked_identifiers=[linked(FORMER, kind="former unique pupil number ")]))

    assert found["former_unique_pupil_number"] == FORMER


def test_only_the_newest_former_pupil_number_is_tried() -> None:
    of = rows(linked_identifiers=[linked(FORMER, "2020-01-01", "L1"), linked("B12", "2021-01-01", "L2")])

    assert "former_unique_pupil_number" not in details(of)
    assert [(i.rule.value, i.where) for i in built(of).issues] == [("upn_not_13", "ssd_linked_identifiers L2")]


def test_former_pupil_number_of_one_day_is_chosen_by_key() -> None:
    found = [linked(FORMER, key="L2"), linked("C123456789012", key="L1")]

    assert details(rows(linked_identifiers=found))["former_unique_pupil_number"] == "C123456789012"
    assert details(rows(linked_identifiers=found[::-1]))["former_unique_pupil_number"] == "C123456789012"


@pytest.mark.parametrize("code", code_list("code_upn_unknown_reason"))
def test_every_reason_without_a_pupil_number_is_taken_from_either_column(code: str) -> None:
    assert details(rows(person(upn_unknown=f" {code.lower()} ")))["unique_pupil_number_unknown_reason"] == code
    assert details(rows(person(upn=f" {code.lower()} ")))["unique_pupil_number_unknown_reason"] == code


def test_unknown_reason_comes_before_the_code_in_the_upn_column() -> None:
    assert details(rows(person(upn_unknown="UN3", upn="UN4")))["unique_pupil_number_unknown_reason"] == "UN3"
    assert details(rows(person(upn_unknown="  ", upn="UN4")))["unique_pupil_number_unknown_reason"] == "UN4"


def test_a_description_of_the_unknown_reason_is_cut_to_its_code() -> None:
    found = details(rows(person(upn_unknown="UN10 - awaited")))

    assert found["unique_pupil_number_unknown_reason"] == "UN10"
    assert details(rows(person(upn_unknown="UN4 new")))["unique_pupil_number_unknown_reason"] == "UN4"


@pytest.mark.parametrize("text", ["A123456789012", "UN11", "UN0", "XX"])
def test_an_unknown_reason_that_is_no_listed_code_is_left_out_and_listed(text: str) -> None:
    of = rows(person(upn_unknown=text, upn="UN4"))

    assert "unique_pupil_number_unknown_reason" not in details(of)
    assert rules(of) == ["code_not_listed"]


def test_a_pupil_number_is_not_taken_for_an_unknown_reason() -> None:
    assert "unique_pupil_number_unknown_reason" not in details(rows(person(upn=UPN)))


def test_names_are_sent_as_they_are_and_left_out_when_missing() -> None:
    found = details(rows(person(forename=" Zoë-Anne ", surname='O\'Neill | "Q"')))

    assert (found["first_name"], found["surname"]) == (" Zoë-Anne ", 'O\'Neill | "Q"')
    assert not {"first_name", "surname"} & set(details(rows(person(forename=" ", surname=None))))


def test_half_a_surrogate_pair_is_left_out_and_listed() -> None:
    of = rows(
        person(forename="A\ud800", surname="B\udfff", upn="A12345678901\ud800"),
        addresses=[address("AB1 \ud800")],
    )

    assert not {"first_name", "surname", "unique_pupil_number", "postcode"} & set(details(of))
    assert rules(of) == ["text_not_unicode"] * 4


def test_the_expected_date_is_sent_only_when_the_birth_date_is_missing() -> None:
    both = details(rows(person(dob="2014-03-09 13:45", expected_dob="2014-03-01")))
    unborn = details(rows(person(dob=None, expected_dob="2026-08-01 08:00")))

    assert both["date_of_birth"] == "2014-03-09"
    assert "expected_date_of_birth" not in both
    assert unborn["expected_date_of_birth"] == "2026-08-01"
    assert "date_of_birth" not in unborn


@pytest.mark.parametrize(
    ("stored", "sent"),
    [("M", "M"), ("f ", "F"), ("U", "U"), ("", "U"), (None, "U"), ("Male", "U"), ("I", "U"), ("FM", "U")],
)
def test_sex_is_m_or_f_and_anything_else_is_u(stored: str | None, sent: str) -> None:
    assert details(rows(person(sex=stored)))["sex"] == sent


@pytest.mark.parametrize(("stored", "listed"), [("M", 0), ("U", 0), (" ", 0), (None, 0), ("Male", 1), ("I", 1)])
def test_a_sex_that_is_not_in_the_list_is_listed(stored: str | None, listed: int) -> None:
    assert rules(rows(person(sex=stored))) == ["code_not_listed"] * listed


@pytest.mark.parametrize("stored", ["WBRI", " wbri", "WBRI - White British", "wbriX"])
def test_ethnicity_is_cut_at_four_characters_and_looked_up(stored: str) -> None:
    assert details(rows(person(ethnicity=stored)))["ethnicity"] == "WBRI"


def test_an_ethnicity_that_is_not_in_the_list_is_left_out_and_listed() -> None:
    of = rows(person(ethnicity="White British"))

    assert "ethnicity" not in details(of)
    assert [(i.rule.value, i.field, i.where) for i in built(of).issues] == [
        ("code_not_listed", "child_details.ethnicity", "ssd_person 1001")
    ]


def test_a_blank_code_is_missing_and_no_issue() -> None:
    of = rows(person(ethnicity="  ", upn_unknown=" "), disabilities=[disability(" ")])

    assert "ethnicity" not in details(of)
    assert rules(of) == []


def test_disabilities_are_codes_in_capitals_each_once_and_ascending() -> None:
    found = [disability(" mob "), disability("AUT"), disability("aut - autism"), disability("LD"), disability(None)]

    assert details(rows(disabilities=found))["disabilities"] == ["AUT", "LD", "MOB"]


def test_a_disability_is_cut_at_four_characters() -> None:
    assert details(rows(disabilities=[disability("COMM - communication")]))["disabilities"] == ["COMM"]


@pytest.mark.parametrize("found", [[], [disability("")], [disability("NONE")]])
def test_no_disability_is_sent_as_none(found: list[object]) -> None:
    assert details(rows(disabilities=found))["disabilities"] == ["NONE"]
    assert rules(rows(disabilities=found)) == []


def test_none_is_dropped_where_there_are_other_disabilities_and_listed() -> None:
    of = rows(disabilities=[disability("NONE"), disability("VIS")])

    assert details(of)["disabilities"] == ["VIS"]
    assert rules(of) == ["disability_none_not_alone"]


def test_all_twelve_disabilities_fit_without_none() -> None:
    every = [disability(code, str(key)) for key, code in enumerate(code_list("code_disability"))]

    assert len(details(rows(disabilities=every))["disabilities"]) == 12


def test_a_disability_that_is_not_in_the_list_is_left_out_and_listed() -> None:
    of = rows(disabilities=[disability("XXXX", "D1"), disability("VIS", "D2")])

    assert details(of)["disabilities"] == ["VIS"]
    assert [(i.rule.value, i.where) for i in built(of).issues] == [("code_not_listed", "ssd_disability D1")]


def test_the_home_postcode_is_that_of_the_address_with_the_newest_start() -> None:
    found = [address("AB1 1AA", "2020-01-01", "A1"), address("AB2 2BB", "2024-01-01", "A2"), address("X", None, "A3")]

    assert details(rows(addresses=found))["postcode"] == "AB2 2BB"


def test_an_address_without_a_date_is_better_than_none() -> None:
    assert details(rows(addresses=[address("AB1 1AA", None)]))["postcode"] == "AB1 1AA"


def test_of_two_addresses_of_one_day_that_with_the_first_key_is_taken() -> None:
    found = [address("AB2 2BB", key="A2"), address("AB1 1AA", key="A1")]

    assert details(rows(addresses=found))["postcode"] == "AB1 1AA"
    assert details(rows(addresses=found[::-1]))["postcode"] == "AB1 1AA"


def test_a_postcode_is_trimmed() -> None:
    assert details(rows(addresses=[address("  AB12 3CD  ")]))["postcode"] == "AB12 3CD"


@pytest.mark.parametrize("blank", ["", "   ", None])
def test_an_address_without_a_postcode_is_passed_over(blank: str | None) -> None:
    found = [address("AB1 1AA", "2020-01-01", "A1"), address(blank, "2024-01-01", "A2")]

    assert details(rows(addresses=found))["postcode"] == "AB1 1AA"
    assert "postcode" not in details(rows(addresses=found[1:]))


def test_a_postcode_of_more_than_eight_characters_is_left_out_and_listed() -> None:
    of = rows(addresses=[address("AB12  3CD", "2024-01-01", "A2"), address("AB1 1AA", "2020-01-01", "A1")])

    assert "postcode" not in details(of)
    assert [(i.rule.value, i.where) for i in built(of).issues] == [("postcode_too_long", "ssd_address A2")]


@pytest.mark.parametrize(
    "text",
    ["U", " u ", "UASC", "uasc (former)", "Is UASC", "Unaccompanied Asylum Seeking Child", "was unaccompanied asylum"],
)
def test_a_status_of_an_unaccompanied_child_is_known_by_the_default_values(text: str) -> None:
    assert details(rows(immigration=[status(text)]))["uasc_flag"] is True


@pytest.mark.parametrize("text", ["Refugee", "UK", "US citizen", "", None, "Asylum seeker"])
def test_other_statuses_are_none_of_an_unaccompanied_child(text: str | None) -> None:
    assert details(rows(immigration=[status(text)]))["uasc_flag"] is False
    assert details(rows())["uasc_flag"] is False


def test_the_statuses_of_an_unaccompanied_child_are_a_setting() -> None:
    chosen = StageOptions(uasc_values=("Code 7", "*minor alone*"))

    assert details(rows(immigration=[status("code 7")]), chosen)["uasc_flag"] is True
    assert details(rows(immigration=[status("A Minor Alone here")]), chosen)["uasc_flag"] is True
    assert details(rows(immigration=[status("Code 77")]), chosen)["uasc_flag"] is False
    assert details(rows(immigration=[status("UASC")]), chosen)["uasc_flag"] is False
    assert details(rows(immigration=[status("")]), StageOptions(uasc_values=()))["uasc_flag"] is False
    assert details(rows(immigration=[status("")]), StageOptions(uasc_values=("",)))["uasc_flag"] is False


def test_the_default_values_are_those_of_the_setting() -> None:
    assert BY_NAME["UASC_VALUES"].default == ",".join(UASC_VALUES)


@pytest.mark.parametrize(("end", "flag"), [("2024-03-31", False), ("2024-04-01", True), (None, True)])
def test_a_status_that_ended_before_the_window_does_not_count(end: When, flag: bool) -> None:
    assert details(rows(immigration=[status(end=end)]))["uasc_flag"] is flag


@pytest.mark.parametrize(
    ("end", "sent"),
    [(None, None), ("2025-06-01", "2025-06-01"), ("2026-08-10 12:00", "2026-08-10"), ("2026-08-11", None)],
)
def test_the_end_date_is_sent_only_once_the_status_has_ended(end: When, sent: str | None) -> None:
    assert details(rows(immigration=[status(end=end)])).get("uasc_end_date") == sent


def test_the_end_date_is_of_the_newest_matching_status_and_of_no_other() -> None:
    found = [
        status("UASC", "2024-06-01", "2025-01-01", "I1"),
        status("UASC", "2025-02-01", "2025-08-01", "I2"),
        status("Refugee", "2025-09-01", "2026-01-01", "I3"),
        status("UASC", None, "2026-02-01", "I4"),
    ]

    assert details(rows(immigration=found))["uasc_end_date"] == "2025-08-01"


def test_an_open_status_newer_than_an_ended_one_has_no_end_date() -> None:
    found = [status(start="2024-06-01", end="2025-01-01", key="I1"), status(start="2025-02-01", key="I2")]

    assert "uasc_end_date" not in details(rows(immigration=found))


def test_of_two_statuses_of_one_day_that_with_the_first_key_is_taken() -> None:
    found = [status(end="2025-05-02", key="I2"), status(end="2025-05-01", key="I1")]

    assert details(rows(immigration=found))["uasc_end_date"] == "2025-05-01"
    assert details(rows(immigration=found[::-1]))["uasc_end_date"] == "2025-05-01"


@pytest.mark.parametrize(("day", "is_in"), [("2024-03-31", False), ("2024-04-01", True), ("2026-08-12", False)])
def test_an_sdq_counts_only_in_the_window(day: str, is_in: bool) -> None:
    assert ("health_and_wellbeing" in built(rows(sdq=[sdq(12, day)])).payload) is is_in


def test_the_health_block_is_left_out_without_an_sdq() -> None:
    assert "health_and_wellbeing" not in built(rows()).payload
    assert "health_and_wellbeing" not in built(rows(sdq=[sdq(12, None)])).payload


@pytest.mark.parametrize(
    ("stored", "sent"),
    [(0, 0), (40, 40), ("12", 12), (" 7 ", 7), ("+3", 3), ("-1", -1), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31))],
)
def test_a_score_is_an_integer_whether_it_is_stored_as_number_or_text(stored: str | int, sent: int) -> None:
    assert built(rows(sdq=[sdq(stored)])).payload["health_and_wellbeing"]["sdq_assessments"] == [
        {"date": "2025-05-01", "score": sent}
    ]


@pytest.mark.parametrize("stored", ["12.5", "twelve", "1e1", "9999999999", 2**31, -(2**31) - 1, "12 13"])
def test_an_sdq_whose_score_is_no_integer_is_left_out_whole_and_listed(stored: str | int) -> None:
    of = rows(sdq=[sdq(stored, key="S9")])

    assert "health_and_wellbeing" not in built(of).payload
    assert [(i.rule.value, i.where) for i in built(of).issues] == [("score_not_integer", "ssd_sdq_scores S9")]


@pytest.mark.parametrize("stored", [None, "", "  "])
def test_an_sdq_without_a_score_is_left_out_and_is_no_issue(stored: str | None) -> None:
    assert "health_and_wellbeing" not in built(rows(sdq=[sdq(stored)])).payload
    assert rules(rows(sdq=[sdq(stored)])) == []


def test_sdqs_are_ordered_by_date_then_key() -> None:
    found = [sdq(3, "2025-09-01", "S3"), sdq(2, "2025-05-01", "S2"), sdq(1, "2025-05-01", "S1")]

    block = built(rows(sdq=found)).payload["health_and_wellbeing"]
    assert [item["score"] for item in block["sdq_assessments"]] == [1, 2, 3]
