"""`sdr test-endpoint` over real HTTP, step by step."""

from __future__ import annotations

import re

import pytest

from api_pipeline.sandbox.simulator import Fault
from tests.integration.sdr.conftest import PERIOD, Provider
from tests.support.marks import EMBEDDED

pytestmark = pytest.mark.strict


@EMBEDDED
def test_the_way_to_tec_is_walked_step_by_step(provider: Provider) -> None:
    done = provider.sdr("test-endpoint")
    assert (done.code, done.err) == (0, "")
    steps = [line.split()[0] for line in done.out.splitlines() if re.search(r"\b(ok|skipped)\b", line)]
    assert steps == ["settings", "DNS", "TCP", "proxy", "TLS", "token", "request"]
    assert "lists 4 returns" in done.out


@EMBEDDED
@pytest.mark.parametrize(
    ("settings", "code", "step", "words"),
    [
        ({"SDR_API_ENDPOINT": "https://no-such-host.invalid"}, 5, "DNS", "ask your network team about DNS"),
        ({"SDR_API_ENDPOINT": "http://127.0.0.1:9"}, 5, "TCP", "The connection to 127.0.0.1:9 was refused"),
        ({"SDR_API_ENDPOINT": "https://{host}"}, 5, "TLS", "TLS"),
        (
            {"PROXY_URL": "http://127.0.0.1:9", "SDR_API_ENDPOINT": "https://tec.invalid"},
            5,
            "TCP",
            "the proxy 127.0.0.1:9",
        ),
        ({"SDR_CLIENT_SECRET": "another-invented-secret"}, 4, "token", "SDR_CLIENT_SECRET"),
        (
            {"SDR_API_ENDPOINT": "http://{host}/elsewhere"},
            2,
            "request",
            "SDR_API_ENDPOINT: TEC has nothing at /returns",
        ),
        ({"SDR_EID": "1234", "SDR_ORG_ID": "9999"}, 4, "request", "TEC does not know this machine account (AU1)"),
    ],
)
def test_the_step_that_fails_ends_the_walk(
    provider: Provider, settings: dict[str, str], code: int, step: str, words: str
) -> None:
    host = provider.server.origin.partition("://")[2]
    done = provider.sdr("test-endpoint", **{name: value.replace("{host}", host) for name, value in settings.items()})
    assert done.code == code, done.text
    assert f"failed at {step} (exit code {code})" in done.out
    assert words in done.out
    assert "council" not in done.out
    assert "another-invented-secret" not in done.text


@EMBEDDED
def test_proxy_that_requires_a_login_sends_nobody_to_a_council(provider: Provider) -> None:
    provider.simulator.add_fault(Fault(target="token", status=407, times=2))
    for command in (["test-endpoint"], ["submit", PERIOD]):
        done = provider.sdr(*command)
        assert done.code == 4, done.text
        assert "requires a login (HTTP 407); put user and password into PROXY_URL" in done.text
        assert "network team knows" in done.text
        assert "council" not in done.text
