"""Top level and personal details (mapping 4)."""

from __future__ import annotations

import pytest

from api_pipeline.payloads.schema_check import code_list
from api_pipeline.staging.issues import Issue, IssueRule
from tests.support.ssd import address, built, details, disability, linked, person, rows, rules, withheld

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


def test_a_pupil_number_of_the_year_1_counts_before_one_without_a_date() -> None:
    found = [linked("C123456789012", None, "L1"), linked(FORMER, "0001-01-01", "L2")]

    assert details(rows(linked_identifiers=found))["former_unique_pupil_number"] == FORMER


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


@pytest.mark.parametrize("blank", ["", "   ", None, "\t", "\r\n", "\u00a0"])
def test_an_address_without_a_postcode_is_passed_over(blank: str | None) -> None:
    found = [address("AB1 1AA", "2020-01-01", "A1"), address(blank, "2024-01-01", "A2")]

    assert details(rows(addresses=found))["postcode"] == "AB1 1AA"
    assert "postcode" not in details(rows(addresses=found[1:]))


def test_a_postcode_of_more_than_eight_characters_is_left_out_and_listed() -> None:
    of = rows(addresses=[address("AB12  3CD", "2024-01-01", "A2"), address("AB1 1AA", "2020-01-01", "A1")])

    assert "postcode" not in details(of)
    assert [(i.rule.value, i.where) for i in built(of).issues] == [("postcode_too_long", "ssd_address A2")]
