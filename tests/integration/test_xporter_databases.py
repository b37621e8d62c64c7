"""The landing tables on a server and through ODBC: the generated scripts, a collection, the typed views."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from api_pipeline.db import connect
from api_pipeline.sandbox.synthetic_ssd.database import create_tables
from api_pipeline.settings.definitions.xporter import DEFAULT_ENDPOINTS
from api_pipeline.xporter.asking import choices
from api_pipeline.xporter.landing.removal import remove_school
from api_pipeline.xporter.schema import statements
from api_pipeline.xporter.status import exit_codes
from tests.support.databases import EXTERNAL_KIND, TestDatabase
from tests.support.effort import IS_LONG
from tests.support.xporter import TODAY, Rehearsal, day, make_school

pytestmark = pytest.mark.parametrize(
    "database", [*(["sqlite-odbc"] if IS_LONG else []), "postgresql-odbc", "strict", *EXTERNAL_KIND], indirect=True
)


def proof_of(rehearsal: Rehearsal, estab: str) -> tuple[object, ...]:
    """Return the state of a school, when its rows were removed, how many, and since when it is in that state."""
    (school,) = (one for one in rehearsal.store().schools() if one["estab"] == estab)
    return tuple(school[name] for name in ("state", "purged_at", "purged_rows", "state_since"))


def test_collection_lands_changes_and_removes_rows_on_each_database(database: TestDatabase, tmp_path: Path) -> None:
    connection = connect(database.connection_string)
    schools = [make_school(number, pupils=4, weeks=1, today=TODAY) for number in (1, 2)]
    rehearsal = Rehearsal(tmp_path / "unused.db", schools, connection=connection, schema=database.schema)
    try:
        assert rehearsal.collect().exit_code == 0
        for school in schools:
            for endpoint in ("Students", "AttendanceForDateRange", "StudentExclusions", "SEN", "AttendanceCodes"):
                assert rehearsal.landed(endpoint, school.estab) == rehearsal.expected(endpoint, school)
        key = next(iter(schools[0].pupils))
        schools[0].change(key, Surname="O'Néill \U0001f600", FsmEligible=None)
        schools[0].leave(list(schools[0].pupils)[1])
        schools[1].scopes = schools[1].scopes - {"UPN"}
        summary = rehearsal.collect()
        assert summary.exit_code == 1
        for school in schools:
            assert rehearsal.landed("Students", school.estab) == rehearsal.expected("Students", school)
        again = rehearsal.collect()
        assert (again.counts.added, again.counts.changed, again.counts.deleted) == (0, 0, 0)
        schools[1].revoke(day(20))
        rehearsal.collect()
        assert rehearsal.landed("Students", schools[1].estab) == {}
        # As an operator who removes for good what a revocation has emptied, once and again.
        proofs = [proof_of(rehearsal, schools[1].estab)]
        for _ in range(2):
            assert remove_school(rehearsal.store(), schools[1].estab, None) == 0
            proofs.append(proof_of(rehearsal, schools[1].estab))
        assert [state for state, *_ in proofs] == ["revoked", "removed", "removed"]
        assert proofs[0][1:3] == proofs[1][1:3]
        assert proofs[1] == proofs[2]
        assert proofs[0][2] not in (None, 0)
        # The next collections do not remove it another time.
        assert not any("0 rows were removed" in line for _ in range(3) for line in rehearsal.collect().lines)
    finally:
        connection.close()


def test_collection_dated_years_ahead_comes_last_on_each_database(database: TestDatabase, tmp_path: Path) -> None:
    connection = connect(database.connection_string)
    rehearsal = Rehearsal(
        tmp_path / "unused.db",
        [make_school(1, pupils=1, weeks=0, today=TODAY)],
        endpoints=("Students",),
        connection=connection,
        schema=database.schema,
    )
    try:
        rehearsal.collect()
        (first,) = exit_codes(rehearsal.store())
        sql = f"UPDATE {rehearsal.names.table('xporter_run')} SET started_at = ?"
        connection.execute(sql, [datetime(2999, 1, 1, 2)])  # noqa: DTZ001 - the journal keeps UTC without a zone
        rehearsal.collect()
        assert [run for run, _ in exit_codes(rehearsal.store())].index(first[0]) == 1
    finally:
        connection.close()


def test_outbox_numbers_its_rows_and_confirms_them_on_each_database(database: TestDatabase, tmp_path: Path) -> None:
    connection = connect(database.connection_string)
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    rehearsal = Rehearsal(
        tmp_path / "unused.db", [school], endpoints=("Students",), connection=connection, schema=database.schema
    )
    outbox = rehearsal.names.table("xporter_outbox")
    body = {"StudentId": next(iter(school.pupils)), "Date": TODAY.isoformat(), "Session": "PM", "Mark": "\\"}
    try:
        rehearsal.collect()
        for _ in range(2):
            sql = f"INSERT INTO {outbox} (estab, kind, body) VALUES (?, 'attendance', ?)"
            connection.execute(sql, [school.estab, json.dumps(body)])
        summary = rehearsal.write_back()
        assert (summary.became["confirmed"], summary.became["refused"], summary.errors) == (1, 1, [])
        rows = connection.query(f"SELECT status, created_at FROM {outbox} ORDER BY id")
        assert [str(row[0]) for row in rows] == ["refused", "confirmed"]
        assert all(row[1] is not None for row in rows)
        school.revoke(day(20))
        rehearsal.collect()
        assert connection.query(f"SELECT COUNT(*) FROM {outbox}")[0][0] == 0
    finally:
        connection.close()


def test_views_read_texts_as_their_types_and_what_cannot_be_read_as_null(
    database: TestDatabase, tmp_path: Path
) -> None:
    connection = connect(database.connection_string)
    school = make_school(1, pupils=3, weeks=1, today=TODAY)
    keys = list(school.pupils)
    school.change(keys[0], DateOfBirth="2012-02-30", InLeaCare="yes", NumPossMarks="many")
    school.change(keys[1], DateOfBirth="2012-02-29", InLeaCare=1, NumPossMarks=100)
    rehearsal = Rehearsal(tmp_path / "unused.db", [school], connection=connection, schema=database.schema)
    names = rehearsal.names
    try:
        rehearsal.collect()
        columns = ", ".join(names.column(name) for name in ("DateOfBirth", "InLeaCare", "NumPossMarks"))
        rows = connection.query(f"SELECT row_key, {columns} FROM {names.table('vStudents')}")
        read = {str(row[0]): tuple(row[1:]) for row in rows}
        assert (read[keys[0]][0], int(read[keys[0]][1]), read[keys[0]][2]) == (None, 1, None)
        # SQLite's ODBC driver hands a number of an expression over as a text.
        assert (str(read[keys[1]][0])[:10], *map(int, read[keys[1]][1:])) == ("2012-02-29", 1, 100)
    finally:
        connection.close()


def test_attendance_view_counts_each_childs_marks_beside_cin(database: TestDatabase, tmp_path: Path) -> None:
    connection = connect(database.connection_string)
    school = make_school(1, pupils=2, weeks=0, today=TODAY)
    key, other = school.pupils
    school.change(other, UPN="")
    for session, mark in (("AM", "/"), ("PM", "O")):
        school.mark(key, TODAY, session, mark)
        school.mark(other, TODAY, session, mark)
    try:
        prefix = f"{database.schema}." if database.schema else ""
        create_tables(connection.execute, connection.dialect, database.schema)
        connection.execute(
            f"INSERT INTO {prefix}ssd_person (pers_person_id, pers_upn) VALUES (?, ?)",
            ["P1", str(school.pupils[key]["UPN"]).lower()],
        )
        # Without UPNs nothing says that this child is that pupil.
        connection.execute(f"INSERT INTO {prefix}ssd_person (pers_person_id, pers_upn) VALUES ('P2', '')")
        rehearsal = Rehearsal(tmp_path / "unused.db", [school], connection=connection, schema=database.schema)
        chosen = [choice.endpoint for choice in choices(DEFAULT_ENDPOINTS)]
        for statement in statements(rehearsal.names, chosen, with_ssd=prefix):
            connection.execute(statement)
        rehearsal.collect()
        view = rehearsal.names.table("vChildAttendance")
        rows = connection.query(
            f"SELECT person_id, possible, present, authorised, unauthorised, is_cin, is_cla FROM {view}"
        )
        assert [(str(row[0]), *(int(value) for value in row[1:])) for row in rows] == [("P1", 2, 1, 0, 1, 0, 0)]
    finally:
        connection.close()
