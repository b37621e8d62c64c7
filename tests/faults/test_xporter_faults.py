"""The database fails under the school data collector: nothing half written, and the next collection completes it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.db import ConnectionLost
from api_pipeline.errors import DatabaseError
from api_pipeline.sandbox.simulator.answer import Answer, json_answer
from api_pipeline.sandbox.simulator.xporter import Quirk, SchoolConditions, data
from api_pipeline.xporter.landing.removal import remove_school
from tests.support.xporter import TODAY, Rehearsal, day, make_school, total
from tests.support.xporter_moves import Killed


@pytest.mark.parametrize("at", [3, 25, 40, 60])
def test_a_database_that_goes_away_ends_with_3_and_leaves_whole_rounds(tmp_path: Path, at: int) -> None:
    schools = [make_school(number, pupils=3, weeks=1, today=TODAY) for number in (1, 2)]
    rehearsal = Rehearsal(tmp_path / "lost.db", schools)
    connection: Any = rehearsal.connection
    original = connection.execute
    left = [at]

    def failing(*args: Any, **keywords: Any) -> Any:
        left[0] -= 1
        if left[0] <= 0:
            raise ConnectionLost("The connection to the database was lost (SQLSTATE 08S01).")
        return original(*args, **keywords)

    connection.execute = failing
    summary = rehearsal.collect()
    del connection.execute

    assert summary.exit_code == 3
    for sync in rehearsal.store().syncs():
        if sync["endpoint"] == "Students":
            school = rehearsal.simulator.schools[sync["estab"]]
            assert rehearsal.landed("Students", school.estab) == rehearsal.expected("Students", school)
    assert rehearsal.collect().exit_code == 0
    for school in schools:
        assert rehearsal.landed("Students", school.estab) == rehearsal.expected("Students", school)
    rehearsal.connection.close()


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("DELETE", 'The table "xporter_Students" still has 3 rows of school 9990001 after all of them were deleted'),
        ("SCOPE", 'The table "xporter_Students" still has 3 rows of school 9990001 after all of them were deleted'),
        ("UPDATE", 'The table "xporter_Students" has 0 rows of school 9990001 from this collection where 1 was'),
    ],
)
def test_rows_that_a_trigger_keeps_as_they_are_are_a_database_error(tmp_path: Path, event: str, said: str) -> None:
    school = make_school(1, pupils=3, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "kept.db", [school], endpoints=("Students",))
    rehearsal.collect()
    rehearsal.connection.execute(
        f'CREATE TRIGGER keeper BEFORE {"DELETE" if event == "DELETE" else "UPDATE"} ON "xporter_Students" '
        "BEGIN SELECT RAISE(IGNORE); END"
    )
    if event == "DELETE":
        school.revoke(day(20))
    elif event == "SCOPE":
        school.scopes -= {"StudentFamily"}
    else:
        school.change(next(iter(school.pupils)), Surname="Changed")

    summary = rehearsal.collect()

    assert summary.exit_code == 3
    assert said in str(summary.errors[0])
    assert not [row for row in rehearsal.store().schools() if row["purged_at"]]
    rehearsal.connection.execute("DROP TRIGGER keeper")
    assert rehearsal.collect().exit_code == (1 if event == "SCOPE" else 0)
    assert total(rehearsal, "Students", school.estab) == (0 if event == "DELETE" else 3)
    rehearsal.connection.close()


def test_rows_written_by_another_program_in_between_are_a_database_error(tmp_path: Path) -> None:
    school = make_school(1, pupils=3, weeks=1, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "other.db", [school], endpoints=("Students",))
    rehearsal.connection.execute(
        'CREATE TRIGGER other AFTER INSERT ON "xporter_Students" BEGIN DELETE FROM "xporter_Students" '
        'WHERE row_key = NEW.row_key AND NEW.row_key = (SELECT MIN(row_key) FROM "xporter_Students"); END'
    )

    summary = rehearsal.collect()

    assert summary.exit_code == 3
    assert isinstance(summary.errors[0], DatabaseError)
    assert rehearsal.landed("Students", school.estab) == {}
    rehearsal.connection.close()


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_a_write_back_that_is_killed_at_any_change_writes_each_row_once(tmp_path: Path, at: int) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    rehearsal = Rehearsal(
        tmp_path / "killed.db", [school], endpoints=("Students",), conditions=SchoolConditions(is_fresh=True)
    )
    rehearsal.collect()
    conduct = {"IncidentType": "Ach", "RecordedById": 1, "EntryDate": TODAY.isoformat(), "TypeId": 4}
    for pupil in school.pupils:
        body = json.dumps({"Conduct": conduct, "Participants": [{"StudentId": pupil, "Points": 5}]})
        rehearsal.connection.execute(
            "INSERT INTO xporter_outbox (estab, kind, body) VALUES (?, 'conduct', ?)", [school.estab, body]
        )
    connection: Any = rehearsal.connection
    original = connection.execute
    left = [at]

    def failing(*args: Any, **keywords: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return original(*args, **keywords)

    connection.execute = failing
    with contextlib.suppress(Killed):
        rehearsal.write_back()
    del connection.execute
    connection.execute("UPDATE xporter_outbox SET sent_at = '2025-01-01 00:00:00' WHERE sent_at IS NOT NULL")
    for _ in range(2):
        rehearsal.write_back()

    assert [row[0] for row in connection.query("SELECT status FROM xporter_outbox")] == ["confirmed"] * 2
    assert len(school.data["AchievementForDateRange"]["Achievements"]) == 2
    connection.close()


def test_write_back_that_is_stopped_before_a_request_leaves_its_rows_pending(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "stopped.db", [school], endpoints=("Students",))
    rehearsal.collect()
    conduct = {"IncidentType": "Ach", "RecordedById": 1, "EntryDate": TODAY.isoformat(), "TypeId": 4}
    body = json.dumps({"Conduct": conduct, "Participants": [{"StudentId": next(iter(school.pupils)), "Points": 5}]})
    connection: Any = rehearsal.connection
    connection.execute("INSERT INTO xporter_outbox (estab, kind, body) VALUES (?, 'conduct', ?)", [school.estab, body])
    original = connection.execute

    def stopping(sql: str, *args: Any, **keywords: Any) -> Any:
        if "attempts = COALESCE(attempts, 0) + 1" in sql:
            rehearsal.stop.set()
        return original(sql, *args, **keywords)

    connection.execute = stopping
    summary = rehearsal.write_back()
    del connection.execute

    assert (summary.exit_code, summary.waiting, summary.unclear) == (130, 1, 0)
    assert [tuple(row) for row in connection.query("SELECT status, sent_at, attempts FROM xporter_outbox")] == [
        ("pending", None, 0)
    ]
    # It was in no request, so that data of before show nothing that would have to be waited for.
    rehearsal.stop.clear()
    assert rehearsal.write_back().became["confirmed"] == 1
    assert len(school.data["AchievementForDateRange"]["Achievements"]) == 1
    connection.close()


def test_row_that_is_nested_too_deeply_harms_its_own_endpoint_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schools = [make_school(number, pupils=3, weeks=1, today=TODAY) for number in (1, 2)]
    rehearsal = Rehearsal(tmp_path / "deep.db", schools, endpoints=("Students", "SchoolInfo"))
    schools[0].change(next(iter(schools[0].pupils)), Notes="nested here")

    def nested(status: int, value: Any) -> Answer:
        answer = json_answer(status, value)
        return replace(answer, body=answer.body.replace(b'"nested here"', b"[" * 300 + b"]" * 300))

    monkeypatch.setattr(data, "json_answer", nested)

    summary = rehearsal.collect()

    assert summary.exit_code == 1
    assert "nested too deeply" in summary.problems[0].text
    assert rehearsal.landed("Students", schools[0].estab) == {}
    assert rehearsal.landed("SchoolInfo", schools[0].estab)
    assert rehearsal.landed("Students", schools[1].estab) == rehearsal.expected("Students", schools[1])
    rehearsal.connection.close()


def test_two_endpoints_without_an_answer_end_a_school_only_in_a_row(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "row.db", [school])
    faults = {"SchoolInfo": "unavailable", "AttendanceCodes": "scope", "AttendanceForDateRange": "unavailable"}
    for endpoint, fault in faults.items():
        rehearsal.simulator.add_quirk(Quirk(fault, endpoint=endpoint, times=None))

    assert rehearsal.collect().exit_code == 5

    assert all(rehearsal.landed(name, school.estab) for name in ("StudentExclusions", "SEN"))


def test_school_that_is_removed_again_keeps_the_proof_of_its_removal(tmp_path: Path) -> None:
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    rehearsal = Rehearsal(tmp_path / "again.db", [school])
    rehearsal.collect()
    assert remove_school(rehearsal.store(), school.estab, None) > 0
    proof = rehearsal.store().schools()

    # As an operator does whose first call was killed right after its commit.
    assert remove_school(rehearsal.store(), school.estab, None) == 0

    assert rehearsal.store().schools() == proof


def test_word_that_is_no_state_of_a_school_keeps_no_other_school_from_being_removed(tmp_path: Path) -> None:
    first, second = (make_school(number, pupils=2, weeks=0, today=TODAY) for number in (1, 2))
    rehearsal = Rehearsal(tmp_path / "word.db", [first, second])
    rehearsal.collect()
    rehearsal.connection.execute("UPDATE xporter_school SET state = 'Authorised' WHERE estab = ?", [second.estab])

    assert remove_school(rehearsal.store(), first.estab, None) > 0

    assert rehearsal.write_back().exit_code == 0
    assert not rehearsal.landed("Students", first.estab)
    assert rehearsal.landed("Students", second.estab)
