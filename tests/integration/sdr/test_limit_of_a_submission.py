"""`--limit` and `--dry-run`: how much of a return a submission sends."""

from __future__ import annotations

import json

import pytest

from api_pipeline.sandbox.simulator import Fault
from api_pipeline.sdr import store
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


@EMBEDDED
def test_dry_run_counts_and_sends_nothing(provider: Provider) -> None:
    provider.stage_learners(2)
    done = provider.sdr("submit", PERIOD, "--dry-run")
    assert done.code == 0
    assert "2 to put" in done.out
    assert not provider.simulator.batch_sizes


@EMBEDDED
@pytest.mark.parametrize(
    "options", [(), ("--limit", "2"), ("--limit", "3"), ("--reupload",), ("--reupload", "--limit", "2")]
)
def test_dry_run_counts_what_the_same_options_send(provider: Provider, options: tuple[str, ...]) -> None:
    provider.submit_learners(3)
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id = 's0'")
    provider.stage("learners", "s3", studentIdentificationCode="s3", gender="F")
    for number in range(2):
        provider.stage("courses", f"c{number}", courseCode=f"c{number}", courseTitle="Weaving")
    given = ("submit", PERIOD, "--json", "--allow-deletes", *options)
    planned = json.loads(provider.sdr(*given, "--dry-run").out)["collections"]
    done = json.loads(provider.sdr(*given).out)["collections"]
    for collection, plan in planned.items():
        assert (plan["put"], plan["delete"]) == (done[collection]["accepted"], done[collection]["deleted"]), collection


@EMBEDDED
def test_limit_stops_early_and_deletes_nothing(provider: Provider) -> None:
    provider.submit_learners(3)
    provider.database.execute("DELETE FROM sdr_staging WHERE local_id = 's0'")
    for number in (3, 4):
        provider.stage("learners", f"s{number}", studentIdentificationCode=f"s{number}", gender="F")
    done = provider.sdr("submit", PERIOD, "--limit", "1", "--allow-deletes")
    assert done.code == 0
    assert set(provider.held()) == {"s0", "s1", "s2", "s3"}


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
def test_dry_run_says_that_another_token_sends_all_again(provider: Provider) -> None:
    provider.submit_learners(2)
    said = "what is unchanged is sent again as well"
    assert said not in provider.sdr("submit", PERIOD, "--dry-run").out
    provider.database.execute("UPDATE sdr_submission SET token_expiry = '2020-01-01 00:00:00'")
    assert said in provider.sdr("submit", PERIOD, "--dry-run").out
    assert json.loads(provider.sdr("submit", PERIOD, "--dry-run", "--json").out)["may_send_all"]
    assert said not in provider.sdr("submit", PERIOD, "--dry-run", SDR_ON_NEW_TOKEN="continue").out
