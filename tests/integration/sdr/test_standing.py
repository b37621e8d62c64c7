"""How the records of a return stand: what `status` counts, and what a rehearsal says of the run."""

from __future__ import annotations

import json
import sys

import pytest

from api_pipeline.sandbox.simulator import Fault, FaultKind
from api_pipeline.sandbox.simulator.tec import TecOptions, TecServer, TecSimulator
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.commands import started_cli
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


def test_refusal_is_shown_at_the_return_that_it_is_about(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("learners", "bad", studentIdentificationCode="bad", gender="BAD")
    provider.simulator.change(refused=("BAD",))
    assert provider.sdr("submit", "202603").code == 1
    provider.simulator.change(refused=())
    assert provider.sdr("submit", PERIOD).code == 0
    assert provider.sdr("validate", PERIOD).code == 1, "TEC's rules find an error in it"
    shown = json.loads(provider.sdr("status", "--json").out)["returns"]
    assert {one["return_id"]: one["collections"]["learners"]["refused"] for one in shown} == {202603: 1, 202608: 0}
    provider.stage("learners", "bad", studentIdentificationCode="bad", gender="F")
    assert provider.sdr("submit", "202603").code == 0
    assert "      0 refused" in provider.sdr("status", "202603").out


@EMBEDDED
def test_refusal_of_another_receiver_is_not_shown(provider: Provider) -> None:
    provider.stage("learners", "bad", studentIdentificationCode="bad", gender="BAD")
    provider.simulator.change(refused=("BAD",))
    provider.sdr("submit", PERIOD)
    with TecServer(TecSimulator(TecOptions(returns=provider.simulator.options.returns))) as other:
        elsewhere = {**other.settings(), "MAX_ATTEMPTS": "1"}
        other.simulator.add_fault(Fault(kind=FaultKind.DROP, target="records", times=None))
        assert provider.sdr("submit", PERIOD, **elsewhere).code == 5
        assert "1 in doubt       0 refused" in provider.sdr("status", PERIOD, **elsewhere).out
    assert "1 in doubt       1 refused" in provider.sdr("status", PERIOD).out


@EMBEDDED
def test_status_counts_what_the_checks_hold_back(provider: Provider) -> None:
    provider.stage_learners(1)
    provider.stage("learners", "late", studentIdentificationCode="late", dateOfBirth="2001-11-30T13:00:00Z")
    provider.stage("learners", "odd", localId="other")
    assert provider.sdr("submit", PERIOD, SDR_CHECK="reject").code == 1
    shown = provider.sdr("status", PERIOD, SDR_CHECK="reject").out
    assert "1 held       0 in doubt       0 refused         0 to put" in shown
    assert "2 records cannot be sent as they are; see: d2i-csc-api sdr check" in shown


@EMBEDDED
def test_rehearsal_says_that_the_guard_would_refuse_the_run(provider: Provider) -> None:
    provider.submit_learners(5)
    assert json.loads(provider.sdr("submit", PERIOD, "--dry-run", "--json").out)["refusal"] is None
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id <> 's0'")
    said = provider.sdr("submit", PERIOD, "--dry-run")
    assert said.code == 0
    refused = provider.sdr("submit", PERIOD)
    assert refused.code == 1
    sentence = refused.err.removeprefix("Error: ").strip()
    assert f"The submission would be refused with exit code 1: {sentence}" in said.out
    assert json.loads(provider.sdr("submit", PERIOD, "--dry-run", "--json").out)["refusal"] == sentence
    assert "would be refused" not in provider.sdr("submit", PERIOD, "--dry-run", "--allow-deletes").out


@EMBEDDED
def test_rehearsal_of_testing_mode_counts_what_its_run_sends(provider: Provider) -> None:
    provider.stage_learners(2)
    period = str(json.loads(provider.sdr("returns", "--testing", "--json").out)[-1]["return_id"])
    for _ in range(2):
        said = json.loads(provider.sdr("submit", period, "--testing", "--dry-run", "--json").out)
        assert said["collections"]["learners"]["put"] == 2
        assert "2 accepted" in provider.sdr("submit", period, "--testing").out


@EMBEDDED
@pytest.mark.skipif(sys.platform == "win32", reason="two processes at once are tried on POSIX alone")
def test_two_returns_at_once_both_come_to_the_right_end(provider: Provider) -> None:
    provider.stage_learners(8)
    provider.simulator.change(batch_limit=2, latency_s=0.05)
    settings = provider.settings(SDR_WAIT_BLOCKED_S=30, READ_TIMEOUT_S=10, RETRY_MAX_WAIT_S=1)
    with (
        started_cli(["sdr", "submit", "202603"], settings, provider.folder) as first,
        started_cli(["sdr", "submit", PERIOD], settings, provider.folder) as second,
    ):
        said = [first.communicate(timeout=60), second.communicate(timeout=60)]
    assert (first.returncode, second.returncode) == (0, 0), said
    for period in (202603, int(PERIOD)):
        assert set(provider.simulator.held(period)["learners"]) == {f"s{number}" for number in range(8)}
