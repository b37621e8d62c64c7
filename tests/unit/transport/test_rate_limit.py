import threading
import time
from itertools import pairwise

import pytest

from api_pipeline.transport.rate_limit import RateLimiter, Stopped


class Clock:
    """The monotonic clock, which knows what it last said to each thread: at what time a request started."""

    def __init__(self) -> None:
        self._said = threading.local()

    def __call__(self) -> float:
        self._said.now = time.monotonic()
        return self.last

    @property
    def last(self) -> float:
        now: float = self._said.now
        return now


def in_threads(count: int, work: object) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]  # type: ignore[arg-type] # a plain callable
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def wait_for_waiting(limiter: RateLimiter, count: int) -> None:
    until = time.monotonic() + 10
    while len(limiter._waiting) < count and time.monotonic() < until:
        time.sleep(0.001)
    assert len(limiter._waiting) == count


def test_no_more_requests_are_under_way_than_the_width() -> None:
    limiter = RateLimiter(3, 0.0, time.monotonic)
    under_way, most, lock = [0], [0], threading.Lock()

    def send() -> None:
        for _ in range(20):
            with limiter.passage():
                with lock:
                    under_way[0] += 1
                    most[0] = max(most[0], under_way[0])
                time.sleep(0.001)
                with lock:
                    under_way[0] -= 1

    in_threads(8, send)
    assert most[0] == 3


def test_two_starts_are_never_nearer_than_the_gap() -> None:
    clock = Clock()
    limiter = RateLimiter(4, 0.02, clock)
    starts: list[float] = []

    def send() -> None:
        for _ in range(3):
            with limiter.passage():
                starts.append(clock.last)

    in_threads(4, send)
    starts.sort()
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 0.02 - 1e-9


def test_a_pause_holds_for_every_sender_and_then_opens_one_by_one() -> None:
    limiter = RateLimiter(4, 0.0, time.monotonic)
    began = time.monotonic()
    limiter.hold(0.1)
    starts: list[float] = []
    under_way, most, lock = [0], [0], threading.Lock()

    def send() -> None:
        with limiter.passage():
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            starts.append(time.monotonic())
            time.sleep(0.002)
            with lock:
                under_way[0] -= 1

    in_threads(4, send)
    assert min(starts) >= began + 0.1
    assert most[0] == 1


def test_each_success_after_a_pause_lets_one_more_request_be_under_way() -> None:
    limiter = RateLimiter(3, 0.0, time.monotonic)
    limiter.hold(0.0)
    limiter.widen(time.monotonic())
    entered = threading.Barrier(2, timeout=5)

    def send() -> None:
        with limiter.passage():
            entered.wait()

    in_threads(2, send)


@pytest.mark.parametrize("answered_at", [102.0, 106.0])
def test_success_of_a_request_from_before_a_pause_allows_no_more_after_it(answered_at: float) -> None:
    now = 100.0
    limiter = RateLimiter(3, 0.0, lambda: now)
    with limiter.passage() as before:
        assert limiter.hold(5.0)
        now = answered_at
        limiter.widen(before)
    now = 107.0
    entered = threading.Event()

    def send() -> None:
        with limiter.passage():
            entered.set()

    thread = threading.Thread(target=send)
    with limiter.passage() as after:
        thread.start()
        wait_for_waiting(limiter, 1)
        assert not entered.wait(0.05)
        limiter.widen(after)
        assert entered.wait(20)
    thread.join(20)


def test_a_retried_request_goes_before_a_new_one() -> None:
    limiter = RateLimiter(1, 0.0, time.monotonic)
    order: list[str] = []

    def send(name: str, *, retried: bool) -> None:
        with limiter.passage(retried=retried):
            order.append(name)

    with limiter.passage():
        threads = []
        for name, retried in (("new", False), ("retried", True)):
            thread = threading.Thread(target=send, args=(name,), kwargs={"retried": retried})
            thread.start()
            threads.append(thread)
            wait_for_waiting(limiter, len(threads))
    for thread in threads:
        thread.join(5)
    assert order == ["retried", "new"]


def test_a_stop_wakes_those_who_wait_and_those_who_back_off() -> None:
    limiter = RateLimiter(1, 0.0, time.monotonic)
    limiter.hold(3600.0)
    stopped: list[str] = []

    def send() -> None:
        try:
            with limiter.passage():
                stopped.append("started")
        except Stopped:
            stopped.append("stopped")

    def back_off() -> None:
        try:
            limiter.sleep(3600.0)
        except Stopped:
            stopped.append("stopped")

    threads = [threading.Thread(target=send), threading.Thread(target=back_off)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    limiter.stop()
    for thread in threads:
        thread.join(5)
    assert stopped == ["stopped", "stopped"]
    with pytest.raises(Stopped), limiter.passage():
        pass


def test_all_pauses_of_a_run_together_are_an_hour_at_most() -> None:
    now = [1e9 / 3]
    limiter = RateLimiter(1, 0.0, lambda: now[0])
    for _ in range(4):
        assert limiter.hold(900.0)
        now[0] += 900.0
    assert not limiter.hold(1.0), "the hour is used up"
    with limiter.passage():
        pass


def test_pause_within_a_pause_counts_once() -> None:
    limiter = RateLimiter(1, 0.0, lambda: 1e9 / 3)
    assert limiter.hold(3600.0)
    assert limiter.hold(60.0), "it lies within the hour that is held anyway"
    assert not limiter.hold(3601.0)


def test_answers_are_waited_for_until_the_grace_is_over() -> None:
    now = [0.0]
    asked: list[bool] = []
    limiter = RateLimiter(1, 0.0, lambda: now[0], lambda: bool(asked), stop_grace_s=5.0)
    assert not limiter.is_past_grace()
    now[0] = 100.0
    asked.append(True)
    assert not limiter.is_past_grace(), "the grace begins when the stop is first seen"
    now[0] = 105.1
    assert limiter.is_past_grace()


def test_stop_that_is_asked_for_ends_a_backoff() -> None:
    asked = threading.Event()
    limiter = RateLimiter(1, 0.0, time.monotonic, asked.is_set)
    threading.Timer(0.05, asked.set).start()
    with pytest.raises(Stopped):
        limiter.sleep(3600.0)
