"""Answers too large for memory, and answers in pages: what is landed is the same."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator.xporter import Quirk, SchoolConditions
from api_pipeline.xporter.wire.access import IN_MEMORY_BYTES
from tests.support.xporter import TODAY, Rehearsal, make_school


def test_an_answer_that_comes_as_a_file_lands_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    school = make_school(1, pupils=30, weeks=1, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "large.db", [school], in_memory_bytes=1000)
    assert rehearsal.collect().exit_code == 0
    for endpoint in ("Students", "AttendanceForDateRange", "StudentExclusions", "SEN"):
        assert rehearsal.landed(endpoint, school.estab) == rehearsal.expected(endpoint, school)
    assert rehearsal.collect().counts.unchanged > 100
    assert not list(tmp_path.glob("d2i-csc-api-*.answer"))


def test_files_that_a_killed_collection_left_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, in_use, of_others = (tmp_path / name for name in ("d2i-csc-api-1.answer", "d2i-csc-api-2.answer", "x.answer"))
    for path in (left, in_use, of_others):
        path.write_text("{}", encoding="utf-8")
    yesterday = time.time() - 86_400
    os.utime(left, (yesterday, yesterday))
    os.utime(of_others, (yesterday, yesterday))
    rehearsal = Rehearsal(tmp_path / "left.db", [make_school(1, pupils=1, weeks=0, today=TODAY)])
    assert rehearsal.collect().exit_code == 0
    assert [path.exists() for path in (left, in_use, of_others)] == [False, True, True]


def test_answer_that_cannot_be_written_to_the_temporary_folder_harms_its_school_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    schools = [make_school(number, pupils=pupils, weeks=0, today=TODAY) for number, pupils in ((1, 60), (2, 1))]
    rehearsal = Rehearsal(tmp_path / "full.db", schools, endpoints=("Students",), in_memory_bytes=8_000)
    summary = rehearsal.collect()
    assert (summary.exit_code, summary.rounds) == (5, 1)
    assert "temporary folder (No such file or directory); make room there" in summary.problems[0].text
    assert rehearsal.landed("Students", schools[1].estab) == rehearsal.expected("Students", schools[1])


def test_account_without_a_temporary_folder_collects_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_is_usable() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none_is_usable)
    rehearsal = Rehearsal(tmp_path / "none.db", [make_school(1, pupils=1, weeks=0, today=TODAY)])
    assert rehearsal.collect().exit_code == 0


@pytest.mark.parametrize("in_memory_bytes", [IN_MEMORY_BYTES, 1000])
def test_forced_pages_are_joined_and_a_round_that_moved_begins_again(tmp_path: Path, in_memory_bytes: int) -> None:
    school = make_school(1, pupils=23, weeks=1, today=TODAY)
    conditions = SchoolConditions(most_rows=7)
    rehearsal = Rehearsal(tmp_path / "paged.db", [school], conditions=conditions, in_memory_bytes=in_memory_bytes)
    rehearsal.simulator.add_quirk(Quirk("moved_between_pages", endpoint="Students", times=3))
    assert rehearsal.collect().exit_code == 0
    for endpoint in ("Students", "AttendanceForDateRange"):
        assert rehearsal.landed(endpoint, school.estab) == rehearsal.expected(endpoint, school)


@pytest.mark.parametrize("kind", ["moved_between_pages", "same_page"])
def test_pages_that_never_belong_together_leave_what_was_landed(tmp_path: Path, kind: str) -> None:
    school = make_school(1, pupils=23, weeks=1, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "paged.db", [school], endpoints=("Students",))
    rehearsal.collect()
    before = rehearsal.landed("Students", school.estab)
    school.enrol()
    # The pages have 24 rows together, also where each of them is the first.
    rehearsal.simulator.change(most_rows=8)
    rehearsal.simulator.add_quirk(Quirk(kind, endpoint="Students", times=None))
    assert rehearsal.collect().exit_code == 5
    assert rehearsal.landed("Students", school.estab) == before


def test_old_weeks_are_collected_once_and_a_leaver_is_taken_out_of_them(tmp_path: Path) -> None:
    from datetime import timedelta

    school = make_school(1, pupils=4, weeks=6, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "weeks.db", [school])
    earliest = TODAY - timedelta(weeks=5)
    assert rehearsal.collect(earliest=earliest).rounds == 5 + 6
    assert rehearsal.collect(earliest=earliest).rounds == 5 + 3
    school.leave(next(iter(school.pupils)))
    rehearsal.collect(earliest=earliest)
    assert rehearsal.landed("AttendanceForDateRange", school.estab) == rehearsal.expected(
        "AttendanceForDateRange", school
    )


def test_answer_without_its_table_keeps_the_rows_and_says_so(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "missing.db", [school], endpoints=("Students", "SchoolInfo"))
    rehearsal.collect()
    before = rehearsal.landed("Students", school.estab)
    rehearsal.simulator.add_quirk(Quirk("missing_table", endpoint="Students"))
    summary = rehearsal.collect()
    assert summary.exit_code == 1
    assert [problem.text for problem in summary.problems] == [
        "the answer holds none of its tables; 3 landed rows are kept as they are"
    ]
    assert rehearsal.landed("Students", school.estab) == before
