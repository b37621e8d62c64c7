"""The pure rules of the school data collector: windows, questions, consent, minimisation."""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import date, datetime

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.errors import SettingsError
from api_pipeline.xporter.asking import choices, questions
from api_pipeline.xporter.catalogue import load_catalogue
from api_pipeline.xporter.checking import age_in_words
from api_pipeline.xporter.consent import (
    Known,
    SchoolState,
    fingerprint,
    judge,
    odd_entries,
    read_list,
    read_scopes,
)
from api_pipeline.xporter.landing.rounds import Counts
from api_pipeline.xporter.values import read_time
from api_pipeline.xporter.windows import windows
from api_pipeline.xporter.wire.access import Access
from api_pipeline.xporter.wire.answer import Answer, ErrorKind, Page, is_not_ready, read_answer, read_error

_WEDNESDAY = date(2025, 11, 26)


def test_weeks_are_whole_from_monday_to_friday_and_old_ones_are_closed() -> None:
    found = windows(load_catalogue().endpoint("AttendanceForDateRange"), _WEDNESDAY, 1, date(2025, 11, 5))
    assert [(window.name, window.closed_on) for window in found] == [
        ("2025-11-03", date(2025, 11, 7)),
        ("2025-11-10", date(2025, 11, 14)),
        ("2025-11-17", None),
        ("2025-11-24", None),
    ]
    assert found[-1].parameters == (("DateFrom", "2025-11-24"), ("DateTo", "2025-11-28"))


def test_weekly_statistics_name_their_dates_in_their_own_way() -> None:
    found = windows(load_catalogue().endpoint("AttStatsByWeek"), _WEDNESDAY, 0, None)
    assert found[0].parameters == (("startDate", "2025-11-24"), ("endDate", "2025-11-28"))


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 10))
def test_every_window_is_the_same_whatever_day_of_its_week_asks(today: date, back: int) -> None:
    endpoint = load_catalogue().endpoint("BehaviourForDateRange")
    monday = date.fromordinal(today.toordinal() - today.weekday())
    assert windows(endpoint, today, back, None) == windows(endpoint, monday, back, None)


