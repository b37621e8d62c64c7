"""`sdr submit` and its neighbours over real HTTP: what TEC holds, what is printed, and the exit codes."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import time
from datetime import datetime, timedelta, timezone

import pytest

from api_pipeline.db import connect
from api_pipeline.sandbox.simulator import Fault, FaultKind, When
from api_pipeline.sdr import store
from api_pipeline.sdr.opening import locked, make_store
from api_pipeline.sdr.statements import Scope
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.commands import started_cli
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


def test_tec_holds_what_is_staged_on_every_database(provider: Provider) -> None:
    provider.stage_learners(3)
    provider.stage("courses", "c1", courseCode="c1", courseTitle="Weaving \u0101")
    provider.simulator.change(batch_limit=2)
    done = provider.sdr("submit", PERIOD)
    assert (done.code, done.err) == (0, "")
    assert provider.held("courses") == {"c1": {"localId": "c1", "courseCode": "c1", "courseTitle": "Weaving \u0101"}}
    assert set(provider.held()) == {"s0", "s1", "s2"}
    before = len(provider.simulator.batch_sizes)
    assert provider.sdr("submit", PERIOD).code == 0
    assert len(provider.simulator.batch_sizes) == before, "an idle run sends no record"
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id = 's1'")
    provider.stage("learners", "s2", studentIdentificationCode="s2", gender="M")
    assert provider.sdr("submit", PERIOD, "--allow-deletes").code == 0
    assert provider.held()["s2"]["gender"] == "M"
    assert set(provider.held()) == {"s0", "s2"}
    words = provider.database.rows("SELECT submission_status, return_id FROM sdr_staging ORDER BY local_id")
    assert {tuple(row) for row in words} == {("sent", 202608)}
    status = provider.sdr("status", PERIOD)
    assert "learners" in status.out
    assert "2 held" in status.out


def test_validation_results_are_stored_and_tied_on_every_database(provider: Provider) -> None:
    provider.stage_learners(2)
    provider.stage("course-enrolments", "e1", studentIdentificationCode="s0", courseCode="none")
    provider.stage("course-enrolments", "=e2", studentIdentificationCode="nobody", courseCode="none")
    done = provider.sdr("submit", PERIOD, "--validate", "--report", "reports")
    assert done.code == 1
    assert "SIM102" in done.out
    rows = provider.database.rows(
        "SELECT local_id, validation_errors FROM sdr_staging WHERE validation_errors > 0 ORDER BY local_id"
    )
    assert [tuple(row) for row in rows] == [("=e2", 2), ("e1", 1)]
    found = provider.sdr("results", PERIOD, "--csv")
    lines = list(csv.reader(io.StringIO(found.out)))
    assert len(lines) == 4
    assert {line[4] for line in lines[1:]} == {"e1", "'=e2"}, "a cell that a spreadsheet would calculate is quoted"
    pages = list((provider.folder / "reports").glob("*.html"))
    assert len(pages) == 1
    assert "SIM102" in pages[0].read_text(encoding="utf-8")
    provider.stage("courses", "none", courseCode="none", courseTitle="Weaving")
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id = '=e2'")
    done = provider.sdr("submit", PERIOD, "--allow-deletes", "--validate")
    assert done.code == 0, done.text
    assert "0 new, 0 still, 3 gone" in done.out


@EMBEDDED
def test_returns_lists_the_indicative_one_and_pages_to_the_end(provider: Provider) -> None:
    provider.simulator.change(page_size=1, page_base=0)
    done = provider.sdr("returns", "--json")
    assert [one["return_id"] for one in json.loads(done.out)] == [202603, 202604, 202608, 202612]


@EMBEDDED
@pytest.mark.parametrize(
    ("period", "code", "words"),
    [
        ("202604", 6, "is closed: its window ended"),
        ("202612", 6, "is not open yet: its window opens"),
        ("202601", 6, "TEC lists no return 202601"),
        ("August", 2, "expected a return period such as 202608"),
    ],
)
def test_a_period_that_takes_no_data_is_declined(provider: Provider, period: str, code: int, words: str) -> None:
    provider.stage_learners(1)
    done = provider.sdr("submit", period)
    assert done.code == code
    assert words in done.err
    assert done.err.count("\n") == 1
    assert not provider.simulator.batch_sizes
    if words.startswith("is "):
        assert f"declined: The return {words}" in provider.sdr("status", period).out


@EMBEDDED
def test_a_declined_token_is_shown_by_status(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.simulator.change(declines="R1")
    done = provider.sdr("submit", PERIOD)
    assert (done.code, done.err.count("\n")) == (6, 1)
    assert "R1" in provider.sdr("status", PERIOD).out
    provider.simulator.change(declines="")
    assert provider.sdr("submit", PERIOD).code == 0
    shown = provider.sdr("status", PERIOD).out
    assert "R1" not in shown
    assert "TEC's word: Pending (open)" in shown, "the token's answer is newer than the list"


@EMBEDDED
@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"SDR_PATH_LEARNERS": "students"}, 2, "SDR_PATH_LEARNERS: TEC has nothing at /students (HTTP 404)"),
        ({"SDR_API_ENDPOINT": "{origin}/elsewhere"}, 2, "SDR_API_ENDPOINT: TEC has nothing at /returns"),
        ({"SDR_EID": "1234"}, 4, "TEC does not know this machine account (AU1)"),
        ({"SDR_CLIENT_SECRET": "another-invented-secret"}, 4, "SDR_CLIENT_SECRET"),
        ({"SDR_EID": "12a"}, 2, 'SDR_EID: expected digits alone, got "12a"'),
        ({"MAX_IN_FLIGHT": "2"}, 2, "MAX_IN_FLIGHT: expected 1"),
    ],
)
def test_wrong_settings_end_in_one_sentence(
    provider: Provider, settings: dict[str, str], code: int, words: str
) -> None:
    provider.stage_learners(1)
    given = {name: value.replace("{origin}", provider.server.origin) for name, value in settings.items()}
    org = {"SDR_ORG_ID": "9999"} if "SDR_EID" in settings else {}
    done = provider.sdr("submit", PERIOD, **given, **org)
    assert (done.code, done.err.count("\n")) == (code, 1), done.text
    assert words in done.err
    assert "another-invented-secret" not in done.text
    assert provider.sdr("submit", PERIOD).code == 0, "nothing is lost"
    assert set(provider.held()) == {"s0"}


@EMBEDDED
def test_an_emptied_staging_table_deletes_nothing(provider: Provider) -> None:
    provider.stage_learners(5)
    provider.sdr("submit", PERIOD)
    provider.database.execute("DELETE FROM sdr_staging")
    done = provider.sdr("submit", PERIOD)
    assert done.code == 1
    assert "5 of the 5 records that TEC holds" in done.err
    assert len(provider.held()) == 5
    assert provider.sdr("submit", PERIOD, "--allow-deletes").code == 0
    assert not provider.held()


@EMBEDDED
def test_deletes_never_reach_another_collection_with_the_same_id(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("courses", "s0", courseCode="s0", courseTitle="Weaving")
    provider.sdr("submit", PERIOD)
    provider.database.execute("DELETE FROM sdr_staging WHERE collection = 'courses'")
    assert provider.sdr("submit", PERIOD, "--allow-deletes").code == 0
    assert set(provider.held()) == {"s0"}
    assert not provider.held("courses")


@EMBEDDED
def test_reset_forgets_and_the_next_submit_sends_everything(provider: Provider) -> None:
    provider.stage_learners(2)
    provider.sdr("submit", PERIOD)
    assert provider.sdr("reset", PERIOD).code == 2, "without --yes and without a terminal nothing is reset"
    provider.simulator.add_fault(Fault(kind=FaultKind.DROP, target="calls", when=When.AFTER_ACCEPTING, first=0, last=0))
    assert provider.sdr("reset", PERIOD, "--yes").code == 0
    assert not provider.held()
    assert provider.sdr("submit", PERIOD).code == 0
    assert len(provider.held()) == 2


@EMBEDDED
def test_a_lost_answer_leaves_the_record_due(provider: Provider) -> None:
    provider.stage_learners(1)
    fault = Fault(kind=FaultKind.DROP, target="records", when=When.AFTER_ACCEPTING, times=None)
    provider.simulator.add_fault(fault)
    done = provider.sdr("submit", PERIOD, MAX_ATTEMPTS=2)
    assert (done.code, done.err.count("\n")) == (5, 1)
    assert provider.database.rows("SELECT payload_hash FROM sdr_held") == [(None,)]
    provider.simulator.clear_faults()
    assert provider.sdr("submit", PERIOD).code == 0
    assert provider.simulator.most_at_once == 1


@EMBEDDED
def test_a_retry_after_is_obeyed(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.simulator.add_fault(Fault(status=429, target="records", retry_after_s=0.3))
    assert provider.sdr("submit", PERIOD).code == 0
    assert provider.simulator.counts()["too_early"] == 0


@EMBEDDED
def test_gzip_is_given_up_where_tec_does_not_read_it(provider: Provider) -> None:
    provider.stage_learners(2)
    provider.simulator.change(gzip=False)
    assert provider.sdr("submit", PERIOD, SDR_GZIP="true").code == 0
    assert len(provider.held()) == 2


@EMBEDDED
def test_dry_run_counts_and_sends_nothing(provider: Provider) -> None:
    provider.stage_learners(2)
    done = provider.sdr("submit", PERIOD, "--dry-run")
    assert done.code == 0
    assert "2 to put" in done.out
    assert not provider.simulator.batch_sizes


@EMBEDDED
def test_limit_stops_early_and_deletes_nothing(provider: Provider) -> None:
    provider.stage_learners(3)
    provider.sdr("submit", PERIOD)
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id = 's0'")
    for number in (3, 4):
        provider.stage("learners", f"s{number}", studentIdentificationCode=f"s{number}", gender="F")
    done = provider.sdr("submit", PERIOD, "--limit", "1", "--allow-deletes")
    assert done.code == 0
    assert set(provider.held()) == {"s0", "s1", "s2", "s3"}


@EMBEDDED
@pytest.mark.parametrize("check", ["warn", "off"])
def test_testing_mode_reaches_nobody(provider: Provider, check: str) -> None:
    provider.stage_learners(2)
    year_end = json.loads(provider.sdr("returns", "--testing", "--json").out)[-1]["return_id"]
    done = provider.sdr("submit", str(year_end), "--testing", "--validate", SDR_CHECK=check)
    assert done.code == 0, done.text
    assert provider.simulator.counts()["requests"] == 0
    rows = provider.database.rows("SELECT DISTINCT submission_status FROM sdr_staging")
    assert [tuple(row) for row in rows] == [("testing",)]


@EMBEDDED
def test_no_personal_data_and_no_token_in_the_logs(provider: Provider) -> None:
    provider.stage("learners", "s0", studentIdentificationCode="s0", gender="?", lastName="Zzyzxova")
    provider.simulator.add_fault(Fault(target="records", status=400, body='{"detail": "Zzyzxova is bad"}', times=1))
    done = provider.sdr("submit", PERIOD, "--validate", "--verbose", "--log-file", "sdr.log")
    log = (provider.folder / "sdr.log").read_text(encoding="utf-8")
    token = provider.simulator.submission(int(PERIOD)).token
    for text in (done.text, log):
        assert "Zzyzxova" not in text
        assert token not in text
        assert "invented-machine-secret" not in text


@EMBEDDED
def test_access_token_goes_into_the_header_that_the_setting_names(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.simulator.change(auth_header="authentication")
    refused = provider.sdr("submit", PERIOD)
    assert refused.code == 4
    assert "SDR_AUTH_HEADER" in refused.err

    assert provider.sdr("submit", PERIOD, SDR_AUTH_HEADER="Authentication").code == 0

    assert set(provider.held()) == {"s0"}


@EMBEDDED
def test_a_missing_table_is_named_in_one_sentence(provider: Provider) -> None:
    done = provider.sdr("submit", PERIOD, SDR_TABLE_NAME="another")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert "check SDR_TABLE_NAME" in done.err


@EMBEDDED
def test_a_name_that_rules_are_made_of_is_masked_in_the_log_table(provider: Provider) -> None:
    provider.stage("learners", "s0", studentIdentificationCode="s0", familyName="Must", givenName="long")
    body = '{"errorCode": "CV1", "title": "Must long must not be short"}'
    provider.simulator.add_fault(Fault(target="records", status=400, body=body, times=1))
    assert provider.sdr("submit", PERIOD).code == 1
    answers = [str(row[0]) for row in provider.database.rows("SELECT answer FROM sdr_submission_log")]
    assert len(answers) == 1
    assert "CV1" in answers[0]
    assert "not be" in answers[0]
    assert not {"must", "long"} & set(answers[0].lower().split())


@EMBEDDED
def test_a_missing_database_file_names_the_command_of_this_service(provider: Provider) -> None:
    missing = f"sqlite:///{provider.folder / 'missing.db'}"
    for command in (("status",), ("submit", PERIOD)):
        done = provider.sdr(*command, DB_CONNECTION_STRING=missing)
        assert done.code == 3, done.text
        assert "or make it with: d2i-csc-api sdr deploy-schema --apply" in " ".join(done.err.split())


@pytest.mark.parametrize("database", ["sqlite-odbc"], indirect=True)
def test_staged_ids_that_the_driver_cuts_stop_every_command(provider: Provider) -> None:
    provider.stage_learners(2)
    provider.database.execute("UPDATE sdr_staging SET id = id + 4294967296 WHERE local_id = 's1'")
    csv = provider.folder / "LEAR.csv"
    csv.write_text("localId,studentIdentificationCode\ns9,s9\n", encoding="utf-8")

    for args in (["submit", PERIOD], ["load", str(csv)], ["validate", PERIOD]):
        done = provider.sdr(*args)
        assert done.code == 3, done.text
        assert "reads 4294967298 as 2" in done.text

    assert provider.simulator.batch_sizes == []
    assert provider.database.count("sdr_staging") == 2


@EMBEDDED
def test_limit_that_ends_with_a_page_stops_the_run(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PAGE", 2)
    provider.stage_learners(3)
    done = provider.sdr("submit", PERIOD, "--limit", "2", "--validate")
    assert "The run stopped at --limit" in done.out
    assert len(provider.held()) == 2


@EMBEDDED
def test_limit_counts_what_tec_took_where_the_pass_starts_over(provider: Provider) -> None:
    provider.simulator.change(batch_limit=2)
    provider.simulator.add_fault(Fault(target="records", status=400, body='{"errorCode": "SC1"}', times=1))
    provider.stage_learners(9)
    assert provider.sdr("submit", PERIOD, "--limit", "4").code == 0
    assert len(provider.held()) == 4


@EMBEDDED
def test_record_of_no_collection_is_named_and_the_others_are_sent(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("Learners", "s9", gender="F")
    done = provider.sdr("submit", PERIOD)
    assert done.code == 1
    assert "Check collection: 1 in Learners: 1 staged records are in no collection of a return" in done.out
    assert set(provider.held()) == {"s0"}
    for command in (["check"], ["status"]):
        assert "in no collection of a return" in provider.sdr(*command).out
    checked = json.loads(provider.sdr("check", "--json").out)
    assert {"collection": "Learners", "rule": "collection", "count": 1} in checked["rules"]


@EMBEDDED
def test_window_that_closes_in_mid_run_is_told_and_shown(provider: Provider) -> None:
    provider.simulator.change(batch_limit=1)
    provider.stage_learners(3)
    gone = Fault(target="records", status=400, body='{"errorCode": "SC1"}', first=2, last=2)
    closed = Fault(target="calls", status=400, body='{"errorCode": "R1", "title": "Closed"}', first=3, last=3)
    provider.simulator.add_fault(gone, closed)
    done = provider.sdr("submit", PERIOD)
    assert done.code == 6, done.text
    assert "nothing was sent under it (R1: Closed)" in done.err
    assert "TEC declined the last request: R1" in provider.sdr("status", PERIOD).out
    assert provider.sdr("submit", PERIOD).code == 0
    assert len(provider.held()) == 3


@EMBEDDED
@pytest.mark.parametrize("check", ["reject", "off"])
def test_indicative_return_gets_its_three_collections_alone(provider: Provider, check: str) -> None:
    provider.stage_learners(2)
    provider.stage("learners", "s2", studentIdentificationCode="s2", gender="F", dateOfBirth="1999-03-12")
    provider.stage("qualification-completions", "q1", studentIdentificationCode="s0")
    planned = json.loads(provider.sdr("submit", "202603", "--dry-run", "--json", SDR_CHECK=check).out)
    counts = {name: (one["put"], one["withheld"]) for name, one in planned["collections"].items()}
    sent = (2, 1) if check == "reject" else (3, 0)
    assert counts == {"courses": (0, 0), "learners": sent, "course-enrolments": (0, 0)}
    provider.sdr("submit", "202603", SDR_CHECK=check)
    held = provider.simulator.held(202603)
    assert (len(held["learners"]), len(held["qualification-completions"])) == (sent[0], 0)


@EMBEDDED
def test_status_word_goes_to_no_other_record_of_a_table_filled_anew(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.database.execute(
        "CREATE TRIGGER refilled AFTER INSERT ON sdr_held BEGIN "
        "UPDATE sdr_staging SET local_id = 'other' WHERE local_id = 's0'; END"
    )
    assert provider.sdr("submit", PERIOD).code == 0
    assert provider.database.rows("SELECT local_id, submission_status FROM sdr_staging") == [("other", None)]


@EMBEDDED
def test_return_that_was_not_begun_is_no_word_of_tec(provider: Provider) -> None:
    for command in ("status", "results"):
        done = provider.sdr(command, "202604")
        assert (done.code, "was not begun with these tables" in done.err) == (1, True), done.text


@EMBEDDED
def test_collection_that_the_database_takes_for_one_of_the_five_is_one(provider: Provider) -> None:
    create = provider.database.rows("SELECT sql FROM sqlite_master WHERE name = 'sdr_staging'")[0][0]
    provider.database.execute("DROP TABLE sdr_staging")
    provider.database.execute(create.replace("collection TEXT", "collection TEXT COLLATE RTRIM"))
    provider.stage("learners  ", "s1", studentIdentificationCode="s1", gender="F")
    done = provider.sdr("submit", PERIOD, "--validate")
    assert done.code == 0, done.text
    assert set(provider.held()) == {"s1"}


@EMBEDDED
def test_validation_that_is_not_asked_for_is_told(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("learners", "s1", studentIdentificationCode="s1", localId="other")
    done = provider.sdr("submit", PERIOD, "--validate", "--report", "reports")
    assert (done.code, "was not asked to validate" in done.out) == (1, True), done.text
    assert "was not asked" not in provider.sdr("submit", PERIOD).out


@EMBEDDED
def test_rehearsal_of_another_table_deletes_nothing_of_the_one_before(provider: Provider) -> None:
    for learner in ("s1", "s2"):
        provider.database.execute("DELETE FROM sdr_staging")
        provider.stage("learners", learner, studentIdentificationCode=learner, gender="F")
        done = provider.sdr("submit", "202612", "--testing", "--json")
        learners = json.loads(done.out)["collections"]["learners"]
        assert (done.code, learners["accepted"], learners["deleted"], done.err) == (0, 1, 0, "")


@EMBEDDED
def test_record_put_back_to_what_tec_holds_loses_its_mark(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.sdr("submit", PERIOD)
    payload = provider.database.rows("SELECT json_payload FROM sdr_staging")[0][0]
    provider.database.execute("UPDATE sdr_staging SET json_payload = 'nonsense'")
    assert provider.sdr("submit", PERIOD).code == 1
    provider.database.execute("UPDATE sdr_staging SET json_payload = ?", [payload])
    assert provider.sdr("submit", PERIOD).code == 0
    rows = provider.database.rows("SELECT submission_status, api_response FROM sdr_staging")
    assert [tuple(row) for row in rows] == [("sent", None)]
    assert "may be older" not in provider.sdr("status", PERIOD).out


@EMBEDDED
@pytest.mark.parametrize("same_token", [True, False])
def test_record_counts_once_where_the_pass_starts_over(provider: Provider, same_token: bool) -> None:
    provider.simulator.change(batch_limit=2, same_token=same_token)
    gone = Fault(target="records", status=400, body='{"errorCode": "SC1"}', first=3, last=3)
    provider.simulator.add_fault(gone)
    provider.stage_learners(8)
    done = json.loads(provider.sdr("submit", PERIOD, "--json").out)
    counts = done["collections"]["learners"]
    assert (counts["accepted"], counts["unchanged"], done["requests"]) == (8, 0, 5 if same_token else 7)


@EMBEDDED
def test_machine_whose_clock_is_ahead_of_every_token_sends_all(provider: Provider) -> None:
    provider.simulator.change(batch_limit=2, same_token=False, token_lifetime_s=3600.0)
    provider.simulator._submissions._now = lambda: datetime.now(timezone.utc) - timedelta(hours=2)
    provider.stage_learners(8)
    done = provider.sdr("submit", PERIOD)
    assert done.code == 0, done.text
    assert len(provider.held()) == 8


def test_records_that_tec_only_refused_are_taken_out_without_leave(provider: Provider) -> None:
    provider.stage_learners(4)
    provider.sdr("submit", PERIOD)
    provider.simulator.change(refused=("BAD",))
    for number in range(6, 9):
        provider.stage("learners", f"s{number}", studentIdentificationCode=f"s{number}", gender="BAD")
    assert provider.sdr("submit", PERIOD).code == 1
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id IN ('s6', 's7', 's8')")
    done = provider.sdr("submit", PERIOD, SDR_MAX_DELETED_SHARE="0.1")
    assert done.code == 0, done.text
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id = 's3'")
    assert provider.sdr("submit", PERIOD, SDR_MAX_DELETED_SHARE="0.1").code == 1
    assert len(provider.held()) == 4


@EMBEDDED
def test_second_run_of_a_return_makes_no_request_beside_the_first(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.sdr("submit", PERIOD)
    before = len(provider.simulator.log)
    connection = connect(provider.database.connection_string)
    scope = Scope(connection.query("SELECT receiver FROM sdr_submission")[0][0], int(PERIOD))
    try:
        with locked(make_store(connection, "sdr_staging"), scope):
            codes = [provider.sdr(*words).code for words in (("submit", "2026-08"), ("validate", PERIOD))]
            codes.append(provider.sdr("reset", PERIOD, "--yes").code)
    finally:
        connection.close()
    assert codes == [75, 75, 75]
    assert len(provider.simulator.log) == before
    assert provider.sdr("validate", PERIOD).code == 0


def test_record_that_tec_never_took_is_not_older_there(provider: Provider) -> None:
    provider.simulator.change(refused=("BAD",))
    provider.stage("learners", "s0", studentIdentificationCode="s0", gender="BAD")
    provider.sdr("submit", PERIOD)
    assert "may be older" not in provider.sdr("status", PERIOD).out
    provider.stage("learners", "s0", studentIdentificationCode="s0", gender="F")
    provider.sdr("submit", PERIOD)
    provider.stage("learners", "s0", studentIdentificationCode="s0", gender="BAD")
    provider.sdr("submit", PERIOD)
    assert "1 records at TEC may be older than yours" in provider.sdr("status", PERIOD).out


@EMBEDDED
@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is POSIX's")
def test_signal_before_the_period_is_known_stops_the_command(provider: Provider) -> None:
    provider.simulator.change(latency_s=0.3, page_size=1)
    with started_cli(["sdr", "submit", PERIOD], provider.settings(), provider.folder) as process:
        until = time.monotonic() + 20
        while len(provider.simulator.log) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert "stopped by a signal" in said
