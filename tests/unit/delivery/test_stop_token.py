"""The stop token: what stops a run is known at once, and each reason stands once in the summary."""

from __future__ import annotations

import threading
import time
from datetime import datetime

import pytest

from api_pipeline.delivery.stop_token import StopToken
from api_pipeline.errors import AuthenticationRefused, DatabaseError, ServiceUnavailable
from api_pipeline.run_summary import RunSummary
from api_pipeline.transport.rate_limit import RateLimiter, Stopped


class Night:
    def __init__(self) -> None:
        now = datetime(2026, 11, 27)  # noqa: DTZ001 - the summary's times are UTC without a zone
        self.summary = RunSummary(
            run_id="1", table="t", receiver="r", is_testing=False, is_deltas=False, started_at=now
        )
        self.signal = threading.Event()
        self.limiter = RateLimiter(1, 0.0, time.monotonic)
        self.stop = StopToken(self.signal, self.limiter, self.summary)


def test_signal_stops_requests_and_is_the_exit_code() -> None:
    night = Night()
    night.stop.check()
    night.signal.set()
    with pytest.raises(Stopped):
        night.stop.check()
    with pytest.raises(Stopped), night.limiter.passage():
        pass
    assert (night.summary.was_stopped, night.summary.errors, night.summary.exit_code) == (True, [], 130)


def test_end_of_a_run_is_not_a_reason() -> None:
    night = Night()
    night.stop.set()
    assert night.stop.is_set
    assert (night.summary.was_stopped, night.summary.errors, night.summary.exit_code) == (False, [], 0)


def test_first_error_of_each_kind_is_kept() -> None:
    night = Night()
    first, other = AuthenticationRefused("the first"), ServiceUnavailable("another")
    for error in (first, AuthenticationRefused("the second"), other):
        night.stop.set(error)
    assert night.stop.is_set
    assert night.summary.errors == [first, other]
    assert night.summary.exit_code == 4


def test_longer_sentence_of_one_loss_of_the_database_is_kept() -> None:
    night = Night()
    for text in ("Lost.", "Lost. Receipts are kept.", "Lost. Receipts are kept.", "Another loss."):
        night.stop.set(DatabaseError(text))
    assert [str(error) for error in night.summary.errors] == ["Lost. Receipts are kept.", "Another loss."]
