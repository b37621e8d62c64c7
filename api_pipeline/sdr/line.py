"""Send records to TEC in a thread of its own, while the caller writes the last outcome and prepares the next request.

TEC answers 429 to a second request at the same time, so there is never more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

from api_pipeline.sdr.answers import Malformed, has_known_code
from api_pipeline.sdr.baseline import Baseline, BatchOutcome, Kind
from api_pipeline.sdr.delivery import Verdict
from api_pipeline.sdr.nouns import Collection, Record
from api_pipeline.sdr.outcome import Summary
from api_pipeline.sdr.problem import named_keys
from api_pipeline.sdr.session import Session

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


class _Request(NamedTuple):
    kind: Kind
    collection: Collection
    records: Sequence[Record]


class RecordRequests:
    """The uploads and deletes of a submission: one request at a time on a line, under the session's token."""

    def __init__(self, line: Line[Verdict], session: Session, baseline: Baseline, summary: Summary) -> None:
        self._line = line
        self._session = session
        self._baseline = baseline
        self._summary = summary
        self._unanswered: _Request | None = None

    @property
    def count(self) -> int:
        """Return how many requests were started."""
        return self._summary.requests

    def renew_token(self) -> None:
        """Get another token in time: it may tell another limit, and nothing of before may be held under it."""
        if self._session.is_about_to_renew:
            self._baseline.write()
            self._session.token()

    def start(self, kind: Kind, collection: Collection, records: Sequence[Record]) -> None:
        """Start the request with these records; call `answer` before the next one."""
        self.renew_token()
        token = self._session.token()
        self._summary.requests += 1
        receiver = self._session.receiver
        send = receiver.put if kind == "put" else receiver.delete
        self._unanswered = _Request(kind, collection, records)
        keys, bodies = [one.local_id for one in records], [one.body for one in records]
        self._line.send(partial(send, collection, token, keys, bodies))

    def answer(self) -> Verdict:
        """Wait for the answer to the request that was started. Errors: those of every request."""
        answer = self._line.answer()
        if isinstance(answer, Malformed) and not has_known_code(answer.problem) and self._unanswered:
            # It may be about the return and none of its records. Of a batch that is halved nothing is marked yet.
            keys = [one.local_id for one in self._unanswered.records]
            if len(keys) == 1 or named_keys(answer.problem, keys):
                self._session.check_takes_data()
        self._unanswered = None
        self._session.was_taken()
        return answer

    def give_up(self, error: Exception) -> None:
        """Keep for the audit trail the records of a request that TEC may have taken, or did not, but never refused."""
        if self._unanswered is None:
            return
        (kind, collection, records), self._unanswered = self._unanswered, None
        self._summary.undelivered += len(records)
        reasons = {one.local_id: str(error) for one in records}
        self._baseline.keep(BatchOutcome(self.count, kind, collection, "undelivered", records, reasons))
