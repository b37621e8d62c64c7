"""`sdr load`: files of a student management system into the staging table."""

from __future__ import annotations

import pytest

from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


def _write(provider: Provider, name: str, text: str) -> str:
    (provider.folder / name).write_text(text, encoding="utf-8")
    return name


def test_of_several_files_all_are_loaded_or_none(provider: Provider) -> None:
    learners = _write(provider, "LEAR.csv", "Student Identification Code,Gender\nS1,F\n")
    courses = _write(provider, "REGT.csv", 'Course Code,Course Title\nC1,"never closed\n')
    for second in ("ENRL.csv", courses):
        done = provider.sdr("load", learners, second)
        assert (done.code, "nothing was loaded" in done.err, done.out) == (2, True, ""), done.text
        assert provider.database.count(provider.table) == 0
    _write(provider, "REGT.csv", "Course Code,Course Title\nC1,Weaving\n")
    done = provider.sdr("load", learners, courses)
    assert (done.code, done.out.count("1 added")) == (0, 2), done.text
    assert provider.database.count(provider.table) == 2


@EMBEDDED
@pytest.mark.parametrize("title", ["localid", "LOCALID", "LocalID", "local_id", "Local Id"])
def test_column_of_ids_is_known_in_any_letters(provider: Provider, title: str) -> None:
    name = _write(provider, "LEAR.csv", f"\n\n{title},Student Identification Code,Gender\nx1,S1,F\n")
    assert "localId is made of: localId" in provider.sdr("load", name).out
    assert provider.sdr("submit", PERIOD).code == 0
    assert set(provider.held()) == {"x1"}


@EMBEDDED
def test_file_that_is_loaded_again_says_what_became_of_each_row(provider: Provider) -> None:
    head = "Student Identification Code,Gender\n"
    provider.sdr("load", _write(provider, "LEAR.csv", f"{head}S1,F\nS2,F\nS3,F\n"))
    done = provider.sdr("load", _write(provider, "LEAR.csv", f"{head}S1,F\nS2,M\nS4,F\n"))
    assert "1 added, 1 changed, 1 unchanged, 1 taken out" in done.out, done.text


@EMBEDDED
def test_row_is_named_as_a_spreadsheet_numbers_it(provider: Provider) -> None:
    name = _write(provider, "LEAR.csv", "sep=,\n\nStudent Identification Code,Gender\nS1,F\nS2,F,M\n")
    assert "more cells than titles in row 5;" in provider.sdr("load", name).err


@EMBEDDED
def test_pattern_names_the_files_where_the_shell_does_not(provider: Provider) -> None:
    _write(provider, "LEAR.csv", "Student Identification Code,Gender\nS1,F\n")
    _write(provider, "REGT.csv", "Course Code,Course Title\nC1,Weaving\n")
    done = provider.sdr("load", "*.csv")
    assert (done.code, done.out.count("1 added")) == (0, 2), done.text
    for pattern in ("*LEAR.txt", "**LEAR.txt"):
        assert f"There is no file {pattern}" in provider.sdr("load", pattern).err
