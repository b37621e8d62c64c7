"""The report of a run, read from journal, submission log and staging table on every database."""

import re
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from api_pipeline.errors import SettingsError
from api_pipeline.reports.nights import gather_nights
from api_pipeline.reports.report_file import write_report
from api_pipeline.reports.run_report import RuleErrors, RunReport, gather
from api_pipeline.run_summary import RunSummary
from tests.support.commands import Completed, invoke_cli
from tests.support.databases import TestDatabase, one_kind
from tests.support.staging import fill, staged
from tests.support.stores import store_of

BEGAN = datetime(2026, 11, 20, 2, 0, 4)  # noqa: DTZ001 - the journal keeps UTC without a zone
LATER = timedelta(seconds=9)
HERE = "https://receiver.example/children"


def journal(database: TestDatabase, run_id: str, nights_ago: int = 0, **columns: Any) -> None:
    began = BEGAN - timedelta(days=nights_ago)
    values: dict[str, Any] = {
        "run_id": run_id,
        "staging_table": database.table,
        "receiver": HERE,
        "mode": "live",
        "payloads": "full",
        "started_at": began,
        "finished_at": began + timedelta(seconds=50),
        **dict.fromkeys(("due", "accepted"), 100),
        **dict.fromkeys(("refused", "undelivered", "deleted", "unchanged", "not_tried", "exit_code"), 0),
        **columns,
    }
    insert(database, "ssd_api_runs", values)


def log(
    database: TestDatabase, run_id: str, person: str, outcome: str, answer: str, nights_ago: int = 0, table: str = ""
) -> None:
    values = {
        "run_id": run_id,
        "batch": 1,
        "staging_table": table or database.table,
        "staging_id": 1,
        "person_id": person,
        "kind": "full",
        "sent_hash": "0" * 64,
        "outcome": outcome,
        "answer": answer,
        "logged_at": BEGAN - timedelta(days=nights_ago) + LATER,
    }
    insert(database, "ssd_api_submission_log", values)


def insert(database: TestDatabase, table: str, values: dict[str, Any]) -> None:
    is_text = database.dialect.value == "sqlite"
    bound = [str(value) if is_text and isinstance(value, datetime) else value for value in values.values()]
    marks = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {database.named(table)} ({', '.join(values)}) VALUES ({marks})", bound)


def report_of(database: TestDatabase, **keywords: Any) -> RunReport:
    with store_of(database) as store:
        return gather(store, database.table, **keywords)


def command(database: TestDatabase, folder: Path, *arguments: str) -> Completed:
    return invoke_cli([*arguments], database.settings, folder)


def told(groups: list[RuleErrors]) -> list[tuple[str, int, int, list[str]]]:
    return [(group.rule, group.in_error, group.in_run, list(group.people)) for group in groups]


@pytest.mark.strict
def test_errors_come_from_the_runs_log_and_from_rows_in_error(deployed: TestDatabase) -> None:
    journal(deployed, "run-a", refused=2, exit_code=1)
    log(deployed, "run-a", "1", "refused", "HTTP 400: surname: '***' is too long")
    log(deployed, "run-a", "2", "undelivered", "HTTP 503: unavailable")
    log(deployed, "run-a", "9", "accepted", "a receipt")
    log(deployed, "run-b", "8", "refused", "HTTP 400: another run's")
    fill(
        deployed,
        deployed.table,
        [
            staged("1", status="Error", response="HTTP 400: surname: 'Featherstonehaugh' is too long"),
            staged("3", status=" ERROR ", response="Payload refused before sending: sex: required: is missing"),
            staged("4", status="Sent", response="a receipt"),
        ],
    )
    assert told(report_of(deployed).errors) == [
        ("HTTP 400: surname: '***' is too long", 1, 1, ["1"]),
        ("HTTP 503: unavailable", 0, 1, ["2"]),
        ("Payload refused before sending: sex: required: is missing", 1, 0, ["3"]),
    ]


