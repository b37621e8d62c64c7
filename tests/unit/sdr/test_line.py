"""The line to TEC carries one request at a time, and nobody leaves it while a request is under way."""

from __future__ import annotations

import threading

import pytest

from api_pipeline.sdr.line import Line


def test_answer_of_a_request_comes_back_and_the_next_may_go() -> None:
    with Line[int]() as line:
        line.send(lambda: 1)
        assert line.answer() == 1
        line.send(lambda: 2)
        assert line.answer() == 2


def test_error_of_a_request_is_raised_where_its_answer_is_waited_for() -> None:
    def fail() -> int:
        raise ValueError("what happened")

    with Line[int]() as line:
        line.send(fail)
        with pytest.raises(ValueError, match="what happened"):
            line.answer()
        line.send(lambda: 1)
        assert line.answer() == 1


def test_second_request_never_goes_beside_the_first() -> None:
    with Line[int]() as line:
        line.send(lambda: 1)
        with pytest.raises(AssertionError):
            line.send(lambda: 2)


def test_line_is_left_only_when_its_request_is_over() -> None:
    over = threading.Event()
    goes_on = threading.Event()

    def request() -> int:
        goes_on.wait(5)
        over.set()
        return 1

    def fail_beside_it() -> None:
        with Line[int]() as line:
            line.send(request)
            threading.Timer(0.05, goes_on.set).start()
            raise ValueError("beside it")

    with pytest.raises(ValueError, match="beside it"):
        fail_beside_it()
    assert over.is_set()
