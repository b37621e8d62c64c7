"""What is refused alike is not the records' fault: the run stops in few requests, and nothing is forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind
from api_pipeline.sandbox.simulator.tec import TecConditions
from api_pipeline.sdr.nouns import Collection
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED
from tests.support.tec import PERIOD as WORLD_PERIOD
from tests.support.tec import tec_world


@EMBEDDED
def test_records_of_several_collections_refused_alike_stop_the_run(provider: Provider) -> None:
    provider.simulator.change(bad=("BAD",))
    for number in range(40):
        provider.stage("courses", f"c{number}", courseTitle="BAD")
        provider.stage("learners", f"s{number}", gender="BAD")
    done = provider.sdr("submit", PERIOD)
    assert done.code == 1, done.text
    assert "TEC refuses every record of several collections alike (HTTP 400 CV1)" in done.err, done.text
    assert len(provider.simulator.batch_sizes) < 40
    words = provider.database.rows("SELECT COUNT(*) FROM sdr_staging WHERE submission_status = 'sent'")
    assert [tuple(row) for row in words] == [(0,)]


@EMBEDDED
def test_deletes_that_a_proxy_empties_forget_nothing(provider: Provider) -> None:
    provider.stage_learners(20)
    provider.stage("course-enrolments", "e1", studentIdentificationCode="s0", courseCode="c1")
    assert provider.sdr("submit", PERIOD).code == 0
    provider.database.execute("DELETE FROM sdr_staging")
    provider.simulator.add_fault(Fault(kind=FaultKind.ANSWER, target="records", status=400, first=4, last=103))
    done = provider.sdr("submit", PERIOD, "--allow-deletes")
    assert done.code == 1, done.text
    assert "TEC refuses every delete of learners alike (HTTP 400); none of these records was forgotten" in done.err
    assert "takes the body out of a DELETE request" in done.err
    assert (len(provider.held()), len(provider.held("course-enrolments"))) == (20, 0)
    provider.simulator.clear_faults()
    assert provider.sdr("submit", PERIOD, "--allow-deletes").code == 0
    assert not provider.held()


@EMBEDDED
def test_a_validation_that_breaks_is_asked_for_once_more(provider: Provider) -> None:
    provider.submit_learners(1)
    provider.simulator.change(verdict="UnknownError")
    done = provider.sdr("validate", PERIOD)
    assert done.code != 0, done.text
    assert len(provider.simulator.submission(int(PERIOD)).runs) == 2
    assert "Traceback" not in done.text


@EMBEDDED
def test_a_validation_that_breaks_leaves_the_results_before_it(provider: Provider) -> None:
    provider.stage_wrong_enrolment()
    provider.sdr("submit", PERIOD, "--validate")
    provider.simulator.change(verdict="UnknownError")
    done = provider.sdr("validate", PERIOD)
    assert "failed by itself" in done.out
    assert "gone" not in done.out + provider.sdr("results", PERIOD).out
    assert provider.database.rows("SELECT validation_errors FROM sdr_staging")[0][0]
    assert "it ended without results" in provider.sdr("status").out


def test_a_reset_whose_answer_was_lost_is_a_reset(tmp_path: Path) -> None:
    with tec_world(tmp_path, TecConditions()) as world:
        world.stage(Collection.LEARNERS, "s1")
        assert world.submit().exit_code == 0
        token = world.simulator.submission(WORLD_PERIOD).token
        receiver = world.receiver()
        for _ in range(2):
            receiver.reset(token)
        assert not world.held()


@EMBEDDED
@pytest.mark.parametrize(
    ("word", "closes", "code", "words"),
    [
        ("Closed", "", 6, "is closed; what was not taken stays due"),
        ("Accumulate", "2026-01-01T00:00:00Z", 6, "is closed: its window ended 01 January 2026"),
        ("InProgress", "", 75, "began to validate the return in the middle of this run"),
    ],
)
@pytest.mark.parametrize("problem", ['{"title": "No."}', '{"title": "No.", "errorCode": "XY7"}'])
def test_refusal_that_is_about_the_return_marks_no_record(
    provider: Provider, word: str, closes: str, code: int, words: str, problem: str
) -> None:
    provider.stage_learners(6)
    provider.simulator.change(batch_limit=2)
    listed = {"returnId": 202608, "returnYear": 2026, "returnMonth": 8, "returnStatus": word, "closeWindowDate": closes}
    # The first batch is taken; then the list says what happened to the return meanwhile.
    provider.simulator.add_fault(Fault(target="records", status=400, body=problem, first=2, times=None))
    provider.simulator.add_fault(
        Fault(target="calls", status=200, body=json.dumps({"results": [listed]}), first=3, times=None)
    )
    done = provider.sdr("submit", PERIOD)
    assert (done.code, done.err.count("\n")) == (code, 1), done.text
    assert words in done.err
    marks = provider.database.rows("SELECT submission_status, COUNT(*) FROM sdr_staging GROUP BY submission_status")
    assert {tuple(row) for row in marks} == {("sent", 2), (None, 4)}
    assert len(provider.simulator.batch_sizes) <= 2
    provider.simulator.clear_faults()
    assert provider.sdr("submit", PERIOD).code == 0
    assert len(provider.held()) == 6
