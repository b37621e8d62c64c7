"""The collector's other commands and options: check, verify, catalogue, demo, dry run."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from api_pipeline.db import connect
from api_pipeline.db.run_lock import take
from api_pipeline.sandbox.simulator.xporter import Quirk, XporterServer, XporterSimulator
from api_pipeline.sandbox.synthetic_ssd.database import create_tables
from api_pipeline.sql.identifiers import Dialect
from tests.support.commands import invoke_cli
from tests.support.xporter import TODAY, make_school
from tests.support.xporter_council import Council


def test_without_landing_tables_the_command_says_how_to_make_them(council: Council) -> None:
    done = council.run("collect", DB_CONNECTION_STRING=f"sqlite:///{council.folder / 'missing.db'}")
    assert done.code == 3
    assert "xporter deploy-schema --apply" in done.err
    more = council.run("collect", XPORTER_ENDPOINTS="Students, SEN")
    assert more.code == 3
    assert "xporter deploy-schema --apply" in more.err


def test_wrong_endpoint_is_a_settings_error(council: Council) -> None:
    done = council.run("collect", XPORTER_ENDPOINTS="Pupils")
    assert done.code == 2
    assert "XPORTER_ENDPOINTS: Pupils is not an endpoint" in done.err


def test_a_dry_run_writes_nothing(council: Council) -> None:
    done = council.run("collect", "--dry-run")
    assert done.code == 0, done.text
    assert "Would write" in done.out
    assert council.count("Students", "9990001") == 0


def test_all_87_endpoints_can_be_collected_in_either_style_of_options(tmp_path: Path) -> None:
    from api_pipeline.xporter.catalogue import load_catalogue

    given = {
        "LinkedDocuments": "+DateFrom=2025-09-01+DateTo=2025-11-30",
        "StaffLinkedDocuments": "+DateFrom=2025-09-01+DateTo=2025-11-30",
        "DiscountCodes": "+KeyStage=4",
        "Students": "+includeLeavers",
    }
    names = [entry.name for entry in load_catalogue().endpoints if entry.name != "TestError"]
    endpoints = ", ".join(name + given.get(name, "") for name in names)
    with XporterServer(XporterSimulator([make_school(1, pupils=3, weeks=0, today=TODAY)])) as server:
        council = Council(server, tmp_path, [])
        council.settings |= {"XPORTER_ENDPOINTS": endpoints, "XPORTER_OPTIONS_STYLE": "flags"}
        assert council.run("deploy-schema", "--apply").code == 0
        done = council.run("collect")
    assert done.code == 0, done.text
    with sqlite3.connect(council.database) as connection:
        complete = connection.execute("SELECT COUNT(DISTINCT endpoint) FROM xporter_sync").fetchone()[0]
    assert complete == 86


def test_catalogue_config_and_scripts_of_every_database_are_printed(tmp_path: Path) -> None:
    shown = invoke_cli(["xporter", "catalogue", "students"], {}, tmp_path)
    assert shown.code == 0
    assert "UPN" in shown.out
    assert "XPORTER_RELYING_PARTY" in invoke_cli(["xporter", "config", "--example"], {}, tmp_path).out
    for dialect in ("sqlserver", "postgresql", "sqlite"):
        script = invoke_cli(["xporter", "deploy-schema", "--dialect", dialect], {}, tmp_path)
        assert script.code == 0, script.text
        assert "ChildAttendance" in script.out or "childattendance" in script.out


def test_demo_shows_a_leaver_a_revocation_and_attendance(tmp_path: Path) -> None:
    done = invoke_cli(["xporter", "demo", "--folder", str(tmp_path)], {}, tmp_path)
    assert done.code == 0, done.text
    assert "has left school" in done.out
    assert "rows were removed" in done.out
    assert "P002" in done.out
    assert invoke_cli(["xporter", "demo", "--folder", str(tmp_path)], {}, tmp_path).code == 0
    assert [path.name for path in tmp_path.glob("*.db")] == ["xporter-demo.db"]


def test_demo_says_that_a_folder_cannot_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("no folder", encoding="utf-8")

    done = invoke_cli(["xporter", "demo", "--folder", str(folder)], {}, tmp_path)

    assert (done.code, done.out) == (2, "")
    assert f"The folder {folder} cannot be written to" in done.err


def test_verify_compares_the_data_protection_list_with_the_landed_pupils(council: Council) -> None:
    school = council.schools[1]
    council.run("collect")
    school.withheld_people.add("no pupil of ours")
    both = "School 9990002: the API lists 1 person for data protection, 0 of whom are among the 4 landed pupils."
    assert both in council.run("collect", "--verify").out
    # Whom the roll still names although the list has them is what somebody should look at.
    school.withheld_people.add(next(iter(school.pupils)))
    kept = council.run("collect", "--verify", "--endpoint", "SchoolInfo", XPORTER_ENDPOINTS="SchoolInfo")
    assert "the API lists 2 people for data protection, 1 of whom is among the 4 landed pupils" in kept.out


def test_verify_collects_only_the_sets_whose_count_differs(council: Council) -> None:
    council.run("collect")
    council.query('DELETE FROM "xporter_Students" WHERE estab = ?', "9990002")
    council.query('UPDATE "xporter_Students" SET "Surname" = ?', "not asked for")

    done = council.run("collect", "--verify")

    assert done.code == 0, done.text
    assert "Verified: 8 sets" in done.out
    assert "School 9990002, Students: 0 rows are landed, the API says 4" in done.out
    assert council.count("Students", "9990002") == 4
    asked = council.query('SELECT DISTINCT estab FROM "xporter_Students" WHERE "Surname" <> \'not asked for\'')
    assert asked == [("9990002",)]
    assert council.run("collect", "--verify", XPORTER_KEEP_UNMATCHED="false").code == 3


@pytest.mark.parametrize(("setting", "landed"), [("extra", 4), ("add", 0), ("ignore", 0)])
def test_members_that_the_catalogue_does_not_know_are_kept_or_ignored(
    council: Council, setting: str, landed: int
) -> None:
    council.simulator.add_quirk(Quirk("extra_column", "9990001", "Students"))
    assert council.run("collect", XPORTER_NEW_COLUMNS=setting).code == 0
    with_more = council.query("SELECT COUNT(*) FROM \"xporter_Students\" WHERE extra LIKE '%BrandNew%'")
    assert with_more == [(landed,)]
    assert council.query("SELECT column_name FROM xporter_column WHERE column_name = 'BrandNew'") == [("BrandNew",)]


def test_match_waits_for_the_collection_that_may_remove_a_pupil_meanwhile(council: Council) -> None:
    create_tables(council.query, Dialect.SQLITE)
    other = connect(council.settings["DB_CONNECTION_STRING"])
    lock = take(other, '"xporter_sync"', (1, 2))
    try:
        assert council.run("match").code == 75
    finally:
        lock.release()
        other.close()
    assert council.run("match").code == 0


def test_deploy_schema_says_whether_the_view_of_attendance_was_made(council: Council) -> None:
    create_tables(council.query, Dialect.SQLITE)
    made = []
    for endpoints in ("Students", "Students, AttendanceForDateRange"):
        done = council.run("deploy-schema", "--apply", "--json", XPORTER_ENDPOINTS=endpoints)
        made.append(json.loads(done.out)["has_attendance_view"])
    assert made == [False, True]


def test_check_walks_to_the_api_step_by_step_before_a_school_is_asked(council: Council) -> None:
    done = council.run("check", "9990002")
    assert done.code == 0, done.text
    way = [line.split(":")[0] for line in done.out.splitlines()[:5]]
    assert way == ["settings", "DNS", "TCP", "proxy", "TLS"]
    assert done.out.index("TLS:") < done.out.index("School 9990002: token accepted")

    lost = council.run("check", "9990002", XPORTER_BASE_URL="https://nowhere.invalid")
    assert lost.code == 5
    assert "DNS: The name nowhere.invalid was not found; check its spelling" in lost.out
    assert "9990002" not in lost.out

    nobody = council.run("check", "--json", "9990002", XPORTER_TOKEN_URL="http://127.0.0.1:9/token")
    steps = [(step["subject"], step["outcome"]) for step in json.loads(nobody.out)["steps"]]
    assert (nobody.code, steps[-1]) == (5, ("TCP (token service)", "failed"))


def test_check_asks_for_this_week_where_an_endpoint_is_asked_by_week(council: Council) -> None:
    council.settings["XPORTER_ENDPOINTS"] = "Students, AttendanceForDateRange, TimetableForStudent"
    council.simulator.add_quirk(Quirk("scope", "9990002", "AttendanceForDateRange"))

    done = council.run("check", "9990002")

    assert done.code == 1
    assert "  AttendanceForDateRange: the school's consent does not cover this (HTTP" in done.out
    assert "  TimetableForStudent: no request was sent: it needs ids of another endpoint" in done.out


def test_check_says_how_many_people_the_api_lists_for_data_protection(council: Council) -> None:
    council.schools[1].withheld_people.add(next(iter(council.schools[1].pupils)))
    done = council.run("check", "9990002")
    assert done.code == 0, done.text
    assert "GDPRIDs: 1 entry; compare" in done.out
    assert "the data are 0 days old" in done.out


@pytest.mark.parametrize("command", ["collect", "write-back"])
def test_a_school_that_cannot_be_one_is_a_usage_error(council: Council, command: str) -> None:
    done = council.run(command, "--estab", "999", XPORTER_WRITE_BACK="attendance")
    assert done.code == 2
    assert 'ESTAB: expected seven digits (LA code and school number), got "999".' in done.text
    assert council.run("check", "999").code == 2


@pytest.mark.parametrize("command", ["collect", "write-back"])
def test_school_that_nobody_knows_here_is_refused_before_anything_is_done(council: Council, command: str) -> None:
    asked = ("--estab", "9990001", "--estab", "9990009")
    done = council.run(command, *asked, XPORTER_WRITE_BACK="attendance")
    assert done.code == 2
    assert 'known here (9990001, 9990002, 9990003), got "9990009"; if it is right' in done.err
    assert "xporter schools add 9990009" in done.err
    assert council.simulator.counts()["tokens"] == 0
    assert council.query("SELECT COUNT(*) FROM xporter_run") == [(0,)]


def test_view_of_an_earlier_version_is_brought_up_to_date_and_the_rows_stay(council: Council) -> None:
    assert council.run("collect").code == 0
    now = council.query("SELECT sql FROM sqlite_master WHERE name = 'xporter_vStudents'")
    assert "DROP" not in council.run("deploy-schema").out
    council.query("DROP VIEW xporter_vStudents")
    council.query('CREATE VIEW xporter_vStudents AS SELECT "Surname" AS old FROM "xporter_Students"')

    assert council.run("deploy-schema").out.count('DROP VIEW "xporter_vStudents";') == 1
    assert council.run("deploy-schema", "--apply").code == 0

    assert council.query("SELECT sql FROM sqlite_master WHERE name = 'xporter_vStudents'") == now
    assert council.query("SELECT COUNT(*) FROM xporter_vStudents") == [(12,)]


def test_rows_of_one_key_are_counted_and_named(council: Council) -> None:
    council.simulator.add_quirk(Quirk("duplicate_key", "9990001", "Students"))
    done = council.run("collect")
    assert done.code == 0
    assert "School 9990001, Students: Students: 1 row had the key of another; the last was kept" in done.out


def test_endpoint_that_was_taken_out_of_the_settings_is_named_and_never_stale(council: Council) -> None:
    council.run("collect")
    council.query("UPDATE xporter_sync SET round_ended = '2025-01-01 04:00:00' WHERE endpoint = 'SchoolInfo'")
    assert council.run("status").code == 1

    done = council.run("status", XPORTER_ENDPOINTS="Students, StudentExclusions")

    assert (done.code, done.out.count("STALE"), done.out.count("not in XPORTER_ENDPOINTS")) == (0, 0, 3)
    told = council.run("status", "--json", XPORTER_ENDPOINTS="Students, StudentExclusions")
    assert told.out.count('"is_chosen": false') == 3


def test_rows_to_be_written_back_are_shown_of_a_school_that_nobody_collected(council: Council) -> None:
    council.query("INSERT INTO xporter_outbox (estab, kind, body) VALUES ('9990077', 'attendance', '{}')")
    assert "9990077  unknown\n  to be written back: 1 pending" in council.run("status").out


def test_school_whose_first_collection_was_killed_is_shown_and_can_be_removed(council: Council) -> None:
    council.run("collect")
    # Where neither a list nor the token names scopes, the school is kept after its last request.
    council.query("DELETE FROM xporter_school WHERE estab = '9990001'")
    council.query("UPDATE xporter_sync SET round_ended = '2025-01-01 04:00:00' WHERE estab = '9990001'")
    shown = council.run("status")
    assert (shown.code, shown.out.count("STALE")) == (1, 3)
    assert "Schools: 3" in shown.out
    assert "9990001  unknown" in shown.out
    listed = council.run("schools").out
    assert re.search("9990001  authorised +new +secret here .*\n  collected 2025-01-01 04:00 UTC", listed), listed

    removed = council.run("schools", "remove", "9990001")

    assert removed.code == 0, removed.text
    assert council.count("Students", "9990001") == 0
    assert council.query("SELECT state FROM xporter_school WHERE estab = '9990001'") == [("removed",)]
