"""Many changed rows go in few statements, counted on a database as strict as SQL Server: each is a round trip."""

from __future__ import annotations

from pathlib import Path

from api_pipeline.db import connect
from api_pipeline.sdr import schema as sdr
from api_pipeline.sdr.nouns import Collection, ReturnPeriod, TecFinding
from api_pipeline.sdr.statements import Scope
from api_pipeline.sdr.store import Store
from tests.support.strict import StrictServer, strict_database
from tests.support.xporter import TODAY, Rehearsal, make_school

ROWS = 60


def test_changed_and_removed_pupils_go_in_a_few_statements(tmp_path: Path) -> None:
    school = make_school(1, pupils=ROWS, weeks=0, today=TODAY)
    pupils = list(school.pupils)
    server = StrictServer()
    with strict_database(tmp_path, server) as database:
        connection = connect(database.connection_string)
        try:
            rehearsal = Rehearsal(tmp_path / "unused.db", [school], endpoints=("Students",), connection=connection)
            assert rehearsal.collect().exit_code == 0
            before = server.statements
            school.change(pupils[0], Surname="Other")
            rehearsal.collect()
            for_one = server.statements - before
            for number, pupil in enumerate(pupils):
                school.change(pupil, Surname=f"O'Other {number}", FsmEligible=None)
            for pupil in pupils[:20]:
                school.leave(pupil)
            before = server.statements
            done = rehearsal.collect()
            assert rehearsal.landed("Students", school.estab) == rehearsal.expected("Students", school)
        finally:
            connection.close()

    assert (done.counts.changed, done.counts.deleted) == (ROWS - 20, 20)
    # 15 rows of all their columns go in one statement; those who left are looked for in each table.
    assert server.statements - before - for_one < ROWS / 2


def test_findings_of_a_validation_mark_records_in_a_few_statements(tmp_path: Path) -> None:
    server = StrictServer()
    scope = Scope("https://tec.invented.example 1234", 202608)
    with strict_database(tmp_path, server) as database:
        connection = connect(database.connection_string)
        try:
            sdr.apply(connection, "sdr_staging")
            for number in range(ROWS):
                for collection in ("learners", "courses"):
                    connection.execute(
                        "INSERT INTO sdr_staging (collection, local_id, json_payload) VALUES (?, ?, '{}')",
                        [collection, f"s{number}"],
                    )
            store = Store(connection, sdr.tables("sdr_staging", database.dialect))
            store.begin(scope, ReturnPeriod(202608, 2026, 8))
            found = [
                TecFinding(number, Collection.LEARNERS, f"s{number // 2}", f"E{number}", "Error", "too long")
                for number in range(2 * ROWS)
            ]
            before = server.statements
            found.append(TecFinding(999, Collection.COURSES, "s0", "W1", "Warning", ""))
            store.store_findings(scope, "2026-11-27", found, (2 * ROWS, 1))
        finally:
            connection.close()
        marks = database.rows(
            "SELECT local_id, validation_errors, validation_warnings, api_response, return_id FROM sdr_staging "
            "WHERE collection = 'learners'"
        )
        others = database.rows(
            "SELECT local_id, validation_warnings FROM sdr_staging WHERE collection = 'courses' AND return_id = 202608"
        )

    assert sorted(marks) == sorted((f"s{n}", 2, 0, f"validation: E{2 * n}, E{2 * n + 1}", 202608) for n in range(ROWS))
    assert others == [("s0", 1)]
    assert server.statements - before < ROWS / 2
