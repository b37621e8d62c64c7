"""Send one request to TEC in a thread of its own, while the caller writes the last outcome and prepares the next.

TEC answers 429 to a second request at the same time, so there is never more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Generic, TypeVar

_Answer = TypeVar("_Answer")
# Windows tells the main thread of a signal only between two waits.
_TICK_S = 0.25


class Line(Generic[_Answer]):
    """Sends one request at a time. The end of its `with` block waits for the request under way."""

    def __init__(self) -> None:
        self._carrier = ThreadPoolExecutor(1, thread_name_prefix="tec")
        self._under_way: Future[_Answer] | None = None

    def __enter__(self) -> Line[_Answer]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Also after an error: the run lock is held until nothing of this run can arrive any more.
        if self._under_way is not None:
            _await(self._under_way)
        self._carrier.shutdown()

    def send(self, request: Callable[[], _Answer]) -> None:
        """Send a request; call `answer` before the next one."""
        if self._under_way is not None:
            raise AssertionError("a second request was sent before the answer to the first")
        self._under_way = self._carrier.submit(request)

    def answer(self) -> _Answer:
        """Wait for the answer to the request that was sent. Errors: those of the request."""
        if self._under_way is None:
            raise AssertionError("no request was sent")
        sent, self._under_way = self._under_way, None
        _await(sent)
        return sent.result()


def _await(sent: Future[_Answer]) -> None:
    while not sent.done():
        wait([sent], timeout=_TICK_S)
