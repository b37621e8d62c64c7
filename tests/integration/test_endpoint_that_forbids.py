"""`test-endpoint` where a 403 is about no key: a quota, or the page of a firewall; contract 4."""

from __future__ import annotations

from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import Fault, SimulatorServer
from tests.support.diagnosing import walk


@pytest.mark.parametrize(
    ("body", "sentence", "advice"),
    [
        (
            '{"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 01:02:03."}',
            "forbids access for a while (HTTP 403)",
            "a quota is used up",
        ),
        ("<html>403 Forbidden</html>", "a web page, not the receiver (HTTP 403)", "a firewall or proxy usually"),
    ],
)
def test_403_of_a_quota_or_a_firewall_blames_no_key(
    body: str, sentence: str, advice: str, server: SimulatorServer, tmp_path: Path
) -> None:
    server.simulator.add_fault(Fault(status=403, body=body))
    found = walk(server, tmp_path)

    assert (found.code, found.failed) == (4, "request")
    assert sentence in found.sentence
    assert found.advice.startswith(advice)
