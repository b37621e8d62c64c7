"""Hashes, bodies, periods, pages, CSV files and their harmless cells."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.errors import ReceiverDeclined, SettingsError
from api_pipeline.sdr import periods, returns
from api_pipeline.sdr.csv_files import Assumed, camel_case, collection_of, records
from api_pipeline.sdr.difference import NotSendable, body_of
from api_pipeline.sdr.nouns import Collection, ReturnPeriod, State, state_of

_PERIODS = [
    ReturnPeriod(11, 2026, 3, kind="Indicative"),
    ReturnPeriod(12, 2026, 3, kind="Full"),
    ReturnPeriod(202608, 2026, 8),
]


@given(st.dictionaries(st.text(min_size=1), st.integers() | st.text(), max_size=5))
def test_another_order_of_members_is_no_change(record: dict[str, Any]) -> None:
    record = {name: value for name, value in record.items() if name != "localId" and abs(hash(value)) < 2**53}
    record = {name: value for name, value in record.items() if not isinstance(value, int) or abs(value) < 2**63}
    turned = dict(reversed(list(record.items())))
    first, one = body_of("a", orjson.dumps(record).decode())
    _, other = body_of("a", orjson.dumps(turned).decode())
    assert one == other
    assert orjson.loads(first) == {"localId": "a", **record}


@pytest.mark.parametrize(
    "payload", ["", "[]", "{", '{"localId": "b"}', '{"LocalID": "a"}', "null", '{"localId": "b", "localId": "a"}']
)
def test_what_cannot_be_sent_is_said_without_its_values(payload: str) -> None:
    with pytest.raises(NotSendable, match=r"^(json_payload is not|the payload's localId)"):
        body_of("a", payload)


def test_local_id_of_an_inner_object_is_no_second_one() -> None:
    payload = '{"x": {"localId": "b"}, "localId": "a"}'
    assert body_of("a", payload)[0] == payload.encode()


def test_a_payload_that_is_nested_too_deeply_is_not_sendable() -> None:
    body_of("a", '{"a":' + "[" * 200 + "]" * 200 + "}")
    with pytest.raises(NotSendable, match=r"^json_payload is nested more than 250 levels deep$"):
        body_of("a", '{"a":' + "[" * 300 + "]" * 300 + "}")


@pytest.mark.parametrize("wanted", ["202608", "2026-08", " 202608 "])
def test_a_period_is_found_by_id_or_month(wanted: str) -> None:
    assert periods.find(wanted, _PERIODS).return_id == 202608


def test_two_periods_of_a_month_are_not_guessed() -> None:
    with pytest.raises(SettingsError, match=r"11, 2026-03, indicative; 12"):
        periods.find("2026-03", _PERIODS)
    assert periods.find("2026-03", _PERIODS, indicative=True).return_id == 11
    with pytest.raises(ReceiverDeclined):
        periods.find("2025-01", _PERIODS)
    with pytest.raises(ReceiverDeclined, match=r"no indicative return 202608; nothing was sent. It lists: 11 \("):
        periods.find("202608", _PERIODS, indicative=True)


@given(st.integers(0, 25), st.integers(1, 7), st.sampled_from([0, 1]), st.booleans(), st.booleans(), st.booleans())
def test_every_entry_is_read_once_however_pages_count(
    count: int, size: int, base: int, tells_total: bool, repeats_last: bool, tells_page: bool
) -> None:
    entries = [{"returnId": number} for number in range(count)]
    calls = []

    def ask(page: int | None) -> dict[str, Any] | None:
        calls.append(page)
        number = base if page is None else page
        start = (number - base) * size
        if start >= count and number != base:
            if not repeats_last:
                return None
            start = max(0, (count - 1) // size * size)
        total = {"totalCount": count} if tells_total else {}
        own = {"page": number} if tells_page else {}
        return {**own, "results": entries[start : start + size], **total}

    found = returns.read_all(ask, lambda _call, _place, entry: entry["returnId"])
    assert found == entries
    assert len(calls) <= count // size + 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-01T00:00:00Z", datetime(2026, 8, 1, tzinfo=timezone.utc)),
        ("2026-08-01T00:00:00", datetime(2026, 8, 1, tzinfo=timezone.utc)),
        ("2026-08-01T12:00:00.1234567+12:00", datetime(2026, 8, 1, 0, 0, 0, 123456, tzinfo=timezone.utc)),
        ("soon", None),
        (None, None),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: object, expected: datetime | None) -> None:
    assert returns.time_of(text) == expected


@pytest.mark.parametrize(
    ("closes", "is_open"),
    [
        ("2026-08-31", True),
        ("2026-08-31T00:00:00", True),
        ("2026-08-31T00:00:00Z", False),
        ("2026-08-30", False),
    ],
)
def test_window_is_open_to_the_end_of_its_last_day(closes: str, is_open: bool) -> None:
    period = returns.period_of({"returnId": 202608, "closeWindowDate": closes})
    assert period is not None
    assert (not period.why_not_open(datetime(2026, 8, 31, 23, 0, tzinfo=timezone.utc))) is is_open


@pytest.mark.parametrize("word", ["Closed", "Submitted"])
def test_return_that_takes_nothing_is_not_open_within_its_window(word: str) -> None:
    assert ReturnPeriod(202608, 2026, 8, word).why_not_open(datetime(2026, 8, 1, tzinfo=timezone.utc))


def test_words_of_tec_have_a_state_and_others_are_unknown() -> None:
    assert state_of("InProgress") is State.VALIDATING
    assert state_of("rejected ") is State.FAILED
    assert state_of("SomethingNew") is State.UNKNOWN


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Student Identification Code", "studentIdentificationCode"),
        ("NSN", "nsn"),
        ("courseCode", "courseCode"),
        ("Date Of Birth", "dateOfBirth"),
        ("Ngā Iwi", "ngaIwi"),
        ("Māori", "maori"),
        ("Local ID", "localId"),
    ],
)
def test_titles_become_names(title: str, name: str) -> None:
    assert camel_case(title) == name


def test_a_csv_file_becomes_records(tmp_path: Path) -> None:
    path = tmp_path / "2026 LEAR.csv"
    path.write_text(
        "Provider Code,Student Identification Code,Date Of Birth,Iwi,Fee\n"
        "9999,s1,12/03/1999,a;b,\n9999,s1,,,\n9999,,,,7\n",
        encoding="cp1252",
    )
    assumed = Assumed()
    found = list(records(path, collection_of(path), {}, assumed))
    assert found == [
        ("s1", {"studentIdentificationCode": "s1", "dateOfBirth": "1999-03-12T00:00:00Z", "iwi": ["a", "b"]})
    ]
    assert sum(assumed.unusable.values()) == 2
    assert assumed.left_out == ["providerCode"]


def test_types_come_from_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "REGT.csv"
    path.write_text("Course Code,Credits,Sites\nc1,15,a\n", encoding="utf-8")
    types = {"credits": {"type": "integer"}, "sites": {"type": "array"}, "courseCode": {"type": "string"}}
    assert list(records(path, Collection.COURSES, types, Assumed())) == [
        ("c1", {"courseCode": "c1", "credits": 15, "sites": ["a"]})
    ]


def test_a_file_without_the_key_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ENRL.csv"
    path.write_text("Course Code\nc1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="has no column for studentIdentificationCode"):
        list(records(path, Collection.COURSE_ENROLMENTS, {}, Assumed()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty: expected at least its titles"),
        ("Student Identification Code,Gender\ns1,F\ns2,F,Wiremu, Ngata\n", "more cells than titles in row 3"),
        ("Student Identification Code,Gender,\ns1,F,\ns2,Ngata,F\n", "more cells than titles in row 3"),
        ('Student Identification Code,Name\ns1,"Ngata\ns2,Ria\n', "cannot be read as CSV .*; nothing was loaded"),
        ("Student Identification Code,Name,name\ns1,Ria,\n", "more than one column for name"),
        ("Gender\n", "has no column for studentIdentificationCode"),
        ("Student Identification Code,Name,Town\ns1,M\xc4\x81ria,Br\xfbl\xe9\n", "neither UTF-8 nor Windows-1252"),
        ("Student Identification Code,Name\ns\x001,Ria\n", "neither UTF-8 nor Windows-1252"),
        ("Student Identification Code;Name\ns1;Ria\n", "are separated by semicolons: expected commas"),
        ("sep=;\nStudent Identification Code;Name\ns1;Ria\n", "are separated by semicolons: expected commas"),
        ("Student Identification Code\tName\ns1\tRia\n", "are separated by tabs: expected commas"),
        ("Student Identification Code,Name\n\n,\ns1,Ria,x\n", "more cells than titles in row 4"),
        ("Student Identification Code,Name,Town\ns1,Ria,Nelson\ns2,Mi", "ends in the middle of row 3"),
    ],
)
def test_file_that_is_cut_or_shifted_is_refused_whole(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "LEAR.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match=words):
        list(records(path, Collection.LEARNERS, {}, Assumed()))


def test_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no file .*LEAR\.csv; nothing was loaded"):
        list(records(tmp_path / "LEAR.csv", Collection.LEARNERS, {}, Assumed()))


def test_rows_and_lines_that_spreadsheets_add_are_no_records(tmp_path: Path) -> None:
    path = tmp_path / "LEAR.csv"
    path.write_text("sep=,\nStudent Identification Code,Name\n\n,\ns1,Ria\n ,\t\ns2\n ", encoding="utf-8")
    assumed = Assumed()
    found = list(records(path, Collection.LEARNERS, {}, assumed))
    expected = {"studentIdentificationCode": "s1", "name": "Ria"}
    assert found == [("s1", expected), ("s2", {"studentIdentificationCode": "s2"})]
    assert (assumed.rows, dict(assumed.unusable)) == (2, {})


def test_number_that_is_none_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "LEAR.csv"
    path.write_text("Student Identification Code,Fee\ns1,NaN\n", encoding="utf-8")
    found = list(records(path, Collection.LEARNERS, {"fee": {"type": "number"}}, Assumed()))
    assert found == [("s1", {"studentIdentificationCode": "s1", "fee": "NaN"})]


@pytest.mark.parametrize(("kind", "text"), [("integer", "1_000"), ("integer", "9" * 30), ("number", "1_0")])
def test_number_as_json_has_none_stays_text(tmp_path: Path, kind: str, text: str) -> None:
    path = tmp_path / "LEAR.csv"
    path.write_text(f"Student Identification Code,Fee\ns1,{text}\n", encoding="utf-16")
    found = list(records(path, Collection.LEARNERS, {"fee": {"type": kind}}, Assumed()))
    assert found == [("s1", {"studentIdentificationCode": "s1", "fee": text})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2001-11-30 00:00:00.000", "2001-11-30T00:00:00Z"),
        ("30/11/2001 12:00:00 a.m.", "2001-11-30T00:00:00Z"),
        ("30-11-2001", "2001-11-30T00:00:00Z"),
        ("2001-11-30 13:30:00", "2001-11-30 13:30:00"),
        ("11/30/2001", "11/30/2001"),
        ("31/02/2001", "31/02/2001"),
    ],
)
def test_day_becomes_midnight_utc_and_what_is_none_stays(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "LEAR.csv"
    path.write_text(f"Student Identification Code,Date Of Birth\ns1,{text}\n", encoding="utf-8")
    (found,) = records(path, Collection.LEARNERS, {}, Assumed())
    assert found[1]["dateOfBirth"] == expected


def test_column_of_own_ids_is_the_key_and_no_member(tmp_path: Path) -> None:
    path = tmp_path / "ENRL.csv"
    path.write_text("Local Id,Course Code\na;b,c1\n,c2\n", encoding="utf-8")
    assumed = Assumed()
    assert list(records(path, Collection.COURSE_ENROLMENTS, {}, assumed)) == [("a;b", {"courseCode": "c1"})]
    assert (assumed.key, dict(assumed.unusable)) == (("localId",), {"local_id is empty": 1})
