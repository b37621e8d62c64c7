"""Faults on demand: which requests they hit, and what the simulator does then."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from api_pipeline.sandbox.simulator import (
    Conditions,
    Ending,
    Fault,
    FaultKind,
    FaultTarget,
    Options,
    Simulator,
    When,
    invented,
)
from api_pipeline.sandbox.simulator.adapter import in_process_session
from tests.support.simulated import NOON, Client, child


def test_status_applies_to_the_next_requests_only() -> None:
    client = Client()
    client.simulator.add_fault(
        Fault(status=503, times=2, headers={"X-Request-Id": "r1"}, body="busy"), Fault(status=500)
    )
    answers = [client.post(child()) for _ in range(4)]
    assert [answer.status for answer in answers] == [503, 503, 500, 200]
    assert (answers[0].headers["X-Request-Id"], answers[0].body) == ("r1", b"busy")


def test_fault_applies_to_the_numbered_requests() -> None:
    client = Client()
    client.simulator.add_fault(Fault(status=429, first=2, last=3), Fault(status=500, first=5))
    assert [client.post(child()).status for _ in range(6)] == [200, 429, 429, 200, 500, 500]
    client.simulator.clear_faults()
    assert client.post(child()).status == 200


def test_fault_for_tokens_leaves_children_alone() -> None:
    client = Client()
    client.simulator.add_fault(Fault(status=500, target=FaultTarget.TOKEN, times=None))
    assert (client.post(child()).status, client.ask_token().status, client.ask_token().status) == (200, 500, 500)


def test_redirect_is_a_status_with_a_header() -> None:
    client = Client()
    client.simulator.add_fault(Fault(status=302, headers={"Location": "https://elsewhere.invalid/"}))
    answer = client.post(child())
    assert (answer.status, answer.headers["Location"]) == (302, "https://elsewhere.invalid/")


@pytest.mark.parametrize("kind", [FaultKind.ANSWER, FaultKind.DROP, FaultKind.HANG, FaultKind.DIE])
@pytest.mark.parametrize("when", list(When))
def test_fault_after_accepting_takes_the_records_and_one_before_does_not(kind: FaultKind, when: When) -> None:
    client = Client()
    client.simulator.add_fault(Fault(kind, when=when))
    answer = client.post(child())
    assert answer.ending is (Ending.ANSWER if kind is FaultKind.ANSWER else Ending(kind.value))
    assert (client.simulator.held("A1") is not None) is (when is When.AFTER_ACCEPTING)


def test_retry_after_is_told_in_seconds_or_as_a_date() -> None:
    client = Client()
    client.simulator.add_fault(
        Fault(status=429, retry_after_s=7), Fault(status=429, retry_after_s=7, retry_after_as_date=True)
    )
    assert client.post(child()).headers["Retry-After"] == "7"
    told = parsedate_to_datetime(client.post(child()).headers["Retry-After"])
    assert timedelta(seconds=7) <= told - NOON < timedelta(seconds=8)


def test_rate_limit_lets_so_many_requests_a_second_through() -> None:
    client = Client()
    client.simulator.change(rate_limit=2.0)
    answers = []
    for _ in range(40):
        answers.append(client.post(child()))
        client.clock.move(0.1)
    passed = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    assert 8 <= len(passed) <= 10
    assert len(passed) + len(refused) == 40
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}


def test_requests_within_a_retry_after_are_counted() -> None:
    client = Client()
    client.simulator.add_fault(Fault(status=429, retry_after_s=2))
    client.post(child())
    client.clock.move(1.0)
    client.post(child())
    client.clock.move(1.0)
    client.post(child())
    assert client.simulator.stats().too_early == 1


def test_latency_passes_before_the_answer() -> None:
    client = Client(Options(conditions=Conditions(latency_s=0.25)))
    client.simulator.add_fault(Fault(FaultKind.SLOW, delay_s=3.0))
    client.post(child())
    client.post(child())
    first, second = [entry for entry in client.simulator.log if entry.target is FaultTarget.CHILDREN]
    assert first.answered - first.arrived == pytest.approx(3.25)
    assert second.answered - second.arrived == pytest.approx(0.25)


@pytest.mark.parametrize("what", [{"times": 0}, {"delay_s": -1.0}, {"status": 99}, {"target": FaultTarget.CONTROL}])
def test_inconsistent_fault_is_refused(what: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(what))):
        Fault(**what)


@pytest.mark.parametrize(
    "what", [{"latency_s": -1.0}, {"rate_limit": 0.0}, {"accept_status": 204}, {"refusal_status": 500}]
)
def test_invalid_condition_is_refused_and_changes_nothing(what: dict[str, Any]) -> None:
    simulator = Simulator()
    with pytest.raises(ValueError, match=next(iter(what))):
        simulator.change(**what)
    assert simulator.conditions == Conditions()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.DROP, requests.ConnectionError),
        (FaultKind.DIE, requests.ConnectionError),
        (FaultKind.HANG, requests.ReadTimeout),
    ],
)
def test_faults_without_an_answer_are_raised_inside_the_process(kind: FaultKind, error: type[Exception]) -> None:
    simulator = invented.simulator()
    simulator.add_fault(Fault(kind))
    with in_process_session(simulator) as inside, pytest.raises(error):
        inside.post(invented.CHILDREN_URL, json=[child()])