def test_options_go_as_one_list_or_as_flags() -> None:
    (choice,) = choices(["Students+includeLeavers+includeAttStats"])
    access = Access(requests.Session(), "", "", "", "", (1.0, 1.0))
    assert access.options(choice.options) == [("options", "includeAttStats,includeLeavers")]
    flags = replace(access, options_style="flags")
    assert flags.options(choice.options) == [("includeAttStats", "true"), ("includeLeavers", "true")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Students+includeEverything", "an option of Students"),
        ("DiscountCodes", "KeyStage"),
        ("AssessmentResultsByAspect", "AssessmentStructure beside"),
        ("Students+=1", "NAME=VALUE"),
    ],
)
def test_a_choice_that_cannot_be_asked_is_a_settings_error(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        choices([text])


def test_every_endpoint_that_ids_come_from_must_be_chosen() -> None:
    documents = "StaffLinkedDocuments+DateFrom=2025-09-01+DateTo=2026-08-31"
    with pytest.raises(SettingsError, match="Staff beside StaffLinkedDocuments"):
        choices(["LinkedDocumentTypes", documents])
    assert len(choices(["LinkedDocumentTypes", "Staff", documents])) == 3


def test_ids_of_another_endpoint_are_asked_in_groups() -> None:
    chosen = choices(["AssessmentResultsByAspect", "AssessmentStructure"])
    assert [choice.endpoint.name for choice in chosen] == ["AssessmentStructure", "AssessmentResultsByAspect"]
    (question,) = questions(chosen[1], _WEDNESDAY, 0, None, lambda _source: [str(number) for number in range(150)])
    assert [len(request[0][1].split(",")) for request in question.requests] == [100, 50]
    (nothing,) = questions(chosen[1], _WEDNESDAY, 0, None, lambda _source: [])
    assert nothing.requests == ()


def _known(state: SchoolState, secret: str | None, authorised: datetime | None) -> Known:
    version = fingerprint(secret) if secret else None
    return Known("9990001", state, None, authorised, None, version, None)


def _day(number: int) -> datetime:
    return datetime(2025, 10, number)  # noqa: DTZ001 - the list of schools writes no zone


def test_the_later_of_two_entries_decides_and_a_tie_is_revoked() -> None:
    def listed(authorised: str, revoked: str) -> bool:
        entry = read_list(
            {
                "Authorised": [{"estab": "9990001", "dateAuthorised": authorised, "scopesAuthorised": "A,B"}],
                "Revoked": [{"estab": "9990001", "dateRevoked": revoked}],
            }
        )["9990001"]
        return entry.is_revoked

    assert listed("2025-10-01T00:00:00", "2025-10-02T00:00:00")
    assert listed("2025-10-02T00:00:00", "2025-10-02T00:00:00")
    assert not listed("2025-10-03T00:00:00", "2025-10-02T00:00:00")
    assert listed("2025-10-03T00:00:00", "no date")


@pytest.mark.parametrize("revoked", ["2025-10-02T00:00:00", "no date", "0001-01-01T00:00:00", "1969-12-31T00:00:00Z"])
def test_school_that_stands_as_revoked_alone_is_revoked(revoked: str) -> None:
    entry = read_list({"Revoked": [{"estab": "9990001", "dateRevoked": revoked}]})["9990001"]
    assert entry.state is SchoolState.REVOKED
    assert judge(_known(SchoolState.AUTHORISED, "old", _day(1)), entry, "old").must_purge


@pytest.mark.parametrize("revoked", ["no date", "9999-12-31T23:59:59.9999999", "9999-06-01T00:00:00"])
def test_revocation_without_a_real_date_has_no_end_to_count_days_of_grace_from(revoked: str) -> None:
    entry = read_list({"Revoked": [{"estab": "9990001", "dateRevoked": revoked}]})["9990001"]
    assert judge(_known(SchoolState.AUTHORISED, "old", _day(1)), entry, "old").ended_at is None


def test_consent_renewed_unseen_purges_and_forgets_the_old_secret() -> None:
    again = read_list(
        {
            "Authorised": [{"estab": "9990001", "dateAuthorised": "2025-10-03T00:00:00"}],
            "Revoked": [{"estab": "9990001", "dateRevoked": "2025-10-02T00:00:00"}],
        }
    )["9990001"]
    verdict = judge(_known(SchoolState.AUTHORISED, "old", _day(1)), again, "old")
    assert (verdict.state, verdict.must_purge, verdict.secret_is_dead) == (SchoolState.AUTHORISED, True, True)
    renewed = judge(_known(SchoolState.AUTHORISED, "old", _day(1)), again, "new")
    assert (renewed.must_purge, renewed.secret_is_dead) == (True, False)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2021-04-17T09:34:46.402555Z", "2021-04-17T09:34:46.402555"),
        ("2021-04-17T09:34:46.4025551Z", "2021-04-17T09:34:46.402555"),
        ("2021-04-17T10:34:46+01:00", "2021-04-17T09:34:46"),
        ("2021-04-17", "2021-04-17T00:00:00"),
        ("tomorrow at noon", None),
        (None, None),
    ],
)
def test_times_are_read_in_every_spelling_of_the_reference(text: str | None, read: str | None) -> None:
    found = read_time(text)
    assert (found.isoformat() if found else None) == read


def test_an_unknown_snapshot_is_not_a_refused_token() -> None:
    for text in ("Unknown changedRows token", "The snapshot token is not known", "Unexpected token <"):
        error = read_error({"ExceptionMessage": text}, 200)
        assert error is not None
        assert error.kind is ErrorKind.OTHER
    error = read_error({"ExceptionMessage": "The token has expired"}, 200)
    assert error is not None
    assert error.kind is ErrorKind.TOKEN


@pytest.mark.parametrize(
    ("stated", "kept"),
    [("System.ArgumentException", "System.ArgumentException"), ("Ada.Nobody", ""), ("Ada", ""), ("A bException", "")],
)
def test_type_of_an_error_is_kept_where_it_can_be_no_name_of_a_person(stated: str, kept: str) -> None:
    error = read_error({"ExceptionType": stated, "ExceptionMessage": "An error"}, 500)
    assert error is not None
    assert error.type_name == kept


