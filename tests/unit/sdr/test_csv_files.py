"""The CSV files of student management systems: what becomes of their titles, cells and rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.sdr.csv_files import Assumed, camel_case, collection_of, records


def _read(
    path: Path, types: Mapping[str, Any] | None = None, assumed: Assumed | None = None
) -> list[tuple[str, dict[str, Any]]]:
    return list(records(path, collection_of(path), types or {}, assumed or Assumed()))


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
    found = _read(path, assumed=assumed)
    assert found == [
        ("s1", {"studentIdentificationCode": "s1", "dateOfBirth": "1999-03-12T00:00:00Z", "iwi": ["a", "b"]})
    ]
    assert sum(assumed.unusable.values()) == 2
    assert assumed.left_out == ["providerCode"]


def test_types_come_from_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "REGT.csv"
    path.write_text("Course Code,Credits,Sites\nc1,15,a\n", encoding="utf-8")
    types = {"credits": {"type": "integer"}, "sites": {"type": "array"}, "courseCode": {"type": "string"}}
    assert _read(path, types) == [("c1", {"courseCode": "c1", "credits": 15, "sites": ["a"]})]


def test_a_file_without_the_key_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ENRL.csv"
    path.write_text("Course Code\nc1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="has no column for studentIdentificationCode"):
        _read(path)


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
        _read(path)


def test_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no file .*LEAR\.csv; nothing was loaded"):
        _read(tmp_path / "LEAR.csv")


def test_file_that_a_spreadsheet_has_open_is_said_to_be_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "LEAR.csv"

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SettingsError, match=r"LEAR\.csv may not be read; nothing was loaded\. Close it in Excel"):
        _read(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows gives a folder the error of a file in use")
def test_folder_in_place_of_a_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "LEAR.csv"
    path.mkdir()
    with pytest.raises(SettingsError, match=r"LEAR\.csv cannot be read \(Is a directory\); nothing was loaded"):
        _read(path)


def test_rows_and_lines_that_spreadsheets_add_are_no_records(tmp_path: Path) -> None:
    path = tmp_path / "LEAR.csv"
    path.write_text("sep=,\nStudent Identification Code,Name\n\n,\ns1,Ria\n ,\t\ns2\n ", encoding="utf-8")
    assumed = Assumed()
    found = _read(path, assumed=assumed)
    expected = {"studentIdentificationCode": "s1", "name": "Ria"}
    assert found == [("s1", expected), ("s2", {"studentIdentificationCode": "s2"})]
    assert (assumed.rows, dict(assumed.unusable)) == (2, {})


def test_number_that_is_none_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "LEAR.csv"
    path.write_text("Student Identification Code,Fee\ns1,NaN\n", encoding="utf-8")
    found = _read(path, {"fee": {"type": "number"}})
    assert found == [("s1", {"studentIdentificationCode": "s1", "fee": "NaN"})]


@pytest.mark.parametrize(("kind", "text"), [("integer", "1_000"), ("integer", "9" * 30), ("number", "1_0")])
def test_number_as_json_has_none_stays_text(tmp_path: Path, kind: str, text: str) -> None:
    path = tmp_path / "LEAR.csv"
    path.write_text(f"Student Identification Code,Fee\ns1,{text}\n", encoding="utf-16")
    found = _read(path, {"fee": {"type": kind}})
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
    (found,) = _read(path)
    assert found[1]["dateOfBirth"] == expected


def test_column_of_own_ids_is_the_key_and_no_member(tmp_path: Path) -> None:
    path = tmp_path / "ENRL.csv"
    path.write_text("Local Id,Course Code\na;b,c1\n,c2\n", encoding="utf-8")
    assumed = Assumed()
    assert _read(path, assumed=assumed) == [("a;b", {"courseCode": "c1"})]
    assert (assumed.key, dict(assumed.unusable)) == (("localId",), {"local_id is empty": 1})
