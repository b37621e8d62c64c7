"""The school data collector as a council runs it: the installed command, over real HTTP, on a database of its own."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator.faults import Fault, FaultKind
from api_pipeline.sandbox.simulator.xporter import Quirk, XporterServer, XporterSimulator
from tests.support.commands import invoke_cli, started_cli
from tests.support.xporter import TODAY, day, make_school
from tests.support.xporter_council import Council


@pytest.fixture
def council(tmp_path: Path) -> Iterator[Council]:
    schools = [make_school(number, pupils=4, weeks=0, today=TODAY) for number in (1, 2, 3)]
    with XporterServer(XporterSimulator(schools)) as server:
        council = Council(server, tmp_path, schools)
        assert council.run("deploy-schema", "--apply").code == 0
        yield council


def test_a_night_lands_every_school_and_status_shows_its_age(council: Council) -> None:
    done = council.run("collect")

    assert done.code == 0, done.text
    assert "3 schools, 9 rounds" in done.out
    assert [council.count("Students", school.estab) for school in council.schools] == [4, 4, 4]
    status = council.run("status", "--json")
    assert status.code == 0
    assert [school["state"] for school in json.loads(status.out)["schools"]] == ["authorised"] * 3
    report = council.run("report", "--folder", str(council.folder))
    assert report.code == 0
    page = next(council.folder.glob("xporter-*.html")).read_text(encoding="utf-8")
    assert "Every round is complete" in page
    assert all(str(row["Surname"]) not in page for row in council.schools[0].pupils.values())


def test_a_revoked_school_is_purged_with_a_line_of_proof(council: Council) -> None:
    council.run("collect")
    council.schools[0].revoke(day(20))

    done = council.run("collect")

    assert done.code == 0, done.text
    assert "School 9990001: consent ended" in done.out
    assert council.count("Students", "9990001") == 0
    assert council.count("Students", "9990002") == 4
    assert "rows were removed" in council.run("status").out


@pytest.mark.parametrize(
    ("quirk", "code", "said"),
    [
        ("error_body", 5, "the API stated an error"),
        ("html", 5, "is not the API's JSON"),
        ("cut", 5, "is not the API's JSON"),
        ("broken_gzip", 5, "compression is damaged"),
        ("unavailable", 5, "HTTP 503"),
        ("drop", 5, "the connection was lost"),
        ("not_ready", 5, "not ready in time"),
        ("token_refused", 1, "a fresh token was refused"),
        ("scope", 1, "consent does not cover"),
    ],
)
def test_a_fault_of_one_school_is_named_and_the_others_complete(
    council: Council, quirk: str, code: int, said: str
) -> None:
    council.simulator.add_quirk(Quirk(quirk, "9990002", times=None))

    done = council.run("collect")

    assert done.code == code, done.text
    assert "School 9990002" in done.out
    assert said in done.out
    assert "Ada Nobody" not in done.text
    assert [council.count("Students", estab) for estab in ("9990001", "9990003")] == [4, 4]


def test_a_school_that_fails_twice_in_a_row_is_asked_no_more_that_night(council: Council) -> None:
    council.simulator.add_quirk(Quirk("unavailable", "9990002", times=None))
    assert council.run("collect", MAX_ATTEMPTS="1").code == 5
    log = council.query("SELECT outcome, message FROM xporter_run_log WHERE estab = '9990002' ORDER BY logged_at")
    assert [outcome for outcome, _ in log[:2]] == ["unavailable"] * 2
    assert [(outcome, message.split(":")[0]) for outcome, message in log[2:]] == [("skipped", "not asked")]


def test_an_answer_that_drips_is_given_up_in_time(council: Council) -> None:
    with dripping() as url:
        began = time.monotonic()
        wait = {"XPORTER_READ_TIMEOUT_S": "0.1", "MAX_ATTEMPTS": "1"}
        done = council.run("collect", "--estab", "9990001", XPORTER_BASE_URL=url, **wait)
    assert done.code == 5, done.text
    assert time.monotonic() - began < 15
    assert council.count("Students", "9990001") == 0


@contextmanager
def dripping() -> Iterator[str]:
    """Give the address of a server whose answers come letter by letter and never end."""
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
            while not ended.wait(0.02):
                connection.sendall(b" ")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def test_a_clock_that_is_hours_wrong_changes_nothing(council: Council) -> None:
    council.simulator.change(clock_offset_s=-7200.0)
    assert council.run("collect").code == 0
    council.simulator.change(clock_offset_s=7200.0)
    assert council.run("collect").code == 0
    assert [council.count("Students", school.estab) for school in council.schools] == [4, 4, 4]


@pytest.mark.skipif(sys.platform == "win32", reason="a signal to another program is POSIX")
def test_a_signal_ends_the_collection_with_130_and_the_next_completes_it(council: Council) -> None:
    council.simulator.change(latency_s=0.3)
    environment = {**council.settings, "XPORTER_SCHOOLS_AT_ONCE": "1"}
    with started_cli(["xporter", "collect"], environment, council.folder) as process:
        deadline = time.monotonic() + 30
        while not council.query("SELECT 1 FROM xporter_sync") and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 130
    council.simulator.change(latency_s=0.0)
    assert council.run("collect").code == 0
    assert [council.count("Students", school.estab) for school in council.schools] == [4, 4, 4]


def test_a_pupil_whom_the_school_withdraws_is_gone_with_a_line_of_proof(council: Council) -> None:
    council.run("collect")
    school = council.schools[0]
    key = next(str(row["StudentId"]) for row in school.truth("StudentExclusions")["StudentExclusions"])
    school.withheld_people.add(key)

    done = council.run("collect")

    assert done.code == 0, done.text
    assert "School 9990001: 1 pupils are no longer on the roll (they left, were withdrawn" in done.out
    assert council.count("Students", "9990001") == 3
    for table in ("xporter_StudentExclusions", "xporter_Students"):
        member = "StudentId" if table.endswith("Exclusions") else "Id"
        assert council.query(f'SELECT 1 FROM "{table}" WHERE estab = ? AND "{member}" = ?', school.estab, key) == []
    proof = council.query("SELECT message FROM xporter_run_log WHERE message LIKE '%no longer on the roll%'")
    assert len(proof) == 1
    assert key not in proof[0][0]


def test_a_paused_school_waits_without_an_error(council: Council) -> None:
    council.schools[1].is_paused = True
    done = council.run("collect")
    assert done.code == 0, done.text
    assert "paused" in council.run("status").out


def test_a_school_that_stays_paused_for_a_week_is_an_error(council: Council) -> None:
    council.schools[1].is_paused = True
    council.run("collect")
    council.query("UPDATE xporter_school SET state_since = '2025-01-01 00:00:00' WHERE estab = ?", "9990002")
    assert council.run("collect").code == 1


def test_an_answer_that_never_comes_ends_in_time_and_the_others_complete(council: Council) -> None:
    council.simulator.add_fault(Fault(FaultKind.HANG, "data", times=2))
    done = council.run("collect", XPORTER_READ_TIMEOUT_S="0.3", XPORTER_SCHOOLS_AT_ONCE="1")
    assert done.code == 5, done.text
    assert "School 9990001, Students" in done.out
    assert [council.count("Students", estab) for estab in ("9990002", "9990003")] == [4, 4]


def test_a_scope_that_a_school_never_gave_is_no_error(council: Council) -> None:
    council.schools[0].scopes = council.schools[0].scopes - {"StudentExclusions"}
    done = council.run("collect")
    assert done.code == 0, done.text
    assert council.count("StudentExclusions", "9990001") == 0
    assert council.count("StudentExclusions", "9990002") > 0


def test_an_address_that_the_api_does_not_know_is_named(council: Council) -> None:
    council.simulator.change(real_codes=True)
    done = council.run("collect", XPORTER_PATHS="SchoolInfo=/api/v1/School/{estab}/Nowhere")
    assert done.code == 1, done.text
    assert "the API does not know this address" in done.out
    assert [council.count("Students", school.estab) for school in council.schools] == [4, 4, 4]


def test_every_school_refused_ends_with_code_4_and_one_with_code_1(council: Council) -> None:
    wrong = {f"XPORTER_SECRET_{school.estab}": "mistyped-secret" for school in council.schools}
    assert council.run("collect", **dict(list(wrong.items())[:1])).code == 1
    done = council.run("collect", **wrong)
    assert done.code == 4, done.text
    assert "mistyped-secret" not in done.text


def test_a_refused_management_secret_stops_only_a_run_without_schools(council: Council) -> None:
    done = council.run("collect", XPORTER_MANAGEMENT_SECRET="mistyped")
    assert done.code == 1, done.text
    assert council.count("Students", "9990001") == 4
    council.settings = {name: value for name, value in council.settings.items() if "XPORTER_SECRET" not in name}
    alone = council.run("collect", XPORTER_MANAGEMENT_SECRET="mistyped")
    assert alone.code == 4, alone.text
    assert "XPORTER_MANAGEMENT_SECRET" in alone.err


def test_a_scope_that_was_there_before_is_news_and_its_rows_are_gone(council: Council) -> None:
    council.run("collect")
    school = council.schools[0]
    school.scopes = school.scopes - {"StudentExclusions"}

    done = council.run("collect")

    assert done.code == 1, done.text
    assert "took back StudentExclusions" in done.out
    assert council.count("StudentExclusions", school.estab) == 0
    assert council.run("collect").code == 0


def test_too_many_requests_hold_one_school_as_long_as_it_is_asked(council: Council) -> None:
    council.simulator.add_fault(Fault(FaultKind.ANSWER, "data", status=429, retry_after_s=0.2))
    assert council.run("collect").code == 0


def test_a_second_collection_at_once_ends_with_code_75(council: Council) -> None:
    from api_pipeline.db import connect
    from api_pipeline.db.run_lock import take

    other = connect(council.settings["DB_CONNECTION_STRING"])
    lock = take(other, '"xporter_sync"', None)
    try:
        assert council.run("collect").code == 75
    finally:
        lock.release()
        other.close()


def test_without_landing_tables_the_command_says_how_to_make_them(council: Council) -> None:
    done = council.run("collect", DB_CONNECTION_STRING=f"sqlite:///{council.folder / 'missing.db'}")
    assert done.code == 3
    more = council.run("collect", XPORTER_ENDPOINTS="Students, SEN")
    assert more.code == 3
    assert "xporter deploy-schema --apply" in more.err


def test_minimised_collection_needs_the_ssd_or_says_so(council: Council) -> None:
    done = council.run("collect", XPORTER_KEEP_UNMATCHED="false")
    assert done.code == 3
    assert "SSD_SCHEMA" in done.err


def test_wrong_endpoint_is_a_settings_error(council: Council) -> None:
    done = council.run("collect", XPORTER_ENDPOINTS="Pupils")
    assert done.code == 2
    assert "Pupils" in done.err


def test_a_dry_run_writes_nothing(council: Council) -> None:
    done = council.run("collect", "--dry-run")
    assert done.code == 0, done.text
    assert "Would write" in done.out
    assert council.count("Students", "9990001") == 0


def test_check_names_what_consent_does_not_cover(council: Council) -> None:
    council.schools[0].scopes = frozenset({"School"})
    done = council.run("check", "9990001")
    assert done.code == 1
    assert "StudentExclusions: the school's consent does not cover it" in done.out
    assert "SchoolInfo: answered" in done.out
    assert council.run("check", "9990002").code == 0


def test_schools_are_listed_and_one_can_be_taken_out(council: Council) -> None:
    council.run("collect")
    listed = council.run("schools", "list")
    assert listed.code == 0, listed.text
    assert "9990001  authorised" in listed.out
    assert "scopes: Address" in listed.out
    assert council.run("schools").out == listed.out
    assert council.schools[0].secret not in listed.text
    removed = council.run("schools", "remove", "9990001")
    assert removed.code == 0, removed.text
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


def test_verify_compares_the_data_protection_list_with_the_landed_pupils(council: Council) -> None:
    school = council.schools[1]
    council.run("collect")
    school.withheld_people.add("no pupil of ours")
    both = "School 9990002: the API lists 1 people for data protection, 0 of whom are among the 4 landed pupils."
    assert both in council.run("collect", "--verify").out
    # Whom the roll still names although the list has them is what somebody should look at.
    school.withheld_people.add(next(iter(school.pupils)))
    kept = council.run("collect", "--verify", "--endpoint", "SchoolInfo", XPORTER_ENDPOINTS="SchoolInfo")
    assert "the API lists 2 people for data protection, 1 of whom are among the 4 landed pupils" in kept.out


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


def test_shards_share_the_schools_and_run_beside_each_other(council: Council) -> None:
    done = [council.run("collect", "--shard", f"{part}/2") for part in (1, 2)]
    assert [one.code for one in done] == [0, 0]
    counts = [int(one.out.split("Collected: ")[1].split(" schools")[0]) for one in done]
    assert sum(counts) == 3
    assert all(council.count("Students", school.estab) == 4 for school in council.schools)


def test_rows_of_a_revoked_school_stay_for_the_days_of_grace_and_no_longer(council: Council) -> None:
    council.run("collect")
    today = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)
    council.schools[0].revoke(today - timedelta(days=2))

    waits = council.run("collect", XPORTER_REVOKED_GRACE_DAYS="3")
    assert "3 days after that" in waits.out
    assert council.count("Students", "9990001") == 4
    assert "rows were removed" in council.run("collect", XPORTER_REVOKED_GRACE_DAYS="1").out
    assert council.count("Students", "9990001") == 0


@pytest.mark.parametrize(("setting", "landed"), [("extra", 4), ("add", 0), ("ignore", 0)])
def test_members_that_the_catalogue_does_not_know_are_kept_or_ignored(
    council: Council, setting: str, landed: int
) -> None:
    council.simulator.add_quirk(Quirk("extra_column", "9990001", "Students"))
    assert council.run("collect", XPORTER_NEW_COLUMNS=setting).code == 0
    with_more = council.query("SELECT COUNT(*) FROM \"xporter_Students\" WHERE extra LIKE '%BrandNew%'")
    assert with_more == [(landed,)]
    assert council.query("SELECT column_name FROM xporter_column WHERE column_name = 'BrandNew'") == [("BrandNew",)]


def test_check_walks_to_the_api_step_by_step_before_a_school_is_asked(council: Council) -> None:
    done = council.run("check", "9990002")
    assert done.code == 0, done.text
    way = [line.split(":")[0] for line in done.out.splitlines()[:5]]
    assert way == ["settings", "DNS", "TCP", "proxy", "TLS"]
    assert done.out.index("TLS:") < done.out.index("School 9990002: token accepted")

    lost = council.run("check", "9990002", XPORTER_BASE_URL="https://nowhere.invalid")
    assert lost.code == 5
    assert "DNS: The name nowhere.invalid was not found.; check its spelling" in lost.out
    assert "9990002" not in lost.out

    nobody = council.run("check", "--json", "9990002", XPORTER_TOKEN_URL="http://127.0.0.1:9/token")
    steps = [(step["subject"], step["outcome"]) for step in json.loads(nobody.out)["steps"]]
    assert (nobody.code, steps[-1]) == (5, ("TCP (token service)", "failed"))


def test_check_says_how_many_people_the_api_lists_for_data_protection(council: Council) -> None:
    council.schools[1].withheld_people.add(next(iter(council.schools[1].pupils)))
    done = council.run("check", "9990002")
    assert done.code == 0, done.text
    assert "GDPRIDs: 1 entries" in done.out
    assert "the data are 0 days old" in done.out
