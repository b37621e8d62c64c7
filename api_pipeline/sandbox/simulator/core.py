"""The embedded receiver: token endpoint and children endpoint, without any notion of sockets (contract 4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from api_pipeline.sandbox.simulator import control
from api_pipeline.sandbox.simulator.answer import Answer, Ending, error_answer
from api_pipeline.sandbox.simulator.children import ChildrenEndpoint, count_records, is_children_path
from api_pipeline.sandbox.simulator.faults import (
    Fault,
    FaultBook,
    FaultKind,
    RateLimit,
    Target,
    When,
    answer_of,
    too_many_requests,
)
from api_pipeline.sandbox.simulator.ledger import Ledger
from api_pipeline.sandbox.simulator.options import Conditions, Options
from api_pipeline.sandbox.simulator.request_log import LoggedRequest, RequestLog, Visit
from api_pipeline.sandbox.simulator.tokens import TokenOffice


@dataclass(frozen=True, slots=True)
class Stats:
    """What a simulator has seen since its last reset.

    `answers` counts the statuses answered to requests with records (0: no answer at all); `too_early` is how many of
    those came within a Retry-After, `most_at_once` how many were under way together.
    """

    requests: int
    answers: dict[int, int]
    batches_accepted: int
    records_accepted: int
    children_held: int
    token_requests: int
    tokens_issued: int
    most_at_once: int
    too_early: int


class Simulator:
    """The embedded receiver. Safe to use from several threads at once.

    `clock` gives monotonic seconds, `now` the time with a zone; `sleep` takes seconds, and is by default a sleep that
    `interrupt` ends. Tests and other processes steer it by `add_fault` and `change`.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.options = options or Options()
        self._faults = FaultBook()
        self._interrupted = threading.Event()
        self._sleep = sleep or self._interrupted.wait
        self._now = now
        self._conditions = self.options.conditions
        self._limit = RateLimit(clock)
        self._log = RequestLog(clock)
        self._tokens = TokenOffice(self.options, clock)
        self._ledger = Ledger(keep=self.options.keep_payloads)
        self._children = ChildrenEndpoint(self.options, self._tokens, self._ledger, now)
        self._door = threading.Lock()

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Gives the answer to one request, once its latency has passed.

        `path` may carry a query, `headers` is read in any case of letters. An `Answer.ending` other than ANSWER is
        for the transport to carry out.
        """
        bare = path.partition("?")[0]
        lowered = {name.lower(): value for name, value in headers.items()}
        target = _target(bare)
        if target is Target.CONTROL:
            return control.answer(self, method, bare, lowered, body)
        if target is Target.NOWHERE:
            return error_answer(404, "Resource not found")
        conditions = self._conditions
        visit = self._arrive(target, method, bare, conditions)
        answer = self._with_fault(visit, conditions, lowered, body)
        answer = replace(answer, records=answer.records or (count_records(body) if target is Target.CHILDREN else 0))
        delay = conditions.latency_s + (visit.fault.delay_s if visit.fault else 0.0)
        if delay > 0:
            self._sleep(delay)
        self._log.leave(visit, answer)
        return answer

    def ending_unread(self, method: str, path: str) -> Ending | None:
        """Gives how a request ends that a fault befalls before its body is read; None for one that is to be read."""
        bare = path.partition("?")[0]
        target = _target(bare)
        with self._door:
            fault = self._faults.take_unread(target, self._log.came(target) + 1)
            if fault is None:
                return None
            number, arrived, at_once = self._log.arrive(target)
        if fault.delay_s > 0:
            self._sleep(fault.delay_s)
        answer = answer_of(fault, self._now())
        self._log.leave(Visit(number, target, method, bare, arrived, at_once, fault), answer)
        return answer.ending

    def _arrive(self, target: Target, method: str, path: str, conditions: Conditions) -> Visit:
        # Faults go by the number of the request, so numbers and faults are given out together.
        with self._door:
            number, arrived, at_once = self._log.arrive(target)
            wait_s = self._limit.wait_s(conditions.rate_limit) if target is Target.CHILDREN else None
            fault = self._faults.take(target, number) if wait_s is None else None
        return Visit(number, target, method, path, arrived, at_once, fault, wait_s)

    def _with_fault(self, visit: Visit, conditions: Conditions, headers: Mapping[str, str], body: bytes) -> Answer:
        if visit.wait_s is not None:
            return too_many_requests(visit.wait_s, self._now(), as_date=conditions.retry_after_as_date)
        fault = visit.fault
        if fault is None or fault.kind is FaultKind.SLOW:
            return self._without_fault(visit, conditions, headers, body)
        if fault.kind is FaultKind.RECEIPTS:
            return self._without_fault(visit, _odd_receipts(conditions, fault), headers, body)
        if fault.when is When.AFTER_ACCEPTING:
            self._without_fault(visit, conditions, headers, body)
        return answer_of(fault, self._now())

    def _without_fault(self, visit: Visit, conditions: Conditions, headers: Mapping[str, str], body: bytes) -> Answer:
        if visit.target is Target.TOKEN:
            return self._tokens.answer(visit.method, headers, body)
        return self._children.answer(visit.method, visit.path, headers, body, conditions)

    @property
    def conditions(self) -> Conditions:
        """What holds until it is changed."""
        return self._conditions

    def change(self, **changes: Any) -> None:
        """Changes conditions by the names of their members. Errors: TypeError or ValueError for what is none."""
        self._conditions = replace(self._conditions, **changes)

    def add_fault(self, *faults: Fault) -> None:
        """Programs faults behind those that wait already."""
        self._faults.add(*faults)

    def clear_faults(self) -> None:
        """Takes every fault out; conditions stay."""
        self._faults.clear()

    def interrupt(self) -> None:
        """Ends every latency that is being waited for, and lets none be waited for until `resume`."""
        self._interrupted.set()

    def resume(self) -> None:
        """Lets latencies pass again."""
        self._interrupted.clear()

    def expire_tokens(self) -> None:
        """Makes every token that was issued worthless."""
        self._tokens.expire_all()

    def reset(self) -> None:
        """Forgets everything: what is held, the log, tokens, faults; conditions are as at the beginning."""
        self._faults.clear()
        self._tokens.reset()
        self._log.reset()
        self._ledger.reset()
        self._conditions = self.options.conditions

    def held(self, la_child_id: str, la_code: str | None = None) -> dict[str, Any] | None:
        """Gives what is held of a child, without purge flags, nulls and empty keyed arrays; None where nothing is."""
        return self._ledger.held(la_code or self.options.la_codes[0], la_child_id)

    def all_held(self, la_code: str | None = None) -> dict[str, dict[str, Any]]:
        """Gives every child that is held, by `la_child_id`."""
        return self._ledger.all_held(la_code or self.options.la_codes[0])

    def receipts(self, la_child_id: str, la_code: str | None = None) -> list[str]:
        """Gives the receipts for a child's records, the oldest first."""
        return self._ledger.receipts(la_code or self.options.la_codes[0], la_child_id)

    @property
    def accepted_records(self) -> list[bytes]:
        """The accepted records in their order, each as the very bytes in which it came."""
        return self._ledger.records()

    @property
    def log(self) -> list[LoggedRequest]:
        """The last requests to the token and children endpoints, in the order of their answers."""
        return self._log.entries()

    def stats(self) -> Stats:
        """Gives the counts since the last reset."""
        batches, records, children = self._ledger.counts
        return Stats(
            requests=self._log.came(Target.CHILDREN),
            answers=self._log.answers,
            batches_accepted=batches,
            records_accepted=records,
            children_held=children,
            token_requests=self._log.came(Target.TOKEN),
            tokens_issued=self._tokens.issued,
            most_at_once=self._log.most_at_once,
            too_early=self._log.too_early,
        )


def _target(path: str) -> Target:
    if path.startswith(control.PREFIX):
        return Target.CONTROL
    if path.endswith("/token"):
        return Target.TOKEN
    return Target.CHILDREN if is_children_path(path) else Target.NOWHERE


def _odd_receipts(conditions: Conditions, fault: Fault) -> Conditions:
    status = conditions.accept_status if fault.status is None else fault.status
    return replace(conditions, receipt_shape=fault.shape, accept_status=status)
