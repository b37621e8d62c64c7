"""How often a request is repeated, after what waits, and how a wait that was asked for is obeyed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.errors import ServiceUnavailable
from api_pipeline.transport.exchange import RetryPolicy, backoff_s, obey_wait, repeated, wait_words
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.transport.single_request import Transient


def at_once(attempts: int) -> RetryPolicy:
    return RetryPolicy(attempts, 60.0, jitter=lambda _low, _high: 0.0)


def busy(number: int = 1, wait_s: float | None = None) -> Transient:
    return Transient(503, f"try {number} met a busy service", wait_s, may_have_arrived=False)


def a_limiter() -> RateLimiter:
    return RateLimiter(4, 0.0, time.monotonic)


def fails(times: int) -> tuple[Callable[[], str | Transient], list[int]]:
    """Return a function that succeeds after so many failures, and the list in which its calls are counted."""
    calls: list[int] = []

    def work() -> str | Transient:
        calls.append(len(calls) + 1)
        if len(calls) <= times:
            return busy(len(calls))
        return "done"

    return work, calls


def test_longest_wait_doubles_with_each_try_up_to_the_setting() -> None:
    longest = [backoff_s(attempt, 10.0, lambda _low, high: high) for attempt in range(1, 7)]
    assert longest == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert backoff_s(100_000, 10.0, lambda _low, high: high) == 10.0


def test_shortest_wait_is_none() -> None:
    assert backoff_s(5, 10.0, lambda low, _high: low) == 0.0


@given(st.integers(1, 10_000), st.floats(0.0, 3600.0))
def test_drawn_wait_is_never_longer_than_the_setting(attempt: int, longest: float) -> None:
    policy = RetryPolicy(5, longest)
    assert 0.0 <= backoff_s(attempt, policy.max_wait_s, policy.jitter) <= longest


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_error_that_passes_is_repeated_until_it_has_passed(failures: int) -> None:
    work, calls = fails(failures)
    assert repeated(at_once(4), a_limiter(), work) == "done"
    assert len(calls) == failures + 1


def test_last_error_is_told_when_all_tries_are_used_up() -> None:
    work, calls = fails(99)
    assert repeated(at_once(4), a_limiter(), work) == busy(4)
    assert len(calls) == 4


def test_error_that_does_not_pass_is_not_repeated() -> None:
    calls = []

    def work() -> None:
        calls.append(1)
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        repeated(at_once(4), a_limiter(), work)
    assert len(calls) == 1


@pytest.mark.parametrize(("allowed", "tries"), [(None, 4), (2, 2), (1, 1), (9, 4)])
def test_fewer_tries_may_be_allowed_but_never_more(allowed: int | None, tries: int) -> None:
    work, calls = fails(99)
    repeated(at_once(4).at_most(allowed), a_limiter(), work)
    assert len(calls) == tries


def test_wait_between_two_tries_is_really_waited() -> None:
    work, _ = fails(2)
    began = time.monotonic()
    repeated(RetryPolicy(4, 60.0, jitter=lambda _low, _high: 0.05), a_limiter(), work)
    assert time.monotonic() - began >= 0.1


def test_wait_after_each_further_try_may_be_twice_as_long() -> None:
    def at_once_but_noted(low: float, high: float) -> float:
        longest.append(high)
        return low

    longest: list[float] = []
    work, _ = fails(99)
    repeated(RetryPolicy(5, 60.0, at_once_but_noted), a_limiter(), work)
    assert longest[:4] == [1.0, 2.0, 4.0, 8.0]


def test_stop_ends_each_later_wait_as_well() -> None:
    def stopped_in_the_second(_low: float, _high: float) -> float:
        wait_s = next(waits)
        if wait_s:
            stopping.start()
        return wait_s

    limiter = a_limiter()
    work, calls = fails(99)
    waits = iter([0.0, 30.0])
    stopping = threading.Timer(0.05, limiter.stop)
    with pytest.raises(Stopped):
        repeated(RetryPolicy(4, 60.0, jitter=stopped_in_the_second), limiter, work)
    stopping.join()
    assert len(calls) == 2


def test_stop_ends_a_wait_between_two_tries() -> None:
    limiter = a_limiter()
    work, calls = fails(99)
    stopping = threading.Timer(0.05, limiter.stop)
    stopping.start()
    with pytest.raises(Stopped):
        repeated(RetryPolicy(4, 60.0, jitter=lambda _low, _high: 30.0), limiter, work)
    stopping.join()
    assert len(calls) == 1


def test_answer_that_asks_no_wait_holds_nobody() -> None:
    limiter = a_limiter()
    obey_wait(limiter, busy(), "the receiver")
    with limiter.passage(), limiter.passage():
        pass


def test_wait_that_is_asked_for_holds_every_sender() -> None:
    limiter = a_limiter()
    began = time.monotonic()
    obey_wait(limiter, busy(wait_s=0.1), "the receiver")
    with limiter.passage():
        assert time.monotonic() - began >= 0.1


def test_wait_beyond_an_hour_ends_the_run_and_says_so() -> None:
    with pytest.raises(ServiceUnavailable) as told:
        obey_wait(a_limiter(), busy(wait_s=7200.0), "the token service")
    assert str(told.value).startswith("The token service asks to wait 2.0 hours (HTTP 503), longer than a run waits")


@pytest.mark.parametrize("is_by_own_clock", [True, False])
def test_wait_that_was_measured_by_our_own_clock_names_the_clock(is_by_own_clock: bool) -> None:
    asked = busy(wait_s=7200.0)._replace(is_by_own_clock=is_by_own_clock)
    with pytest.raises(ServiceUnavailable) as told:
        obey_wait(a_limiter(), asked, "the receiver")
    assert ("check whether this machine's clock is right" in str(told.value)) is is_by_own_clock


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0, "0 seconds"), (59.6, "60 seconds"), (3599.0, "3599 seconds"), (5400.0, "1.5 hours")]
)
def test_wait_is_told_in_the_unit_that_suits_it(seconds: float, words: str) -> None:
    assert wait_words(seconds) == words
