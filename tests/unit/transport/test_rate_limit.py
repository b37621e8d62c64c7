import threading
import time
from itertools import pairwise

import pytest

from api_pipeline.transport.rate_limit import RateLimiter, Stopped


class Clock:
    """A clock that runs a hundred times as fast as the wall's, so that waits of seconds are tested in moments."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        return (time.monotonic() - self._began) * 100


def in_threads(count: int, work: object) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]  # type: ignore[arg-type] # a plain callable
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def wait_for_waiting(gate: RateLimiter, count: int) -> None:
    until = time.monotonic() + 10
    while len(gate._waiting) < count and time.monotonic() < until:
        time.sleep(0.001)
    assert len(gate._waiting) == count


def test_no_more_requests_are_under_way_than_the_width() -> None:
    gate = RateLimiter(3, 0.0, time.monotonic)
    under_way, most, lock = [0], [0], threading.Lock()

    def send() -> None:
        for _ in range(20):
            with gate.passage():
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
    gate = RateLimiter(4, 2.0, clock)
    starts: list[float] = []

    def send() -> None:
        for _ in range(3):
            with gate.passage():
                starts.append(clock())

    in_threads(4, send)
    starts.sort()
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 1.99


def test_a_pause_holds_for_every_sender_and_then_opens_one_by_one() -> None:
    clock = Clock()
    gate = RateLimiter(4, 0.0, clock)
    began = clock()
    gate.hold(30.0)
    starts: list[float] = []
    under_way, most, lock = [0], [0], threading.Lock()

    def send() -> None:
        with gate.passage():
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            starts.append(clock())
            time.sleep(0.002)
            with lock:
                under_way[0] -= 1

    in_threads(4, send)
    assert min(starts) >= began + 30.0
    assert most[0] == 1


def test_each_success_after_a_pause_lets_one_more_request_be_under_way() -> None:
    gate = RateLimiter(3, 0.0, time.monotonic)
    gate.hold(0.0)
    gate.widen()
    entered = threading.Barrier(2, timeout=5)

    def send() -> None:
        with gate.passage():
            entered.wait()

    in_threads(2, send)


def test_a_retried_request_goes_before_a_new_one() -> None:
    gate = RateLimiter(1, 0.0, time.monotonic)
    order: list[str] = []

    def send(name: str, *, retried: bool) -> None:
        with gate.passage(retried=retried):
            order.append(name)

    with gate.passage():
        threads = []
        for name, retried in (("new", False), ("retried", True)):
            thread = threading.Thread(target=send, args=(name,), kwargs={"retried": retried})
            thread.start()
            threads.append(thread)
            wait_for_waiting(gate, len(threads))
    for thread in threads:
        thread.join(5)
    assert order == ["retried", "new"]


def test_a_stop_wakes_those_who_wait_and_those_who_back_off() -> None:
    gate = RateLimiter(1, 0.0, time.monotonic)
    gate.hold(3600.0)
    stopped: list[str] = []

    def send() -> None:
        try:
            with gate.passage():
                stopped.append("started")
        except Stopped:
            stopped.append("stopped")

    def back_off() -> None:
        try:
            gate.sleep(3600.0)
        except Stopped:
            stopped.append("stopped")

    threads = [threading.Thread(target=send), threading.Thread(target=back_off)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    gate.stop()
    for thread in threads:
        thread.join(5)
    assert stopped == ["stopped", "stopped"]
    with pytest.raises(Stopped), gate.passage():
        pass