def test_name_of_a_school_is_one_line() -> None:
    listed = read_list({"Authorised": [{"estab": "9990001", "schoolName": "A\r\nB  School\x00"}]})
    assert listed["9990001"].name == "A B School"


def test_an_error_in_the_body_beats_a_code_that_says_all_is_well() -> None:
    error = read_error({"ExceptionMessage": "Relying Party not found for estab or secret not correct"}, 200)
    assert error is not None
    assert error.kind is ErrorKind.SECRET
    assert read_error({"Students": [], "Message": None, "ExceptionMessage": None}, 200) is None


@pytest.mark.parametrize(("number", "read"), [("", None), (None, None), ("2", 2), (0, 0)])
def test_an_answer_that_leaves_its_page_number_empty_is_a_page(number: object, read: int | None) -> None:
    frame = {"__pagination__": [{"PageNumber": number, "PageCount": 3, "RowCount": 24}]}
    assert read_answer(frame, 0).page == Page(read, 3, 24)


def test_data_are_ready_when_every_database_says_ok() -> None:
    assert is_not_ready({"__dbstatus__": [{"Status": "OK"}, {"Status": "Pending"}]})
    assert not is_not_ready({"__dbstatus__": [{"Status": "ok"}]})
    assert not is_not_ready({"Students": []})


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (0, "the data are 0 days old"),
        ("1", "the data are 1 day old"),
        ("\u00b2", "the age of the data is not named"),
        ("9" * 5000, "the age of the data is not named"),
        (None, "the age of the data is not named"),
    ],
)
def test_age_of_the_data_is_said_where_it_is_a_number_of_days(age: object, words: str) -> None:
    assert age_in_words(Answer({"Health": [{"SchoolDataAgeDays": age}]})) == words


def test_one_row_that_was_removed_with_the_ids_of_pupils_is_said_in_the_singular() -> None:
    assert str(Counts(pupils_unnamed=1, rows_gone=1).proof) == (
        "the consent covers no Ids of pupils, so 1 pupil was removed from the roll; nothing says which rows in other "
        "tables are about the council's children, so 1 row was removed there"
    )


def test_counts_of_schools_are_added_in_every_member() -> None:
    whole = Counts(1, 2, 3, 4, 5, 6, 7)
    whole.add(Counts(10, 20, 30, 40, 50, 60, 70))
    assert astuple(whole) == (11, 22, 33, 44, 55, 66, 77)


def test_scopes_in_other_letters_are_the_same_consent() -> None:
    assert read_scopes("studentlite, upn,SENTYPES,Unheard") == frozenset({"StudentLite", "UPN", "SENTypes", "Unheard"})


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+13:00", "9999-12-31T23:59:59-05:00"])
def test_time_beyond_the_calendar_is_none(text: str) -> None:
    assert read_time(text) is None


def test_of_several_entries_of_pages_the_longest_table_counts() -> None:
    entries = [{"PageCount": 1, "RowCount": 3, "PageNumber": 1}, {"PageCount": 5, "RowCount": 30, "PageNumber": 1}]
    assert read_answer({"Students": [], "__pagination__": entries}, 0).page == Page(1, 5, 30, None, (3, 30))


def test_status_of_data_without_a_word_is_judged_by_the_tables() -> None:
    status = [{"Database": "XodSchoolData", "State": "Queued"}]
    assert is_not_ready({"__dbstatus__": status, "meta": []})
    assert not is_not_ready({"__dbstatus__": status, "Students": []})


def test_entry_of_the_list_that_is_no_school_harms_no_other() -> None:
    names = ["9990001", "../../x", "999000112345", "", "99900\u0660"]
    answer = {"Authorised": [{"estab": name, "schoolName": "A\x00B"} for name in names]}
    assert {estab: one.name for estab, one in read_list(answer).items()} == {"9990001": "AB"}
    assert odd_entries(answer) == 4
