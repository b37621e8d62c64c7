"""`sdr submit` over real HTTP: what TEC holds after it, and by which requests."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from api_pipeline.db import ConnectionLost
from api_pipeline.sandbox.simulator import Fault, FaultKind, When
from api_pipeline.sdr.store import Store
from tests.integration.sdr.conftest import PERIOD, Provider
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
    provider.database.execute(f"DELETE FROM {provider.table} WHERE local_id = 's1'")
    provider.stage("learners", "s2", studentIdentificationCode="s2", gender="M")
    assert provider.sdr("submit", PERIOD, "--allow-deletes").code == 0
    assert provider.held()["s2"]["gender"] == "M"
    assert set(provider.held()) == {"s0", "s2"}
    words = provider.database.rows(f"SELECT submission_status, return_id FROM {provider.table} ORDER BY local_id")
    assert {tuple(row) for row in words} == {("sent", 202608)}
    status = provider.sdr("status", PERIOD)
    assert "learners" in status.out
    assert "2 held" in status.out


def test_null_characters_in_words_of_tec_are_no_error_of_the_database(provider: Provider) -> None:
    provider.stage_learners(1)
    listed = {"returnId": int(PERIOD), "returnYear": 2026, "returnMonth": 8, "returnStatus": "Accum\0late"}
    given = {"submissionToken": "to\0ken", "submissionStatus": "Pend\0ing"}
    for call, body in enumerate(({"results": [listed], "totalCount": 1}, given), 1):
        text = "\ufeff" + json.dumps(body)
        provider.simulator.add_fault(Fault(target="calls", status=200, body=text, first=call, last=call))
    done = provider.sdr("submit", PERIOD)
    assert (done.code, "holds no submission token" in done.err) == (5, True), done.text
    given["submissionToken"] = "invented-7"
    fault = Fault(target="calls", status=200, body="\ufeff" + json.dumps(given), first=4, last=4)
    provider.simulator.add_fault(fault)
    done = provider.sdr("submit", PERIOD)
    assert done.code == 0, done.text
    assert "TEC does not find the submission token" in done.err


@EMBEDDED
@pytest.mark.parametrize("check", ["reject", "off"])
def test_held_record_whose_payload_gets_a_member_twice_is_kept_and_not_sent(provider: Provider, check: str) -> None:
    provider.submit_learners(1)
    held = provider.held()
    repeated = '{"studentIdentificationCode":"s0","gender":"M","gender":"F"}'
    provider.database.execute(f"UPDATE {provider.table} SET json_payload = '{repeated}'")

    done = provider.sdr("submit", PERIOD, SDR_CHECK=check)

    assert done.code == 1, done.text
    assert provider.held() == held
    words = provider.database.rows(f"SELECT submission_status, api_response FROM {provider.table}")
    assert [(status, answer.split(":")[0]) for status, answer in words] == [("error", "NOT SENT")]
    assert "json_payload has a member twice in one object" in provider.sdr("check").out


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
def test_testing_mode_takes_what_is_set_for_the_real_tec(provider: Provider) -> None:
    provider.stage("courses", "c1", courseCode="c1", courseTitle="Weaving")
    real = {"SDR_PATH_COURSES": "register/courses", "SDR_PATH_RESULTS": "results/{token}"}
    year_end = json.loads(provider.sdr("returns", "--testing", "--json").out)[-1]["return_id"]
    done = provider.sdr("submit", str(year_end), "--testing", "--validate", SDR_AUTH_HEADER="authentication", **real)
    assert done.code == 0, done.text


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
@pytest.mark.parametrize("check", ["reject", "off"])
def test_indicative_return_gets_its_three_collections_alone(provider: Provider, check: str) -> None:
    provider.stage_learners(2)
    provider.stage("learners", "s2", studentIdentificationCode="s2", gender="F", dateOfBirth="1999-03-12")
    provider.stage("qualification-completions", "q1", studentIdentificationCode="s0")
    planned = json.loads(provider.sdr("submit", "202603", "--dry-run", "--json", SDR_CHECK=check).out)
    counts = {name: (one["put"], one["withheld"]) for name, one in planned["collections"].items()}
    sent = (2, 1) if check == "reject" else (3, 0)
    assert counts == {"courses": (0, 0), "learners": sent, "course-enrolments": (0, 0)}
    assert [one["rule"] for one in planned["checks"]] == (["date", "indicative"] if check == "reject" else [])
    provider.sdr("submit", "202603", SDR_CHECK=check)
    held = provider.simulator.held(202603)
    assert (len(held["learners"]), len(held["qualification-completions"])) == (sent[0], 0)
    assert set(json.loads(provider.sdr("status", "202603", "--json").out)["returns"][0]["collections"]) == set(counts)


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


@EMBEDDED
def test_submission_that_somebody_reset_is_sent_whole_where_tec_keeps_data(provider: Provider) -> None:
    provider.stage_learners(2)
    provider.simulator.change(keeps_data=True)
    provider.sdr("submit", PERIOD)
    provider.simulator.expire_submission_tokens()
    done = provider.sdr("submit", PERIOD, SDR_ON_NEW_TOKEN="continue")
    assert (done.code, "Requests with records: 0." in done.out) == (0, True), done.text
    provider.simulator.reset_by_another(int(PERIOD))
    done = provider.sdr("submit", PERIOD, SDR_ON_NEW_TOKEN="continue")
    assert (done.code, len(provider.held())) == (0, 2), done.text


@EMBEDDED
def test_journal_is_closed_on_a_connection_that_was_lost(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    finish_run = Store.finish_run
    lost: list[int] = []

    def lost_once(*call: object) -> None:
        if not lost:
            lost.append(1)
            raise ConnectionLost("The connection to the database was lost.")
        finish_run(*call)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(Store, "finish_run", lost_once)
    provider.submit_learners(1)
    runs = provider.database.rows("SELECT accepted, exit_code FROM sdr_runs WHERE finished_at IS NOT NULL")
    assert [tuple(row) for row in runs] == [(1, 0)]


@EMBEDDED
def test_submission_is_told_though_its_results_cannot_be_read(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.stage_learners(2)

    def lose(*_call: object) -> None:
        raise ConnectionLost("The connection to the database was lost.")

    monkeypatch.setattr(Store, "validations", lose)
    done = provider.sdr("submit", PERIOD, "--validate")
    assert (done.code, "        2 accepted" in done.out) == (3, True), done.text
