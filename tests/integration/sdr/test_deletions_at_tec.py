"""Which records are taken out of a return, and which never are."""

from __future__ import annotations

import json

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind, When
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


@EMBEDDED
def test_an_emptied_staging_table_deletes_nothing(provider: Provider) -> None:
    provider.submit_learners(5)
    provider.database.execute(f"DELETE FROM {provider.table}")
    done = provider.sdr("submit", PERIOD)
    assert done.code == 1
    assert "TEC holds for the return (5), the staging table lacks 5" in done.err
    assert len(provider.held()) == 5
    assert provider.sdr("submit", PERIOD, "--allow-deletes").code == 0
    assert not provider.held()


@EMBEDDED
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 1, "TEC holds for the return (6), the staging table lacks 5"),
        (["--limit", "1"], 1, "Nothing was sent."),
        (["--allow-deletes"], 0, ""),
    ],
)
def test_token_that_means_reset_deletes_no_more_than_the_share(
    provider: Provider, options: list[str], code: int, said: str
) -> None:
    provider.submit_learners(6)
    provider.database.execute(f"DELETE FROM {provider.table} WHERE local_id <> 's0'")
    provider.simulator.change(same_token=False)
    done = provider.sdr("submit", PERIOD, *options, SDR_ON_NEW_TOKEN="reset")
    assert done.code == code, done.text
    assert said in done.err
    assert len(provider.held()) == (6 if code else 1)


@EMBEDDED
@pytest.mark.parametrize("options", [["--collection", "courses"], ["--limit", "1"]])
def test_token_that_means_reset_leaves_what_is_not_sent_in_this_run(provider: Provider, options: list[str]) -> None:
    provider.stage("courses", "c1", courseCode="c1", courseTitle="Weaving")
    provider.submit_learners(3)
    provider.simulator.change(same_token=False)
    assert provider.sdr("submit", PERIOD, *options, SDR_ON_NEW_TOKEN="reset").code == 0
    assert len(provider.held()) == 3
    assert len(provider.held("courses")) == 1


@EMBEDDED
@pytest.mark.parametrize("check", ["reject", "warn"])
def test_token_that_means_reset_leaves_the_older_form_of_what_is_not_sent(provider: Provider, check: str) -> None:
    provider.submit_learners(3)
    if check == "reject":
        provider.stage("learners", "s0", studentIdentificationCode="s0", dateOfBirth="2001-11-30T05:00:00Z")
    else:
        provider.database.execute(f"UPDATE {provider.table} SET json_payload = 'no JSON' WHERE local_id = 's0'")
    provider.simulator.change(same_token=False)
    done = provider.sdr("submit", PERIOD, SDR_ON_NEW_TOKEN="reset", SDR_CHECK=check)
    assert done.code == 1
    assert len(provider.held()) == 3


