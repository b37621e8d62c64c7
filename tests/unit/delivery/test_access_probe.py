"""The access probe: what an empty request tells of the receiver, and how seldom it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from api_pipeline.csc_api.answers import Answer, Forbidden, Malformed, Transient
from api_pipeline.delivery.access_probe import AccessProbe
from api_pipeline.errors import AuthenticationRefused

FORBIDDEN = Forbidden(403, "HTTP 403: out of call volume quota")
EMPTY_REFUSED = Malformed(400, "HTTP 400: empty array")
UNAVAILABLE = Transient(503, "HTTP 503", None, may_have_arrived=False)


@dataclass
class Receiver:
    """Give one answer to whatever is posted, and write down what that was."""

    answer: Answer
    posts: list[tuple[list[bytes], int | None]] = field(default_factory=list)

    def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
        self.posts.append((list(records), max_attempts))
        return self.answer


def test_403_to_the_empty_request_too_ends_a_run_without_access() -> None:
    receiver = Receiver(FORBIDDEN)

    with pytest.raises(AuthenticationRefused, match=r"forbids access .HTTP 403.; check SUPPLIER_KEY"):
        AccessProbe(receiver).check(FORBIDDEN)

    assert receiver.posts == [([], None)]


def test_reason_of_the_receiver_is_not_quoted_behind_its_status() -> None:
    with pytest.raises(AuthenticationRefused) as refusal:
        AccessProbe(Receiver(FORBIDDEN)).check(FORBIDDEN)

    assert "quota" not in str(refusal.value)


def test_403_after_an_acceptance_says_that_access_ended_within_the_run() -> None:
    probe = AccessProbe(Receiver(FORBIDDEN))
    probe.note_accepted()

    with pytest.raises(AuthenticationRefused, match=r"since the middle of the run .*run again, and check"):
        probe.check(FORBIDDEN)


def test_403_that_asks_to_wait_blames_a_quota_and_no_key_before_any_acceptance() -> None:
    with pytest.raises(AuthenticationRefused, match=r"a quota is used up\..*after 62 minutes, as it asks") as refusal:
        AccessProbe(Receiver(FORBIDDEN)).check(Forbidden(403, "HTTP 403: quota", retry_after_s=3723.0))

    assert "SUPPLIER_KEY" not in str(refusal.value)


@pytest.mark.parametrize("had_access", [False, True])
def test_web_page_with_403_to_the_empty_request_blames_a_firewall(had_access: bool) -> None:
    page = Forbidden(403, "HTTP 403: <html>", is_page=True)
    probe = AccessProbe(Receiver(page))
    if had_access:
        probe.note_accepted()

    with pytest.raises(AuthenticationRefused, match=r"a firewall or proxy answers.*ask the network team") as refusal:
        probe.check(page)

    assert "SUPPLIER_KEY" not in str(refusal.value)


@pytest.mark.parametrize(("asked_s", "minutes"), [(5.0, "1 minute"), (600.0, "10 minutes")])
def test_wait_that_the_receiver_asks_for_is_given_in_minutes(asked_s: float, minutes: str) -> None:
    probe = AccessProbe(Receiver(FORBIDDEN))
    probe.note_accepted()

    with pytest.raises(AuthenticationRefused, match=f"run again after {minutes}, as it asks"):
        probe.check(Forbidden(403, "HTTP 403: quota", retry_after_s=asked_s))


def test_refusal_is_remembered_and_no_sender_asks_again() -> None:
    receiver = Receiver(FORBIDDEN)
    probe = AccessProbe(receiver)
    for _ in range(3):
        with pytest.raises(AuthenticationRefused):
            probe.check(FORBIDDEN)

    assert len(receiver.posts) == 1


def test_second_try_is_worth_it_only_where_the_run_had_access_before() -> None:
    probe = AccessProbe(Receiver(EMPTY_REFUSED))

    assert [probe.check(FORBIDDEN), probe.check(FORBIDDEN)] == [False, True]


def test_acceptance_counts_as_access_before_any_probe() -> None:
    probe = AccessProbe(Receiver(EMPTY_REFUSED))
    probe.note_accepted()

    assert probe.accepted == 1
    assert probe.check(FORBIDDEN) is True


def test_record_that_was_judged_shows_access_too() -> None:
    probe = AccessProbe(Receiver(FORBIDDEN))
    probe.note_access()

    with pytest.raises(AuthenticationRefused, match="since the middle of the run"):
        probe.check(FORBIDDEN)


def test_any_clear_answer_to_one_empty_request_shows_a_working_receiver() -> None:
    receiver = Receiver(EMPTY_REFUSED)
    probe = AccessProbe(receiver)

    assert probe.is_answering()
    assert probe.is_answering()
    assert receiver.posts == [([], 1), ([], 1)]


def test_receiver_that_failed_is_asked_again_only_after_an_acceptance() -> None:
    receiver = Receiver(UNAVAILABLE)
    probe = AccessProbe(receiver)

    assert [probe.is_answering() for _ in range(3)] == [False, False, False]
    assert len(receiver.posts) == 1

    receiver.answer = EMPTY_REFUSED
    probe.note_accepted()
    assert probe.is_answering()
    assert len(receiver.posts) == 2
