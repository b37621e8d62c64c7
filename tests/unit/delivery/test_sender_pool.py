"""The senders: batches delivered by threads, what is reported of them, and when they stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from api_pipeline.csc_api.answers import Answer, Receipts, Transient
from api_pipeline.delivery.sender_pool import BatchEnded, CircuitBreaker, Decided, Event, SenderPool, Sending
from api_pipeline.errors import AuthenticationRefused, PipelineError, ServiceUnavailable
from api_pipeline.model import Accepted, Batch, Receipt, Record, RecordKind, StagedRow
from api_pipeline.transport.rate_limit import RateLimiter

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


def limiter() -> RateLimiter:
    return RateLimiter(4, 0.0, time.monotonic)


def batch(number: int) -> Batch:
    row = StagedRow(number, f"P{number}", "new", "pending", "{}", None, has_previous=False)
    return Batch(number, (Record(row, f"P{number}", RecordKind.FULL, f"receipt-{number}".encode(), "{}"),))


@contextmanager
def working(
    receiver: Receiver, *, senders: int = 1, give_up_after: int = 3
) -> Iterator[tuple[SenderPool, RateLimiter]]:
    """Yield senders at work; they have come to their end afterwards."""
    passage = limiter()
    pool = SenderPool(Sending(receiver, passage, senders, give_up_after, pause=lambda: None))
    pool.start()
    try:
        yield pool, passage
    finally:
        receiver.go_on.set()
        pool.close()


def events(pool: SenderPool, count: int) -> list[Event]:
    found = [pool.next_event(WAIT_S) for _ in range(count)]
    return [event for event in found if event is not None]


def errors(found: Sequence[Event]) -> list[PipelineError | None]:
    return [event.error for event in found if isinstance(event, BatchEnded)]


def test_outcomes_are_reported_with_the_batchs_number_before_its_end() -> None:
    receiver = Receiver()
    receiver.go_on.set()
    with working(receiver) as (pool, _):
        pool.submit(batch(7))
        decided, ended = events(pool, 2)

    assert isinstance(decided, Decided)
    assert decided.batch == 7
    (outcome,) = decided.outcomes
    assert isinstance(outcome, Accepted)
    assert (outcome.record.row.id, outcome.receipt.id) == (7, "receipt-7")
    assert ended == BatchEnded(None)


def test_one_sender_delivers_batches_in_the_order_of_their_submission() -> None:
    receiver = Receiver()
    with working(receiver) as (pool, _):
        for number in (3, 1, 2):
            pool.submit(batch(number))
        receiver.go_on.set()
        events(pool, 6)

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

        assert errors(events(pool, 6)) == [None, None, None]


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
        events(pool, 1)
        assert not pool.is_idle
        events(pool, 1)
        assert pool.is_idle


def test_without_an_event_nothing_is_waited_for_or_only_so_long() -> None:
    with working(Receiver()) as (pool, _):
        pool.submit(batch(1))

        assert pool.next_event(None) is None
        assert pool.next_event(0.01) is None


def test_error_of_the_pipeline_ends_its_batch_and_stops_all_senders() -> None:
    refusal = AuthenticationRefused("The receiver forbids access.")
    receiver = Receiver(error=refusal)
    receiver.go_on.set()
    with working(receiver) as (pool, passage):
        pool.submit(batch(1))

        assert errors(events(pool, 1)) == [refusal]
        assert passage.is_stopped


def test_program_error_while_sending_is_told_without_its_text() -> None:
    receiver = Receiver(error=KeyError("a child's name"))
    receiver.go_on.set()
    with working(receiver) as (pool, passage):
        pool.submit(batch(1))
        (error,) = errors(events(pool, 1))

        assert str(error) == "The run met an error of its own while sending (KeyError); report it."
        assert passage.is_stopped


def test_run_is_given_up_after_so_many_batches_lost_in_a_row() -> None:
    receiver = Receiver(answer=UNAVAILABLE)
    receiver.go_on.set()
    with working(receiver, give_up_after=2) as (pool, passage):
        pool.submit(batch(1))
        assert errors(events(pool, 2)) == [None]
        assert not passage.is_stopped
        pool.submit(batch(2))
        (error,) = errors(events(pool, 2))

    assert isinstance(error, ServiceUnavailable)
    assert "failed for 2 batches in a row" in str(error)


def test_closing_returns_the_batches_not_begun_and_waits_for_the_others() -> None:
    receiver = Receiver()
    with working(receiver) as (pool, passage):
        for number in (1, 2, 3):
            pool.submit(batch(number))
        while not receiver.posts:
            time.sleep(0.001)
        threading.Timer(0.05, receiver.go_on.set).start()

        left = pool.close()

        assert [one.number for one in left] == [2, 3]
        assert passage.is_stopped
        assert [type(event) for event in events(pool, 2)] == [Decided, BatchEnded]
        assert pool.is_idle


def test_breaker_counts_only_batches_lost_in_a_row() -> None:
    passage = limiter()
    breaker = CircuitBreaker(2, passage)
    for was_lost in (True, False, True, False):
        breaker.count(was_lost=was_lost)
    breaker.count(was_lost=True)
    assert not passage.is_stopped

    with pytest.raises(ServiceUnavailable, match="2 batches in a row"):
        breaker.count(was_lost=True)

    assert passage.is_stopped


def test_breaker_tells_nothing_more_of_a_run_that_is_being_stopped() -> None:
    passage = limiter()
    passage.stop()

    CircuitBreaker(1, passage).count(was_lost=True)
