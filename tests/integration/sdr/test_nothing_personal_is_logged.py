"""No value of a record and no token in the streams, the log and the log table of a submission."""

from __future__ import annotations

import pytest

from api_pipeline.sandbox.simulator import Fault
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


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
