"""`status` on every database, and options of it and of other commands that are given without a text."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.common.clock import utc_now
from api_pipeline.errors import DatabaseError
from api_pipeline.logs.masking import mask_values
from api_pipeline.outbox.status import Overview, StateCount, overview
from api_pipeline.sql.identifiers import Dialect
from tests.support.commands import Completed, invoke_cli, run_cli
from tests.support.databases import TestDatabase, no_server
from tests.support.layouts import TYPES
from tests.support.staging import fill, row_of, staged, table_rows
from tests.support.stores import store_of

pytestmark = pytest.mark.strict

SOME = datetime(2026, 11, 2, 3, 4, 5)  # noqa: DTZ001 - the column has no zone
EARLIER = datetime(2026, 10, 1, 23, 59)  # noqa: DTZ001 - the column has no zone


def overview_of(database: TestDatabase, **keywords: Any) -> Overview:
    with store_of(database) as store:
        return overview(store, database.table, mask_values, **keywords)


def command(database: TestDatabase, folder: Path, *arguments: str) -> Completed:
    return invoke_cli([*arguments], database.settings, folder)


def statuses(database: TestDatabase) -> dict[str, str]:
    return {str(row["person_id"]): str(row["submission_status"]) for row in table_rows(database, database.table)}


def refused(person: str, answer: str | None, status: str = "error") -> Any:
    return staged(person, status=status, response=answer)


def journal(database: TestDatabase, run_id: str, began: str, table: str | None = None) -> None:
    database.execute(
        f"INSERT INTO {database.named('ssd_api_runs')} (run_id, staging_table, receiver, mode, payloads, started_at, "
        "due, accepted, refused, undelivered, deleted, unchanged, not_tried, exit_code) "
        "VALUES (?, ?, 'r', 'live', 'full', ?, 5, 4, 1, 0, 0, 0, 0, 1)",
        [run_id, table or database.table, began],
    )


def test_rows_are_counted_by_both_words_whatever_their_case_and_blanks(deployed: TestDatabase) -> None:
    words = [("New", "Pending"), ("new ", "PENDING"), ("NEW", " pending "), ("deleted", "sent"), (None, None)]
    fill(deployed, deployed.table, [staged(str(n), state=words[n][0], status=words[n][1]) for n in range(len(words))])
    assert overview_of(deployed).counts == [
        StateCount("", "", 1),
        StateCount("deleted", "sent", 1),
        StateCount("new", "pending", 3),
    ]


def test_oldest_pending_row_ignores_rows_that_are_not_due(deployed: TestDatabase) -> None:
    rows = [
        staged("1", status="Pending", last_updated=SOME),
        staged("2", status="PENDING ", last_updated=EARLIER),
        staged("3", status="sent", last_updated=datetime(2001, 1, 1)),  # noqa: DTZ001 - the column has no zone
        staged("4", state="Deleted", last_updated=datetime(2001, 1, 1)),  # noqa: DTZ001 - as above
    ]
    fill(deployed, deployed.table, rows)
    oldest = overview_of(deployed).oldest_pending
    assert oldest is not None
    assert oldest.startswith("2026-10-01 23:59:00")


@no_server
def test_an_empty_table_has_no_oldest_row_no_errors_and_no_counts(deployed: TestDatabase) -> None:
    assert overview_of(deployed) == Overview(counts=[], oldest_pending=None, errors=[], runs=[])


@no_server
def test_errors_are_grouped_without_values_most_frequent_first(deployed: TestDatabase) -> None:
    answers = [
        "HTTP 400: surname: 'Featherstonehaugh' is too long",
        "HTTP 400: surname: 'Cholmondeley' is too long",
        "HTTP 503: unavailable",
        None,
    ]
    fill(deployed, deployed.table, [refused(str(n), answer) for n, answer in enumerate(answers)])
    errors = overview_of(deployed).errors
    assert (errors[0].answer, errors[0].rows) == ("HTTP 400: surname: '***' is too long", 2)
    assert errors[0].person_id in ("0", "1")
    assert {(error.answer, error.rows) for error in errors[1:]} == {
        ("HTTP 503: unavailable", 1),
        ("(no answer stored)", 1),
    }


@no_server
def test_the_answers_of_rows_that_are_not_in_error_are_left_out(deployed: TestDatabase) -> None:
    fill(deployed, deployed.table, [refused("1", "HTTP 400: x", status="pending"), refused("2", "a receipt", "sent")])
    assert overview_of(deployed).errors == []


def test_the_latest_runs_of_this_table_are_listed_newest_first(deployed: TestDatabase) -> None:
    for day in (3, 1, 2):
        journal(deployed, f"run-{day}", f"2026-11-0{day} 02:00:00")
    journal(deployed, "elsewhere", "2026-11-09 02:00:00", table="another_table")
    runs = overview_of(deployed, runs=2).runs
    assert [run.run_id for run in runs] == ["run-3", "run-2"]
    assert (runs[0].due, runs[0].accepted, runs[0].refused, runs[0].exit_code) == (5, 4, 1, 1)
    assert runs[0].started_at == datetime(2026, 11, 3, 2)  # noqa: DTZ001 - the journal keeps UTC without a zone


def test_a_run_that_a_wrong_clock_dated_years_ahead_is_not_the_latest(deployed: TestDatabase) -> None:
    now = utc_now()
    for name, began in (("wrong", now + timedelta(days=1800)), ("ahead", now + timedelta(minutes=5)), ("before", now)):
        journal(deployed, name, began.isoformat(" ", "milliseconds"))

    assert [run.run_id for run in overview_of(deployed).runs] == ["ahead", "before", "wrong"]


def test_runs_that_spelled_the_table_otherwise_are_listed_as_well(deployed: TestDatabase) -> None:
    bare = deployed.table.rpartition(".")[2]
    journal(deployed, "capitals", "2026-11-01 02:00:00", table=bare.upper())
    journal(deployed, "with-schema", "2026-11-02 02:00:00", table=f"[any_schema].[{bare}]")
    journal(deployed, "kept-capitals", "2026-11-03 02:00:00", table=f"[{bare.upper()}]")
    journal(deployed, "no-name", "2026-11-04 02:00:00", table=f"{bare} of last year")

    runs = [run.run_id for run in overview_of(deployed).runs]

    # In brackets PostgreSQL keeps the capitals: that is another table there.
    own = [] if deployed.dialect is Dialect.POSTGRESQL else ["kept-capitals"]
    assert runs == [*own, "with-schema", "capitals"]


# On a server the columns have a type, and take no other text.
@pytest.mark.parametrize("database", ["sqlite", "strict"], indirect=True)
@pytest.mark.parametrize("column", ["started_at", "finished_at"])
@pytest.mark.parametrize("written", ["yesterday", 7])
def test_unreadable_time_of_a_run_is_named_and_one_with_a_zone_is_read(
    deployed: TestDatabase, tmp_path: Path, column: str, written: object
) -> None:
    journal(deployed, "by-hand", "2026-11-02 03:04:05+02:00")
    journal(deployed, "other", "2026-11-02 02:04:05")
    assert [run.run_id for run in overview_of(deployed).runs] == ["by-hand", "other"]
    assert overview_of(deployed).runs[0].started_at == SOME.replace(hour=1)
    deployed.execute(f"UPDATE ssd_api_runs SET {column} = ? WHERE run_id = 'by-hand'", [written])

    for arguments in (["status"], ["report"], ["report", "--run-id", "by-hand"]):
        refused = command(deployed, tmp_path, *arguments)
        assert refused.code == 3, refused.text
        assert f"ssd_api_runs has no readable time in {column} of run by-hand; write the time there" in refused.text


def test_status_works_without_last_updated_and_journal(database: TestDatabase) -> None:
    text, time = TYPES[database.dialect]["text"], TYPES[database.dialect]["time"]
    database.execute(
        f"CREATE TABLE {database.table} (id INTEGER PRIMARY KEY, person_id VARCHAR(48), previous_json_payload {text}, "
        f"json_payload {text}, partial_json_payload {text}, current_hash VARCHAR(64), previous_hash VARCHAR(64), "
        f"submission_status VARCHAR(50), submission_timestamp {time}, api_response {text}, row_state VARCHAR(10))"
    )
    database.execute(f"INSERT INTO {database.table} (id, submission_status, row_state) VALUES (1, 'pending', 'new')")
    found = overview_of(database)
    assert (found.counts, found.oldest_pending) == ([StateCount("new", "pending", 1)], None)
    assert (found.errors, found.runs) == ([], [])
    assert found.remarks == ["1 row would be due but has no payload: no run takes it (for example (no person id))"]


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
@pytest.mark.parametrize("has_times", [True, False])
def test_blank_payloads_are_counted_with_and_without_last_updated(deployed: TestDatabase, has_times: bool) -> None:
    rows = [staged("1", payload=" \n", last_updated=SOME), staged("2", payload=" ", status="sent"), staged("3")]
    fill(deployed, deployed.table, [*rows, staged("4", payload=" ", state="deleted")])
    if not has_times:
        deployed.execute(f"ALTER TABLE {deployed.table} DROP COLUMN last_updated")

    found = overview_of(deployed)

    assert (found.oldest_pending is not None) == has_times
    assert found.remarks == ["1 row would be due but has no payload: no run takes it (for example 1)"]


def test_a_table_that_is_not_there_is_named(database: TestDatabase) -> None:
    with pytest.raises(DatabaseError, match=f"The staging table {database.table} cannot be used"):
        overview_of(database)


@no_server
def test_the_commands_say_what_they_did(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [refused("1", "HTTP 400: surname: 'Featherstonehaugh' is too long"), staged("2")])
    shown = command(deployed, tmp_path, "status")
    assert (shown.code, shown.err) == (0, "")
    assert "HTTP 400: surname: '***' is too long  (for example 1)" in shown.out
    assert "Featherstonehaugh" not in shown.out
    put_back = command(deployed, tmp_path, "requeue", "--person-id", "1")
    assert put_back.out == f"1 row was put back to pending in {deployed.table}.\n"
    assert command(deployed, tmp_path, "requeue", "--quiet").out == ""


@no_server
def test_status_prints_the_same_for_machines(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [refused("1", "HTTP 503: unavailable"), staged("2", last_updated=SOME)])
    journal(deployed, "run-a", "2026-11-03 02:00:00")
    told = json.loads(command(deployed, tmp_path, "status", "--json").out)
    assert told["counts"] == [
        {"row_state": "new", "submission_status": "error", "rows": 1},
        {"row_state": "new", "submission_status": "pending", "rows": 1},
    ]
    assert told["errors"] == [{"answer": "HTTP 503: unavailable", "rows": 1, "person_id": "1"}]
    assert told["oldest_pending"].startswith("2026-11-02 03:04:05")
    assert [(run["run_id"], run["exit_code"], run["finished_at"]) for run in told["runs"]] == [("run-a", 1, None)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_letter_that_the_console_cannot_show_is_escaped(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [refused("\u0416-7", "HTTP 503: unavailable")])
    done = run_cli(["status"], {**deployed.settings, "PYTHONIOENCODING": "cp1252"}, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "(for example \\u0416-7)" in done.out


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_run_id_that_report_asks_for_stands_in_the_table_of_runs(deployed: TestDatabase, tmp_path: Path) -> None:
    journal(deployed, "0a1b2c3d-run", "2026-11-03 02:00:00")

    done = command(deployed, tmp_path, "status")

    assert "run id" in done.out
    assert done.out.splitlines()[-1].split()[-1] == "0a1b2c3d-run"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("member", ["no_such_member", "m1234567"])
def test_rule_that_made_a_record_invalid_is_shown_whole(deployed: TestDatabase, tmp_path: Path, member: str) -> None:
    payload = {"la_child_id": "1", "mis_child_id": "Featherstonehaugh 1999", member: 1}
    fill(deployed, deployed.table, [staged("P1", payload)])

    assert command(deployed, tmp_path, "run", "--table", deployed.table).code == 1
    told = command(deployed, tmp_path, "status", "--table", deployed.table).out

    answer = str(row_of(deployed, deployed.table, "P1")["api_response"])
    pattern = re.search(r"the text has characters or a form that (\S+) does not allow", answer)
    assert pattern is not None, answer
    assert f"{pattern[1]} does not allow" in told
    assert "Featherstonehaugh" not in answer + told
    assert ("m1234567" in answer) == (member == "m1234567")
    assert "m1234567" not in told


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "arguments",
    [
        ["requeue", "--matching", ""],
        ["requeue", "--person-id", " "],
        ["run", "--person-id", ""],
        ["run", "--table", ""],
        ["run", "--shard", ""],
        ["run", "--log-file", ""],
    ],
)
def test_an_option_from_an_empty_variable_is_refused_and_takes_no_row(
    deployed: TestDatabase, tmp_path: Path, arguments: list[str]
) -> None:
    fill(deployed, deployed.table, [refused("1", "x"), refused("2", "y")])

    done = command(deployed, tmp_path, arguments[0], "--table", deployed.table, *arguments[1:])

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Error: {arguments[1]} is given without a text, so nothing was done;")
    assert statuses(deployed) == {"1": "error", "2": "error"}
