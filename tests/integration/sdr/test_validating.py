"""`sdr validate` over real HTTP: validations that last, that block, and whose results come late."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault
from api_pipeline.sandbox.simulator.tec import BlockedAnswer
from api_pipeline.sdr.nouns import Collection, TecFinding
from api_pipeline.sdr.session import Session
from api_pipeline.sdr.validation import tie
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED
from tests.support.tec import tec_world

pytestmark = pytest.mark.strict


def _calls(provider: Provider) -> int:
    return sum(one.target == "calls" for one in provider.simulator.log)


def _gone(number: int) -> Fault:
    """Return the answer that TEC does not find the submission token, to one call by its number."""
    return Fault(target="calls", status=400, body='{"errorCode": "SC2"}', first=number, last=number)


@EMBEDDED
def test_a_validation_that_never_ends_is_told_and_resumed(provider: Provider) -> None:
    provider.submit_learners(1)
    provider.simulator.change(status_words=("InProgress",) * 1000)
    done = provider.sdr("validate", PERIOD, "--timeout", "1", SDR_POLL_S="0.5")
    assert (done.code, done.err.count("\n")) == (5, 1)
    assert "--resume" in done.err
    one = provider.simulator.submission(int(PERIOD))
    one.polls_left = ["InProgress"]
    done = provider.sdr("validate", PERIOD, "--resume")
    assert done.code == 0, done.text
    assert "Passed" in done.out


@EMBEDDED
@pytest.mark.parametrize("blocked", list(BlockedAnswer))
def test_a_running_validation_blocks_and_nothing_is_marked(provider: Provider, blocked: BlockedAnswer) -> None:
    provider.submit_learners(2)
    provider.stage("learners", "s9", studentIdentificationCode="s9", gender="F")
    provider.simulator.change(status_words=("InProgress",) * 1000, blocked=blocked)
    provider.sdr("validate", PERIOD, "--no-wait")
    done = provider.sdr("submit", PERIOD)
    assert (done.code, done.err.count("\n")) == (75, 1), done.text
    rows = provider.database.rows("SELECT submission_status FROM sdr_staging WHERE local_id = 's9'")
    assert [tuple(row) for row in rows] == [(None,)]


@EMBEDDED
def test_a_token_that_expires_while_validating_is_no_obstacle(provider: Provider) -> None:
    provider.submit_learners(1)
    provider.simulator.change(status_words=("InProgress",) * 4)
    provider.sdr("validate", PERIOD, "--no-wait")
    provider.simulator.expire_submission_tokens()
    done = provider.sdr("validate", PERIOD, "--resume")
    assert done.code in (0, 1), done.text
    assert "Traceback" not in done.text


@EMBEDDED
def test_results_at_a_wrong_path_are_fetched_later(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage_wrong_enrolment()
    done = provider.sdr("submit", PERIOD, "--validate", SDR_PATH_RESULTS="nowhere/{token}")
    assert done.code == 2
    assert "SDR_PATH_RESULTS: TEC has nothing at /nowhere/*** (HTTP 404)" in done.err
    assert "TEC's word: Rejected" in provider.sdr("status", PERIOD).out
    done = provider.sdr("validate", PERIOD, "--resume")
    assert (done.code, done.err) == (1, "")
    assert "SIM102" in done.out


@EMBEDDED
def test_what_tec_says_of_an_empty_return_is_shown(provider: Provider) -> None:
    done = provider.sdr("validate", PERIOD)
    assert (done.code, done.err.count("\n")) == (6, 1)
    assert "did not start the validation (HTTP 400): where nothing was submitted yet" in done.err


@EMBEDDED
def test_token_that_is_gone_when_results_are_read_is_replaced(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage_wrong_enrolment()
    provider.sdr("submit", PERIOD, "--validate", SDR_PATH_RESULTS="nowhere/{token}")
    calls = _calls(provider)
    provider.simulator.add_fault(_gone(calls + 3))
    done = provider.sdr("validate", PERIOD, "--resume")
    assert done.code == 1, done.text
    assert "SIM102" in done.out


@EMBEDDED
def test_another_token_that_knows_no_validation_is_not_waited_for(provider: Provider) -> None:
    provider.submit_learners(1)
    provider.sdr("validate", PERIOD, "--no-wait")
    one = provider.simulator.submission(int(PERIOD))
    one.status, one.polls_left = "Processed", []
    calls = _calls(provider)
    # The list, the state under the token that is gone, the list again, another token, the state under that.
    provider.simulator.add_fault(_gone(calls + 2))
    unknown = Fault(target="calls", status=200, body='{"status": "Accumulate"}', first=calls + 5, last=calls + 5)
    provider.simulator.add_fault(unknown)
    done = provider.sdr("validate", PERIOD, "--resume", SDR_VALIDATION_TIMEOUT_S=1)
    assert done.code == 0, done.text
    assert "Passed" in done.out


@EMBEDDED
def test_token_that_tec_never_finds_ends_in_one_sentence(provider: Provider) -> None:
    provider.submit_learners(1)
    calls = _calls(provider)
    for number in (2, 4):
        provider.simulator.add_fault(_gone(calls + number))
    done = provider.sdr("validate", PERIOD, SDR_VALIDATION_TIMEOUT_S=1)
    assert done.code == 5, done.text
    assert "does not find the submission token that it has just given" in done.err


@EMBEDDED
def test_what_is_sent_is_sent_again_where_validation_needs_another_token(provider: Provider) -> None:
    provider.simulator.change(same_token=False, keeps_data=False, token_lifetime_s=60)
    provider.stage_learners(3)
    done = provider.sdr("submit", PERIOD, "--validate", "--json")
    assert done.code == 0, done.text
    assert len(provider.held()) == 3
    assert json.loads(done.out)["collections"]["learners"]["accepted"] == 3, "a record counts once"
    assert provider.database.rows("SELECT COUNT(*) FROM sdr_held WHERE payload_hash IS NULL") == [(0,)]


@EMBEDDED
def test_token_renewed_just_before_validation_leaves_nothing_behind(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []

    def is_due(_: Session) -> bool:
        looked.extend([True] * (len(provider.held()) == 3))
        return len(looked) == 2

    provider.simulator.change(same_token=False, keeps_data=False, token_lifetime_s=9000)
    monkeypatch.setattr(Session, "is_about_to_renew", property(is_due))
    provider.stage_learners(3)
    done = provider.sdr("submit", PERIOD, "--validate")
    assert done.code == 0, done.text
    assert len(looked) > 2
    assert len(provider.held()) == 3


@EMBEDDED
def test_validation_deletes_nothing_where_another_token_means_reset(provider: Provider) -> None:
    provider.submit_learners(3)
    provider.simulator.change(same_token=False)
    provider.simulator.expire_submission_tokens()
    done = provider.sdr("validate", PERIOD, SDR_ON_NEW_TOKEN="reset")
    assert done.code == 0, done.text
    assert len(provider.held()) == 3


@EMBEDDED
def test_resume_says_that_nothing_is_validated(provider: Provider) -> None:
    provider.submit_learners(1)
    done = provider.sdr("validate", PERIOD, "--resume")
    assert (done.code, done.err.count("\n")) == (6, 1)
    assert "has no validation of the return 202608, 2026-08 at work" in done.err


@EMBEDDED
def test_results_that_are_fewer_than_tec_counts_are_told(provider: Provider) -> None:
    provider.submit_learners(1)
    provider.simulator.change(verdict="Rejected", status_words=())
    calls = _calls(provider)
    body = '{"status": "Rejected", "errorCount": 5, "warningCount": 1}'
    provider.simulator.add_fault(Fault(target="calls", status=200, body=body, first=calls + 3, last=calls + 3))
    done = provider.sdr("validate", PERIOD)
    assert "TEC counts 5 errors and 1 warning, and listed 0 and 0" in done.err, done.text


@EMBEDDED
def test_return_with_errors_did_not_pass_whatever_tec_calls_it(provider: Provider) -> None:
    provider.simulator.change(verdict="Processed")
    provider.stage_learners(1)
    provider.stage_wrong_enrolment()
    done = provider.sdr("submit", PERIOD, "--validate")
    assert (done.code, "The data passed" in done.out, "Passed" in done.out) == (1, False, False), done.out
    assert "TEC's word: Processed (failed)" in provider.sdr("status", PERIOD).out
    assert "Passed" not in provider.sdr("results", PERIOD).out


@EMBEDDED
def test_results_are_compared_with_those_of_their_kind_before(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage_wrong_enrolment()
    provider.stage("courses", "c1", courseCode="c1", courseTitle="")
    assert provider.sdr("submit", "202603", "--validate").code == 1
    provider.stage("courses", "none", courseCode="none", courseTitle="Weaving")
    assert provider.sdr("submit", "202603", "--validate").code == 0
    done = provider.sdr("results", "2026-03", "--indicative", "--errors-only")
    assert "0 new, 0 still, 1 gone" in done.out, "the warning that is still there is not gone"
    marks = provider.database.rows("SELECT local_id FROM sdr_staging WHERE api_response IS NOT NULL")
    assert [row[0] for row in marks] == ["c1"], "the mark of the validation before is gone"


@EMBEDDED
def test_results_of_one_code_keep_the_verdict_of_all(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage_wrong_enrolment()
    provider.stage("courses", "c1", courseCode="c1", courseTitle="")
    assert provider.sdr("submit", PERIOD, "--validate").code == 1
    assert "Rejected, 1 error, 1 warning." in provider.sdr("results", PERIOD).out
    for option in ("--errors-only", "--code=SIM102"):
        done = provider.sdr("results", PERIOD, option)
        assert "Rejected, 1 error, 1 warning; 1 of them is shown." in done.out
        shown = json.loads(provider.sdr("results", PERIOD, option, "--json").out)["validation"]
        assert (shown["errors"], shown["warnings"], len(shown["groups"])) == (1, 1, 1)


@EMBEDDED
def test_validation_that_found_nothing_is_one_to_compare_with(provider: Provider) -> None:
    for learner in ("nobody", "s0", "nobody"):
        provider.stage_learners(1)
        provider.stage("courses", "c1", courseCode="c1", courseTitle="Weaving")
        provider.stage("course-enrolments", "e1", studentIdentificationCode=learner, courseCode="c1")
        done = provider.sdr("submit", "202603", "--validate", "--report", "reports")
    assert "1 new, 0 still, 0 gone" in done.out
    page = max((provider.folder / "reports").glob("*.html")).read_text(encoding="utf-8")
    counts = re.findall(r"<td[^>]*>(\d+)</td>\s*<td[^>]*>(\d+)</td>", page)
    assert counts[-3:] == [("1", "0"), ("0", "0"), ("1", "0")]


@EMBEDDED
def test_reset_under_a_token_that_expired_while_validating_forgets_nothing(provider: Provider) -> None:
    provider.submit_learners(2)
    provider.simulator.change(status_words=("InProgress",) * 1000)
    provider.sdr("validate", PERIOD, "--no-wait")
    token = provider.simulator.submission(int(PERIOD)).token
    provider.simulator.expire_submission_tokens()
    done = provider.sdr("reset", PERIOD, "--yes", "--verbose")
    assert done.code == 75, done.text
    assert token not in done.text
    assert len(provider.held()) == 2
    assert provider.database.rows("SELECT COUNT(*) FROM sdr_held")[0][0] == 2
    provider.simulator.submission(int(PERIOD)).polls_left = []
    assert provider.sdr("reset", PERIOD, "--yes").code == 0
    assert not provider.held()


def test_finding_without_an_id_is_tied_by_what_it_names(tmp_path: Path) -> None:
    with tec_world(tmp_path) as world:
        world.stage(Collection.COURSES, "c1", {"courseCode": "W1"})
        for number, course in enumerate(("W1", "W2", "W2")):
            enrolment = {"studentIdentificationCode": f"s{number % 2}", "courseCode": course}
            world.stage(Collection.COURSE_ENROLMENTS, f"e{number}", enrolment)

        def tied(collection: Collection, student: str, course: str) -> str | None:
            return tie(world.store, [TecFinding(1, collection, None, "101", "Error", "", student, course)])[0].local_id

        assert tied(Collection.COURSES, "", "W1") == "c1"
        assert tied(Collection.COURSE_ENROLMENTS, "", "W1") == "e0"
        assert tied(Collection.COURSE_ENROLMENTS, "s1", "") == "e1"
        assert tied(Collection.COURSE_ENROLMENTS, "s0", "W2") == "e2"
        assert tied(Collection.COURSE_ENROLMENTS, "s0", "") is None, "it may be about either of two"


@EMBEDDED
@pytest.mark.parametrize("place", [0, 1], ids=["of its beginning", "beside the results"])
def test_results_at_the_address_of_the_status_have_the_time_of_their_validation(provider: Provider, place: int) -> None:
    provider.submit_learners(1)
    called, time = _calls(provider), {"dateReceived": "2026-08-20T03:00:00Z"}
    answers: list[dict[str, object]] = [{"status": "Queued"}, {"results": []}, {"results": []}]
    answers[place] |= time
    for number, answer in enumerate(answers, called + 3):
        fault = Fault(target="calls", status=200, body=json.dumps(answer), first=number, last=number)
        provider.simulator.add_fault(fault)
    assert provider.sdr("validate", PERIOD).code == 0
    runs = [row[0] for row in provider.database.rows("SELECT run FROM sdr_validation")]
    assert runs == list(time.values())
