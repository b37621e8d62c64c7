"""Near misses: a misspelt name, a file that is not read, a slip in a connection string."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.settings.near_misses import (
    misspelt_names,
    misspelt_variables,
    unread_files,
)
from api_pipeline.sql.connection_slips import connection_string_slips, malformed

RIGHT = "Driver={ODBC Driver 18 for SQL Server};Server=db1;Database=SSD;UID=runner;"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sqlite:///a.db",
        RIGHT + "PWD={a;b}}c}",
        RIGHT + "PWD={a;b}}c};",
        RIGHT + "PWD=plain;Encrypt=yes;TrustServerCertificate=yes",
        "DSN=Council;Trusted_Connection=yes",
        RIGHT + "X_OWN_DRIVER_WORD=1",
    ],
)
def test_right_connection_string_has_no_slip(text: str) -> None:
    assert connection_string_slips(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RIGHT + "PWD=half;secret", "a part without KEYWORD= behind PWD; a value with ; { or } in it stands in braces"),
        (RIGHT + "PWD={half}secret;", "text stands between a closing brace and the next semicolon"),
        (RIGHT + "PWD={half;secret", "a brace is opened and not closed"),
        (RIGHT + "Pasword=secret", "has the keyword Pasword, which drivers do not know; password is one"),
        ("Server=db1;Database=SSD;Trusted_Connection=yes", "names no driver"),
        (f'"{RIGHT}"', "begins or ends with a quote"),
    ],
)
def test_slip_in_a_connection_string_is_named_without_its_value(text: str, said: str) -> None:
    sentences = " ".join(connection_string_slips(text))
    assert said in sentences
    assert "secret" not in sentences
    assert "half" not in sentences


@pytest.mark.parametrize("quote", ["\u201c", "\u2019"])
def test_curly_quotation_mark_is_what_makes_a_string_unusable(quote: str) -> None:
    assert "has a curly quotation mark in it" in malformed(f"{quote}{RIGHT}{quote}")
    assert malformed(RIGHT) == ""


def test_part_of_a_password_that_looks_like_a_keyword_is_not_named() -> None:
    sentences = " ".join(connection_string_slips(RIGHT + "PWD=a;hush=b;c"))
    assert "without KEYWORD=;" in sentences
    assert "hush" not in sentences


def test_misspelt_names_of_a_file_are_named_with_the_right_one() -> None:
    (said,) = misspelt_names(["DB_CONECTION_STRING", "LA_CODE", "OTHER_PROGRAMS_NAME"], ".env")
    assert said == "DB_CONECTION_STRING in .env is not a setting and has no effect; DB_CONNECTION_STRING is one."


def test_misspelt_variables_are_named_unless_the_right_one_is_set() -> None:
    said = misspelt_variables({"la_code": "845", "CLIENT_SECERT": "x", "PATH": "/bin", "USER": "me", "LANG": "C"})
    assert [sentence.split()[0] for sentence in said] == ["la_code", "CLIENT_SECERT"]
    assert misspelt_variables({"la_code": "845", "LA_CODE": "845"}) == []


def test_settings_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("env.txt", ".env.txt"):
        (tmp_path / name).write_text("")
    read = tmp_path / ".env"
    another, misnamed = unread_files(None, tmp_path, None)
    assert "env.txt is not read, because another one was asked for" in another
    assert "rename it to .env" in misnamed
    assert [sentence.split()[2] for sentence in unread_files(read, tmp_path, tmp_path)] == [
        str(tmp_path / "env.txt"),
        str(tmp_path / ".env.txt"),
    ]


@pytest.mark.parametrize("is_another_read", [True, False])
def test_folder_with_the_name_of_a_settings_file_is_called_a_folder(tmp_path: Path, is_another_read: bool) -> None:
    (tmp_path / ".env").mkdir()
    (tmp_path / "env.txt").write_text("")
    read = tmp_path / "env.txt" if is_another_read else tmp_path / "test.env"
    first, *_ = unread_files(read, tmp_path, None)
    assert first.startswith(f"{tmp_path / '.env'} is a folder, so no settings are read from it; rename it")
