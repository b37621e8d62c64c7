"""The senders: batches delivered by threads, what is reported of them, and when they stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from api_pipeline.csc_api.answers import Answer, Receipts, Transient
from api_pipeline.delivery.sender_pool import Decided, SenderPool, Sending
from api_pipeline.delivery.stop_token import StopToken
from api_pipeline.errors import AuthenticationRefused, ServiceUnavailable
from api_pipeline.model import Accepted, Batch, Receipt, Record, RecordKind
from api_pipeline.run_summary import RunSummary
from api_pipeline.transport.rate_limit import RateLimiter
from tests.support.rows import due_row

# Longer than any event takes to come; reached only by a test that fails.
WAIT_S = 10.0
UNAVAILABLE = Transient(503, "HTTP 503", None, may_have_arrived=False)


@dataclass
class Receiver:
    """Accepts everything, fails in one way, or holds requests until it is let go."""

    answer: Answer | None = None
    error: Exception | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    posts: list[list[bytes]] = field(default_factory=list)

    def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
        self.posts.append(list(records))
        assert self.go_on.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        return self.answer or Receipts(200, tuple(Receipt(body.decode(), None) for body in records))


class Stop(StopToken):
    """The stop token of a run of its own, and the errors that stopped it."""

    def __init__(self) -> None:
        summary = RunSummary(
            run_id="1",
            table="t",
            receiver="r",
            is_testing=False,
            is_deltas=False,
            started_at=datetime(2026, 1, 1),  # noqa: DTZ001 - the summary's times are UTC without a zone
        )
        super().__init__(threading.Event(), RateLimiter(4, 0.0, time.monotonic), summary)
        self.errors = summary.errors


def batch(number: int) -> Batch:
    return Batch(
        number, (Record(due_row(number), f"P{number}", RecordKind.FULL, f"receipt-{number}".encode(), "", "{}"),)
    )


@contextmanager
def working(receiver: Receiver, *, senders: int = 1, give_up_after: int = 3) -> Iterator[tuple[SenderPool, Stop]]:
    """Yield senders at work; they have come to their end afterwards."""
    stop = Stop()
    pool = SenderPool(Sending(receiver, stop, senders, give_up_after, pause=lambda: None))
    pool.start()
    try:
        yield pool, stop
    finally:
        receiver.go_on.set()
        pool.close()


def until_idle(pool: SenderPool) -> list[Decided]:
    """Return what is decided until every batch has ended."""
    found: list[Decided] = []
    until = time.monotonic() + WAIT_S
    while not pool.is_idle and time.monotonic() < until:
        pool.wait(WAIT_S)
        while (decided := pool.next_decided()) is not None:
            found.append(decided)
    assert pool.is_idle
    return found


def test_outcomes_are_reported_with_the_batchs_number() -> None:
    receiver = Receiver()
    receiver.go_on.set()
    with working(receiver) as (pool, _):
        pool.submit(batch(7))
        (decided,) = until_idle(pool)

    assert decided.batch == 7
    (outcome,) = decided.outcomes
    assert isinstance(outcome, Accepted)
    assert (outcome.record.row.id, outcome.receipt.id) == (7, "receipt-7")


def test_one_sender_delivers_batches_in_the_order_of_their_submission() -> None:
    receiver = Receiver()
    with working(receiver) as (pool, _):
        for number in (3, 1, 2):
            pool.submit(batch(number))
        receiver.go_on.set()
        until_idle(pool)

    assert receiver.posts == [[b"receipt-3"], [b"receipt-1"], [b"receipt-2"]]


def test_several_senders_post_at_the_same_time() -> None:
    at_once = threading.Barrier(3)

    class Meeting(Receiver):
        def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
            at_once.wait(WAIT_S)
            return super().post(records, max_attempts)

    receiver = Meeting()
    receiver.go_on.set()
    with working(receiver, senders=3) as (pool, _):
        for number in (1, 2, 3):
            pool.submit(batch(number))

        assert len(until_idle(pool)) == 3


def test_pool_is_full_with_one_batch_for_each_sender_and_one_more_waiting() -> None:
    with working(Receiver(), senders=2) as (pool, _):
        for number in range(1, 5):
            assert not pool.is_full
            pool.submit(batch(number))

        assert pool.is_full


def test_pool_is_idle_once_the_end_of_each_batch_was_taken() -> None:
    receiver = Receiver()
    receiver.go_on.set()
    with working(receiver) as (pool, _):
        assert pool.is_idle
        pool.submit(batch(1))
        assert not pool.is_idle
        assert len(until_idle(pool)) == 1


def test_waiting_for_outcomes_lasts_only_as_long_as_given() -> None:
    with working(Receiver()) as (pool, _):
        pool.submit(batch(1))
        pool.wait(0.01)

        assert pool.next_decided() is None


def test_outcomes_are_not_waited_for_where_some_can_be_taken() -> None:
    receiver = Receiver()
    receiver.go_on.set()
    with working(receiver) as (pool, _):
        pool.submit(batch(1))
        pool.wait(WAIT_S)
        began = time.monotonic()
        for _ in range(3):
            pool.wait(WAIT_S)

        assert time.monotonic() - began < WAIT_S
        assert not pool.is_idle
        assert pool.next_decided() is not None


def test_error_of_the_pipeline_ends_its_batch_and_stops_all_senders() -> None:
    refusal = AuthenticationRefused("The receiver forbids access.")
    receiver = Receiver(error=refusal)
    receiver.go_on.set()
    with working(receiver) as (pool, stop):
        pool.submit(batch(1))

        assert until_idle(pool) == []
        assert stop.errors == [refusal]
        assert stop.is_set


def test_program_error_while_sending_is_reported_without_its_text() -> None:
    receiver = Receiver(error=KeyError("a child's name"))
    receiver.go_on.set()
    with working(receiver) as (pool, stop):
        pool.submit(batch(1))
        until_idle(pool)
        (error,) = stop.errors

        assert str(error) == "The program failed unexpectedly while sending (KeyError); report it."
        assert stop.is_set


@pytest.mark.parametrize(("most", "said"), [(1, "1 batch"), (2, "2 batches")])
def test_run_is_given_up_after_so_many_batches_lost_in_a_row(most: int, said: str) -> None:
    receiver = Receiver(answer=UNAVAILABLE)
    receiver.go_on.set()
    with working(receiver, give_up_after=most) as (pool, stop):
        for number in range(1, most + 1):
            assert not stop.is_set
            pool.submit(batch(number))
            until_idle(pool)

    (error,) = stop.errors
    assert isinstance(error, ServiceUnavailable)
    assert f"failed for {said} in a row" in str(error)


def test_closing_returns_the_batches_not_begun_and_waits_for_the_others() -> None:
    receiver = Receiver()
    with working(receiver) as (pool, stop):
        for number in (1, 2, 3):
            pool.submit(batch(number))
        while not receiver.posts:
            time.sleep(0.001)

        def go_on_once_closing() -> None:
            while not stop.is_set:
                time.sleep(0.001)
            time.sleep(0.2)
            receiver.go_on.set()

        threading.Thread(target=go_on_once_closing).start()

        left = pool.close()

        assert [one.number for one in left] == [2, 3]
        assert stop.is_set
        assert [one.batch for one in until_idle(pool)] == [1]


def test_batches_taken_after_the_error_that_stops_the_run_are_not_begun() -> None:
    receiver = Receiver(answer=UNAVAILABLE)
    with working(receiver, give_up_after=1) as (pool, stop):
        for number in (1, 2, 3):
            pool.submit(batch(number))
        receiver.go_on.set()
        until_idle(pool)

        assert [one.number for one in pool.close()] == [2, 3]
        assert [type(error) for error in stop.errors] == [ServiceUnavailable]
    assert [post for post in receiver.posts if post] == [[b"receipt-1"]]


def test_only_batches_lost_in_a_row_are_counted() -> None:
    receiver = Receiver(answer=UNAVAILABLE)
    receiver.go_on.set()
    with working(receiver, give_up_after=2) as (pool, stop):
        for number, answer in enumerate((UNAVAILABLE, None, UNAVAILABLE, None, UNAVAILABLE)):
            receiver.answer = answer
            pool.submit(batch(number))
            until_idle(pool)
        assert not stop.is_set


def test_batch_lost_while_the_run_is_being_stopped_is_not_the_reason() -> None:
    receiver = Receiver(answer=UNAVAILABLE)
    with working(receiver, give_up_after=1) as (pool, stop):
        pool.submit(batch(1))
        stop.set(AuthenticationRefused("The receiver forbids access."))
        receiver.go_on.set()
        until_idle(pool)

    assert [type(error) for error in stop.errors] == [AuthenticationRefused]
