"""`sdr validate` over real HTTP: validations that last, that block, and whose results come late."""

from __future__ import annotations

import pytest

from api_pipeline.sandbox.simulator.tec import BlockedAnswer
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


@EMBEDDED
def test_a_validation_that_never_ends_is_told_and_resumed(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.sdr("submit", PERIOD)
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
    provider.stage_learners(2)
    provider.sdr("submit", PERIOD)
    provider.stage("learners", "s9", studentIdentificationCode="s9", gender="F")
    provider.simulator.change(status_words=("InProgress",) * 1000, blocked=blocked)
    provider.sdr("validate", PERIOD, "--no-wait")
    done = provider.sdr("submit", PERIOD)
    assert (done.code, done.err.count("\n")) == (75, 1), done.text
    rows = provider.database.rows("SELECT submission_status FROM sdr_staging WHERE local_id = 's9'")
    assert [tuple(row) for row in rows] == [(None,)]


@EMBEDDED
def test_a_token_that_expires_while_validating_is_no_obstacle(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.sdr("submit", PERIOD)
    provider.simulator.change(status_words=("InProgress",) * 4)
    provider.sdr("validate", PERIOD, "--no-wait")
    provider.simulator.expire_submission_tokens()
    done = provider.sdr("validate", PERIOD, "--resume")
    assert done.code in (0, 1), done.text
    assert "Traceback" not in done.text


@EMBEDDED
def test_results_at_a_wrong_path_are_fetched_later(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("course-enrolments", "e1", studentIdentificationCode="s0", courseCode="none")
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
