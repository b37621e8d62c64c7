"""What an answer to a write-back leaves open, and what reading again proves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from api_pipeline.transport.single_request import RawAnswer, Transient
from api_pipeline.xporter.wire.answer import ApiError, ErrorKind
from api_pipeline.xporter.wire.posting import Posted, Taken, read_posted
from api_pipeline.xporter.write_back.batches import superseded
from api_pipeline.xporter.write_back.bodies import WrongBody, read_body
from api_pipeline.xporter.write_back.rows import Kind, OutboxRow, Status
from api_pipeline.xporter.write_back.settling import Seen, Waits, look_alike, settle

_DAY = date(2025, 11, 26).isoformat()


def _row(*actual_ids: str) -> OutboxRow:
    conduct = {"IncidentType": "Ach", "EntryDate": _DAY, "Note": "It is a\nlonger note"}
    people = [{"StudentId": "1", "Points": 5}, {"StudentId": "2", "Points": 5}]
    body = {"Conduct": conduct, "Participants": people}
    return OutboxRow(7, "9990001", Kind.CONDUCT, _DAY, body, Status.SUBMITTED, actual_ids=frozenset(actual_ids))


def _seen(*records: tuple[str, str]) -> Seen:
    rows: list[Mapping[str, Any]] = [
        {"Id": key, "ConductId": second, "Date": _DAY, "Description": "It is a"} for key, second in records
    ]
    return Seen({"achievements": rows, "studentachievements": []}, None)


def test_a_record_that_the_api_named_is_ours_though_the_school_cut_its_note() -> None:
    assert look_alike(_row("4000"), _seen(("4000", "Ach.4000")), set()) == frozenset({"4000"})
    assert look_alike(_row("Ach.4000"), _seen(("4000", "Ach.4000")), set()) == frozenset({"4000"})


def test_a_row_is_confirmed_once_every_record_that_the_api_named_is_there() -> None:
    assert look_alike(_row("B1", "B2"), _seen(("B1", "")), set()) is None
    assert look_alike(_row("B1", "B2"), _seen(("B1", ""), ("B2", "")), set()) == frozenset({"B1", "B2"})


def test_blanks_around_a_mark_and_ids_that_are_neither_text_nor_number_do_no_harm() -> None:
    mark = {"StudentId": " 9919 ", "Date": _DAY, "Session": "AM", "Mark": "L "}
    body, day = read_body(Kind.ATTENDANCE, json.dumps(mark))
    assert (body["StudentId"], body["Mark"], day) == ("9919", "L", _DAY)
    for wrong in (["9919"], 9919.5, True):
        with pytest.raises(WrongBody, match="StudentId to be a text or a whole number"):
            read_body(Kind.ATTENDANCE, json.dumps({**mark, "StudentId": wrong}))


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (503, b"<html>the server behind did not answer</html>"),
        (500, json.dumps({"ExceptionMessage": "The token expired"}).encode()),
        (500, json.dumps({"ExceptionMessage": "The scope was disposed"}).encode()),
        (200, json.dumps({"ExceptionMessage": "Unexpected token < in JSON at position 0"}).encode()),
    ],
)
def test_an_error_after_which_all_may_be_written_is_unclear(code: int, body: bytes) -> None:
    answer = read_posted(RawAnswer(code, {}, body))
    assert isinstance(answer, Transient)
    assert answer.may_have_arrived


def test_a_row_that_is_there_for_some_pupils_only_is_never_sent_again() -> None:
    sent = datetime(2025, 11, 26, 12)  # noqa: DTZ001 - as the database gives it
    row = replace(_row(), status=Status.UNKNOWN, sent_at=sent, attempts=1)
    waits = Waits(timedelta(minutes=75), timedelta(hours=48))
    record = {"Id": "B1", "Date": _DAY, "Description": "It is a\nlonger note"}
    link = {"AchievementId": "B1", "StudentId": "1", "Points": 5}
    seen = Seen({"achievements": [record], "studentachievements": [link]}, sent + timedelta(hours=3))

    assert settle(row, seen, set(), sent + timedelta(hours=3), waits) is None
    late = settle(row, seen, set(), sent + timedelta(hours=49), waits)
    assert late is not None
    assert late.status is Status.ERROR
    again = settle(row, seen, {"B1"}, sent + timedelta(hours=3), waits)
    assert again is not None
    assert again.status is Status.PENDING


@pytest.mark.parametrize(
    ("records", "links", "found"),
    [
        (["B1"], [("B1", "1"), ("B1", "2")], {"B1"}),
        (["B1", "B2"], [("B1", "1"), ("B2", "2")], {"B1", "B2"}),
        (["B1", "B2", "B3"], [("B1", "1"), ("B2", "2"), ("B3", "1"), ("B3", "2")], {"B3"}),
        (["B1"], [("B1", "1")], None),
    ],
)
def test_one_record_may_have_all_pupils_of_a_row_or_one_each(
    records: list[str], links: list[tuple[str, str]], found: set[str] | None
) -> None:
    ours: list[Mapping[str, Any]] = [
        {"Id": one, "Date": _DAY, "Description": "It is a\nlonger note"} for one in records
    ]
    pupils: list[Mapping[str, Any]] = [{"AchievementId": one, "StudentId": pupil, "Points": 5} for one, pupil in links]
    assert look_alike(_row(), Seen({"achievements": ours, "studentachievements": pupils}, None), set()) == found


def test_a_gateways_413_refuses_the_request_so_that_it_is_halved() -> None:
    answer = read_posted(RawAnswer(413, {}, b"<html>too large</html>"))
    assert isinstance(answer, Posted)
    assert answer.taken is Taken.REFUSED


@pytest.mark.parametrize(
    "members", [{"Message": "Invalid Mark: Z"}, {"DataSet": {"ExceptionMessage": "Invalid Mark: Z"}}]
)
def test_a_validation_error_refuses_wherever_the_answer_says_it(members: dict[str, Any]) -> None:
    answer = read_posted(RawAnswer(200, {}, json.dumps({"TrackingId": "x", **members}).encode()))
    assert isinstance(answer, Posted)
    assert (answer.taken, answer.text) == (Taken.REFUSED, "The API refused it: invalid mark.")


def test_a_system_that_cannot_be_written_to_is_named_though_the_code_says_all_is_well() -> None:
    message = {"TrackingId": "x", "Message": "Attendance writeback is not supported for Invented"}
    answer = read_posted(RawAnswer(200, {}, json.dumps(message).encode()))
    assert isinstance(answer, ApiError)
    assert answer.kind is ErrorKind.NOT_SUPPORTED


def test_change_that_adds_a_person_is_replaced_by_one_that_takes_that_person_out_alone() -> None:
    def change(row_id: int, person: str) -> OutboxRow:
        body = {"Conduct": {"IncidentType": "Achievement", "UpdateId": "9"}, "Participants": [{"StudentId": person}]}
        return OutboxRow(row_id, "9990001", Kind.CONDUCT, _DAY, body, Status.PENDING)

    assert superseded([change(1, "P-1"), change(2, "-P-1")]) == {1: 2}
    assert superseded([change(1, "P-1"), change(2, "P1"), change(3, "-P1")]) == {2: 3}
