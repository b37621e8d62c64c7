"""The school data collector as a council runs it: the installed command, over real HTTP, on a database of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import pytest

from api_pipeline.sandbox.simulator.faults import Fault, FaultKind
from api_pipeline.sandbox.simulator.xporter import Quirk
from tests.support.commands import started_cli
from tests.support.xporter_council import Council


def test_a_night_lands_every_school_and_status_shows_its_age(council: Council) -> None:
    done = council.run("collect")

    assert done.code == 0, done.text
    assert "3 schools, 9 rounds" in done.out
    assert [council.count("Students", school.estab) for school in council.schools] == [4, 4, 4]
    status = council.run("status", "--json")
    assert status.code == 0
    assert [school["state"] for school in json.loads(status.out)["schools"]] == ["authorised"] * 3
    report = council.run("report", "--folder", str(council.folder / "reports"))
    assert report.code == 0
    path = next((council.folder / "reports").glob("xporter-*.html"))
    page = path.read_text(encoding="utf-8")
    assert "Every round is complete" in page
    assert all(str(row["Surname"]) not in page for row in council.schools[0].pupils.values())
    before = council.folder / "before.html"
    before.hardlink_to(path)
    assert council.run("report", "--folder", str(path.parent)).code == 0
    assert not before.samefile(path), "the page is written in place"
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o600, "other accounts may read the page"


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


def test_401_of_one_endpoint_leaves_the_others_of_the_school(council: Council) -> None:
    council.simulator.change(real_codes=True)
    council.simulator.add_quirk(Quirk("token_refused", "9990002", "Students", times=None))

    done = council.run("collect")

    assert done.code == 1
    assert (
        "School 9990002, Students: a fresh token was refused (HTTP 401) though the API accepts it elsewhere" in done.out
    )
    assert [council.count("StudentExclusions", school.estab) > 0 for school in council.schools] == [True] * 3
    assert council.query("SELECT DISTINCT state FROM xporter_school") == [("authorised",)]


def test_a_school_that_fails_twice_in_a_row_is_asked_no_more_that_night(council: Council) -> None:
    council.simulator.add_quirk(Quirk("unavailable", "9990002", times=None))
    assert council.run("collect", MAX_ATTEMPTS="1").code == 5
    log = council.query("SELECT outcome, message FROM xporter_run_log WHERE estab = '9990002' ORDER BY logged_at")
    assert [outcome for outcome, _ in log[:2]] == ["unavailable"] * 2
    assert [(outcome, message.split(":")[0]) for outcome, message in log[2:]] == [("skipped", "not asked")]


def test_an_endpoint_that_fails_for_week_after_week_leaves_the_others(council: Council) -> None:
    council.settings["XPORTER_ENDPOINTS"] = "Students, AttendanceForDateRange, StudentExclusions"
    council.settings["XPORTER_ATTENDANCE_FROM"] = str(date.today() - timedelta(weeks=3))  # noqa: DTZ011 - as the program
    council.run("deploy-schema", "--apply")
    council.simulator.add_quirk(Quirk("unavailable", "9990002", "AttendanceForDateRange", times=None))

    done = council.run("collect", MAX_ATTEMPTS="1", XPORTER_ATTENDANCE_WEEKS_BACK="0")

    assert done.code == 5
    assert council.count("StudentExclusions", "9990002") > 0
    asked = (
        "SELECT outcome, COUNT(*) FROM xporter_run_log WHERE estab = '9990002' AND time_window <> '' GROUP BY outcome"
    )
    assert council.query(asked) == [("skipped", 2), ("unavailable", 2)]
    newest = "SELECT DISTINCT time_window FROM xporter_run_log ORDER BY time_window DESC LIMIT 2"
    tried = "SELECT time_window FROM xporter_sync WHERE estab = '9990002' AND attempts > 0 ORDER BY time_window DESC"
    assert council.query(tried) == council.query(newest)


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


def test_an_answer_that_never_comes_ends_in_time_and_the_others_complete(council: Council) -> None:
    council.simulator.add_fault(Fault(FaultKind.HANG, "data", times=2))
    done = council.run("collect", XPORTER_READ_TIMEOUT_S="0.3", XPORTER_SCHOOLS_AT_ONCE="1")
    assert done.code == 5, done.text
    assert "School 9990001, Students" in done.out
    assert [council.count("Students", estab) for estab in ("9990002", "9990003")] == [4, 4]


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
    kept = council.query("SELECT state, problem FROM xporter_school")
    assert {(state, problem[:17]) for state, problem in kept} == {("refused", "the token service")}


def test_a_refused_management_secret_stops_only_a_run_without_schools(council: Council) -> None:
    done = council.run("collect", XPORTER_MANAGEMENT_SECRET="mistyped")
    assert done.code == 1, done.text
    assert done.out.count("The management secret is refused") == 1
    assert council.count("Students", "9990001") == 4
    council.settings = {name: value for name, value in council.settings.items() if "XPORTER_SECRET" not in name}
    alone = council.run("collect", XPORTER_MANAGEMENT_SECRET="mistyped")
    assert alone.code == 4, alone.text
    assert "XPORTER_MANAGEMENT_SECRET" in alone.err


@pytest.mark.parametrize("has_list", [True, False])
def test_school_whose_secret_is_gone_is_named(council: Council, has_list: bool) -> None:
    if not has_list:
        council.settings["XPORTER_MANAGEMENT_SECRET"] = ""
    council.run("collect")
    del council.settings["XPORTER_SECRET_9990002"]

    done = council.run("collect")

    assert done.code == 1
    assert "but its secret is not here; add it with: d2i-csc-api xporter schools add 9990002" in done.out
    assert "2 schools" in done.out
    assert council.run("collect", "--estab", "9990001").code == 0


def test_too_many_requests_hold_one_school_as_long_as_it_is_asked(council: Council) -> None:
    council.simulator.add_fault(Fault(FaultKind.ANSWER, "data", status=429, retry_after_s=0.2))
    assert council.run("collect").code == 0


def test_wait_that_the_token_service_asks_for_holds_one_school(council: Council) -> None:
    council.simulator.add_fault(Fault(FaultKind.ANSWER, "token", times=2, status=503, retry_after_s=1.0))
    began = time.monotonic()
    assert council.run("collect", MAX_ATTEMPTS="3", XPORTER_SCHOOLS_AT_ONCE="1").code == 0
    assert time.monotonic() - began > 2.0


def test_a_longer_wait_than_a_run_waits_leaves_a_school_for_the_next_run(council: Council) -> None:
    council.settings["XPORTER_MANAGEMENT_SECRET"] = ""
    council.simulator.add_fault(Fault(FaultKind.ANSWER, "token", status=429, retry_after_s=7200.0))

    done = council.run("collect", XPORTER_SCHOOLS_AT_ONCE="1")

    assert done.code == 5
    assert "School 9990001, Students: no token: The token service asks to wait 2.0 hours (HTTP 429)" in done.out
    assert (council.count("Students", "9990001"), council.count("Students", "9990002")) == (0, 4)


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


def test_shards_share_the_schools_and_run_beside_each_other(council: Council) -> None:
    done = [council.run("collect", "--shard", f"{part}/2") for part in (1, 2)]
    assert [one.code for one in done] == [0, 0]
    counts = [int(one.out.split("Collected: ")[1].split(" schools")[0]) for one in done]
    assert counts == [0, 3]
    assert "no school of this shard can be asked" in done[0].text, "there are schools, in the other shard"
    assert all(council.count("Students", school.estab) == 4 for school in council.schools)