@one_kind
def test_the_last_run_is_reported_unless_another_is_named(deployed: TestDatabase) -> None:
    for nights_ago in (3, 1, 2):
        journal(deployed, f"run-{nights_ago}", nights_ago, due=nights_ago)
    last, named = report_of(deployed), report_of(deployed, run_id="run-3")
    assert last.run is not None
    assert named.run is not None
    assert (last.run.run_id, last.run.due, last.receiver) == ("run-1", 1, HERE)
    assert (named.run.run_id, named.run.due, named.run.started_at) == ("run-3", 3, BEGAN - timedelta(days=3))
    assert [run.run_id for run in named.runs] == ["run-1", "run-2", "run-3"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_last_run_that_found_nothing_due_gives_way_to_one_with_something(
    deployed: TestDatabase, tmp_path: Path
) -> None:
    journal(deployed, "empty-alone", 4, due=0, accepted=0, exit_code=0)
    assert "The last run" not in command(deployed, tmp_path, "report").out
    journal(deployed, "failed", 3, due=0, accepted=0, exit_code=3)
    journal(deployed, "empty", 2, due=0, accepted=0, exit_code=0)
    shown = report_of(deployed).run
    assert (shown.run_id if shown else None) == "failed"
    done = command(deployed, tmp_path, "report")
    assert "found nothing due; the page shows the one before it" in done.out
    assert "--run-id empty" in done.out
    named = report_of(deployed, run_id="empty").run
    assert (named.run_id if named else None) == "empty"


@one_kind
def test_a_run_older_than_the_chart_can_still_be_reported(deployed: TestDatabase) -> None:
    for nights_ago in range(35):
        journal(deployed, f"run-{nights_ago}", nights_ago)
    found = report_of(deployed, run_id="run-34")
    assert found.run is not None
    assert found.run.run_id == "run-34"
    assert [run.run_id for run in found.runs] == [f"run-{number}" for number in range(30)]


@pytest.mark.strict
def test_nights_are_read_with_their_errors_and_since_when_they_last(deployed: TestDatabase) -> None:
    rule, other = "HTTP 400: surname: '***' is too long", "HTTP 400: sex: is missing"
    for nights_ago, failures in (
        (2, [("1", rule), ("2", other)]),
        (1, [("1", rule)]),
        (0, [("1", rule), ("3", other)]),
    ):
        journal(deployed, f"run-{nights_ago}", nights_ago, refused=len(failures), exit_code=1)
        for person, answer in failures:
            log(deployed, f"run-{nights_ago}", person, "refused", answer, nights_ago)
    log(deployed, "run-1", "2", "accepted", "a receipt", 1)
    log(deployed, "run-x", "1", "refused", rule, 200)
    rows = [staged("1", status="Error", response=rule), staged("3", status="error", response=other)]
    fill(deployed, deployed.table, [*rows, staged("2", status="sent", response="a receipt")])

    with store_of(deployed) as store:
        nights = gather_nights(store, deployed.table, gather(store, deployed.table).in_error)

    assert [run.run_id for run in nights.runs] == ["run-0", "run-1", "run-2"]
    assert [(one.rule, list(one.counts), one.in_error) for one in nights.rules] == [
        (rule, [1, 1, 1], 1),
        (other, [1, 0, 1], 1),
    ]
    assert [one.since for one in nights.rules] == [BEGAN - timedelta(days=200) + LATER, BEGAN + LATER]
    assert [(one.person, one.since) for one in nights.failing] == [
        ("1", BEGAN - timedelta(days=200) + LATER),
        ("3", BEGAN + LATER),
    ]


@one_kind
def test_folder_gets_a_first_page_that_leads_to_the_runs_page(deployed: TestDatabase, tmp_path: Path) -> None:
    journal(deployed, "0a1b2c3d-run")
    journal(deployed, "ffffffff-run", 1)

    done = command(deployed, tmp_path, "report", "--folder", "pages")

    index = (tmp_path / "pages" / "index.html").read_text(encoding="utf-8")
    assert "index.html" in done.out
    assert index.count("<a href=") == 1
    assert 'href="csc-api-run-2026-11-20-020004-0a1b2c3d.html"' in index


@one_kind
def test_run_missing_from_the_journal_is_refused(deployed: TestDatabase) -> None:
    with pytest.raises(SettingsError, match="The journal has no run nothing"):
        report_of(deployed, run_id="nothing")


@one_kind
def test_a_run_on_another_table_is_refused_and_that_table_named(deployed: TestDatabase) -> None:
    journal(deployed, "run-a", staging_table=deployed.anon_table)
    with pytest.raises(SettingsError, match=re.escape(f"--table {deployed.anon_table}")):
        report_of(deployed, run_id="run-a")


def test_nights_that_spelled_the_table_otherwise_count_as_well(deployed: TestDatabase) -> None:
    spelled, rule = deployed.table.upper(), "HTTP 400: surname: '***' is too long"
    journal(deployed, "run-1", 1, staging_table=spelled)
    journal(deployed, "run-0")
    log(deployed, "run-1", "1", "refused", rule, 1, table=spelled)
    log(deployed, "run-1", "2", "refused", rule, 1, table=spelled)
    log(deployed, "run-0", "2", "accepted", "a receipt")
    fill(deployed, deployed.table, [staged(person, status="error", response=rule) for person in ("1", "2")])

    with store_of(deployed) as store:
        report = gather(store, deployed.table, run_id="run-1")
        nights = gather_nights(store, deployed.table, report.in_error)

    assert [run.run_id for run in nights.runs] == ["run-0", "run-1"]
    assert [list(one.counts) for one in nights.rules] == [[2, 0]]
    assert [one.person for one in nights.failing] == ["1"]


@one_kind
def test_a_run_that_has_just_ended_is_reported_without_a_journal(deployed: TestDatabase) -> None:
    deployed.execute(f"DROP TABLE {deployed.named('ssd_api_runs')}")
    summary = RunSummary(
        run_id="run-z",
        table=deployed.table,
        receiver=HERE,
        is_testing=True,
        is_deltas=False,
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(seconds=2),
        due=7,
        accepted=4,
        rejected=1,
        refused=1,
    )
    found = report_of(deployed, run_id="run-z", summary=summary)
    assert found.run is not None
    assert (found.run.due, found.run.refused, found.run.not_tried, found.run.exit_code) == (7, 2, 1, 1)
    assert (found.has_journal, found.is_testing, found.runs) == (False, True, [])


def test_the_command_writes_the_page_and_says_where(deployed: TestDatabase, tmp_path: Path) -> None:
    journal(deployed, "0a1b2c3d-run")
    done = command(deployed, tmp_path, "report", "--folder", "pages/of/2026")
    path = tmp_path / "pages" / "of" / "2026" / "csc-api-run-2026-11-20-020004-0a1b2c3d.html"
    assert (done.code, done.err) == (0, "")
    assert path.name in done.out
    assert "Everything due was accepted" in path.read_text(encoding="utf-8")


def test_command_works_without_control_tables(deployed: TestDatabase, tmp_path: Path) -> None:
    for table in ("ssd_api_runs", "ssd_api_submission_log", "ssd_api_held", "ssd_api_unconfirmed"):
        deployed.execute(f"DROP TABLE {deployed.named(table)}")
    fill(deployed, deployed.table, [staged("31", status="error", response="HTTP 400: sex: is missing")])
    assert command(deployed, tmp_path, "report").code == 0
    (path,) = tmp_path.glob("csc-api-report-*.html")
    page = path.read_text(encoding="utf-8")
    assert "The journal (table ssd_api_runs) is not in this database" in page
    assert "The submission log is not in this database" in page
    assert "HTTP 400: sex: is missing" in page


@one_kind
def test_a_run_in_testing_mode_leaves_a_report_that_says_testing(deployed: TestDatabase, tmp_path: Path) -> None:
    fill(deployed, deployed.table, [staged("1"), staged("2", '{"la_child_id": "2", "child_details": "Wilhelmina"}')])
    done = command(deployed, tmp_path, "run", "--testing", "--report", "pages")
    (path,) = (tmp_path / "pages").glob("csc-api-run-*.html")
    page = unescape(path.read_text(encoding="utf-8"))
    assert done.code == 1
    assert f"Report: {path.relative_to(tmp_path)}" in done.out
    assert "TESTING." in page
    assert "1 record is in error" in page
    assert "Payload refused before sending" in page
    assert "Wilhelmina" not in page


@one_kind
def test_unwritable_report_does_not_change_the_exit_code(deployed: TestDatabase, tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("a file where a folder is expected", encoding="utf-8")
    fill(deployed, deployed.table, [staged("1")])
    done = command(deployed, tmp_path, "run", "--testing", "--quiet", "--report", "pages/here")
    assert done.code == 0
    assert "its report could not be made. The report cannot be written into the folder" in done.err


def test_many_rows_in_error_are_read_up_to_a_limit(
    deployed: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api_pipeline.reports.run_report._MOST_READ", 20)
    fill(
        deployed, deployed.table, [staged(str(number), status="error", response="HTTP 400: x") for number in range(25)]
    )
    found = report_of(deployed)
    assert (found.errors_read, found.rows_in_error, found.errors[0].in_error) == (20, 25, 20)
    page = write_report(found, tmp_path).read_text(encoding="utf-8")
    assert "Only the first 20 of 25 rows in error were read." in page