@EMBEDDED
def test_deletes_never_reach_another_collection_with_the_same_id(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("courses", "s0", courseCode="s0", courseTitle="Weaving")
    provider.sdr("submit", PERIOD)
    provider.database.execute(f"DELETE FROM {provider.table} WHERE collection = 'courses'")
    assert provider.sdr("submit", PERIOD, "--allow-deletes").code == 0
    assert set(provider.held()) == {"s0"}
    assert not provider.held("courses")


@EMBEDDED
def test_reset_forgets_and_the_next_submit_sends_everything(provider: Provider) -> None:
    provider.submit_learners(2)
    assert provider.sdr("reset", PERIOD).code == 2, "without --yes and without a terminal nothing is reset"
    provider.simulator.add_fault(Fault(kind=FaultKind.DROP, target="calls", when=When.AFTER_ACCEPTING, first=0, last=0))
    assert provider.sdr("reset", PERIOD, "--yes").code == 0
    assert not provider.held()
    assert provider.sdr("submit", PERIOD).code == 0
    assert len(provider.held()) == 2


@EMBEDDED
@pytest.mark.parametrize("command", ["reset", "submit"])
def test_reset_under_a_token_that_expires_at_once_deletes_all_the_same(provider: Provider, command: str) -> None:
    provider.submit_learners(2)
    provider.stage("learners", "s1", studentIdentificationCode="s1", gender="M")
    provider.simulator.expire_submission_tokens()
    args = [command, PERIOD, *(["--yes"] if command == "reset" else [])]
    # The list, a token, and the reset under it.
    _find_no_token(provider, 3, 5)
    done = provider.sdr(*args, SDR_ON_NEW_TOKEN="reset")
    assert (done.code, done.err.count("\n")) == (5, 1), done.text
    assert "so the submission may still be there" in done.err
    assert len(provider.held()) == 2
    hashes = provider.database.rows("SELECT payload_hash FROM sdr_held")
    assert [tuple(row) for row in hashes] == [(None,), (None,)], "all of it is in doubt"
    provider.simulator.expire_submission_tokens()
    _find_no_token(provider, 3)
    assert provider.sdr(*args, SDR_ON_NEW_TOKEN="reset").code == 0
    assert set(provider.held()) == ({"s0", "s1"} if command == "submit" else set())
    assert sum("/delete" in one.path for one in provider.simulator.log) == 4


def _find_no_token(provider: Provider, *numbers: int) -> None:
    """Let TEC say to the calls that come with these numbers, from 1, that it does not find the submission token."""
    calls = sum(one.target == "calls" for one in provider.simulator.log)
    for number in numbers:
        place = calls + number
        fault = Fault(target="calls", status=400, body='{"errorCode": "SC2"}', first=place, last=place)
        provider.simulator.add_fault(fault)


@EMBEDDED
def test_rehearsed_reset_claims_no_deletion_at_tec(provider: Provider) -> None:
    done = provider.sdr("reset", "202612", "--yes", "--testing")
    assert "deleted at the simulated TEC (testing: nothing left this machine)" in done.out
    done = provider.sdr("reset", "202612", "--yes", "--testing", "--json")
    assert json.loads(done.out)["mode"] == "testing"


@EMBEDDED
def test_rehearsal_of_another_table_deletes_nothing_of_the_one_before(provider: Provider) -> None:
    for learner in ("s1", "s2"):
        provider.database.execute(f"DELETE FROM {provider.table}")
        provider.stage("learners", learner, studentIdentificationCode=learner, gender="F")
        done = provider.sdr("submit", "202612", "--testing", "--json")
        learners = json.loads(done.out)["collections"]["learners"]
        assert (done.code, learners["accepted"], learners["deleted"], done.err) == (0, 1, 0, "")


def test_records_that_tec_only_refused_are_taken_out_without_leave(provider: Provider) -> None:
    provider.submit_learners(4)
    provider.simulator.change(refused=("BAD",))
    for number in range(6, 9):
        provider.stage("learners", f"s{number}", studentIdentificationCode=f"s{number}", gender="BAD")
    assert provider.sdr("submit", PERIOD).code == 1
    provider.database.execute(f"DELETE FROM {provider.table} WHERE local_id IN ('s6', 's7', 's8')")
    done = provider.sdr("submit", PERIOD, SDR_MAX_DELETED_SHARE="0.1")
    assert done.code == 0, done.text
    provider.database.execute(f"DELETE FROM {provider.table} WHERE local_id = 's3'")
    assert provider.sdr("submit", PERIOD, SDR_MAX_DELETED_SHARE="0.1").code == 1
    assert len(provider.held()) == 4


@EMBEDDED
def test_refusal_by_another_receiver_gives_no_leave_to_delete(provider: Provider) -> None:
    provider.simulator.change(refused=("BAD",))
    for number in range(3):
        provider.stage("learners", f"s{number}", studentIdentificationCode=f"s{number}", gender="BAD")
    elsewhere = provider.server.origin.replace("127.0.0.1", "localhost")
    assert provider.sdr("submit", PERIOD, SDR_API_ENDPOINT=elsewhere).code == 1
    provider.simulator.change(refused=())
    provider.simulator.add_fault(Fault(kind=FaultKind.DROP, target="records", when=When.AFTER_ACCEPTING, times=1))
    assert provider.sdr("submit", PERIOD, MAX_ATTEMPTS=1).code == 5
    provider.database.execute(f"DELETE FROM {provider.table}")
    done = provider.sdr("submit", PERIOD)
    assert (done.code, len(provider.held())) == (1, 3), done.text


def _refuse_what_was_lost(provider: Provider) -> None:
    """Lose the answer to three records, and let TEC refuse their next form."""
    provider.stage_learners(3)
    provider.simulator.add_fault(Fault(kind=FaultKind.DROP, target="records", when=When.AFTER_ACCEPTING, times=1))
    assert provider.sdr("submit", PERIOD, MAX_ATTEMPTS=1).code == 5
    provider.simulator.change(refused=("BAD",))
    for number in range(3):
        provider.stage("learners", f"s{number}", studentIdentificationCode=f"s{number}", gender="BAD")
    assert provider.sdr("submit", PERIOD).code == 1


def test_refusal_after_a_lost_answer_gives_no_leave_to_delete(provider: Provider) -> None:
    _refuse_what_was_lost(provider)
    assert "3 records at TEC may be older than yours" in provider.sdr("status", PERIOD).out
    provider.database.execute(f"DELETE FROM {provider.table}")
    done = provider.sdr("submit", PERIOD)
    assert (done.code, len(provider.held())) == (1, 3), done.text


@EMBEDDED
def test_refusal_after_a_run_without_an_end_gives_no_leave_to_delete(provider: Provider) -> None:
    _refuse_what_was_lost(provider)
    provider.database.execute("DELETE FROM sdr_submission_log WHERE outcome = 'undelivered'")
    provider.database.execute("UPDATE sdr_runs SET finished_at = NULL WHERE exit_code = 5")
    provider.database.execute(f"DELETE FROM {provider.table}")
    done = provider.sdr("submit", PERIOD)
    assert (done.code, len(provider.held())) == (1, 3), done.text


def test_audit_trail_has_the_records_whose_answer_was_lost(provider: Provider) -> None:
    provider.stage_learners(1)
    lost = Fault(kind=FaultKind.DROP, target="records", times=1)
    provider.simulator.add_fault(lost)
    assert provider.sdr("submit", PERIOD, MAX_ATTEMPTS=1).code == 5
    assert provider.sdr("submit", PERIOD).code == 0
    provider.database.execute(f"DELETE FROM {provider.table}")
    provider.simulator.add_fault(lost)
    assert provider.sdr("submit", PERIOD, "--allow-deletes", MAX_ATTEMPTS=1).code == 5
    log, runs = provider.database.named("sdr_submission_log"), provider.database.named("sdr_runs")
    trail = provider.database.rows(f"SELECT kind, outcome FROM {log} ORDER BY id")
    assert [tuple(row) for row in trail] == [("put", "undelivered"), ("put", "accepted"), ("delete", "undelivered")]
    counts = provider.database.rows(f"SELECT undelivered FROM {runs} ORDER BY started_at")
    assert [int(row[0]) for row in counts] == [1, 0, 1]
