"""The embedded receiver: token endpoint and children endpoint, without any notion of sockets (contract 4)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any

from api_pipeline.sandbox.simulator.answer import Answer, error_answer, json_answer
from api_pipeline.sandbox.simulator.children import ChildrenEndpoint, count_records, is_children_path
from api_pipeline.sandbox.simulator.faults import Fault, FaultKind, FaultTarget
from api_pipeline.sandbox.simulator.ledger import Ledger
from api_pipeline.sandbox.simulator.options import BASE_PATH, TOKEN_PATH, Conditions, Options
from api_pipeline.sandbox.simulator.request_log import Visit
from api_pipeline.sandbox.simulator.shell import Shell
from api_pipeline.sandbox.simulator.tokens import TokenOffice, TokenRules


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


def _all_held(simulator: Simulator, _: str, __: bytes) -> Answer:
    return json_answer(200, simulator.all_held())


def _held(simulator: Simulator, la_child_id: str, __: bytes) -> Answer:
    found = simulator.held(la_child_id)
    return error_answer(404, "Nothing is held of this child.") if found is None else json_answer(200, found)


def _receipts(simulator: Simulator, la_child_id: str, __: bytes) -> Answer:
    return json_answer(200, simulator.receipts(la_child_id))


def _accepted(simulator: Simulator, _: str, __: bytes) -> Answer:
    return json_answer(200, [record.decode() for record in simulator.accepted_records])


class Simulator(Shell[Conditions]):
    """The embedded receiver. Safe to use from several threads at once; the arguments are those of `Shell`."""

    endpoints = frozenset({FaultTarget.CHILDREN, FaultTarget.TOKEN})
    counted = frozenset({FaultTarget.CHILDREN})
    routes = {  # noqa: RUF012 - a ClassVar in Shell
        ("GET", "held", False): _all_held,
        ("GET", "held", True): _held,
        ("GET", "receipts", True): _receipts,
        ("GET", "accepted", False): _accepted,
    }
    base_path = BASE_PATH
    token_path = TOKEN_PATH

    def __init__(
        self,
        options: Options | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.options = options = options or Options()
        super().__init__(options.conditions, clock=clock, now=now, sleep=sleep)
        rules = TokenRules(options.client_id, options.client_secret, options.scope, options.token_lifetime_s)
        self._tokens = TokenOffice(rules, clock)
        self._ledger = Ledger(keep=options.keep_payloads)
        self._children = ChildrenEndpoint(options, self._tokens, self._ledger, now)

    def endpoint_of(self, path: str) -> str:
        """Return which endpoint a path is for: the children's, the token's or none."""
        if path.endswith("/token"):
            return FaultTarget.TOKEN
        return FaultTarget.CHILDREN if is_children_path(path) else FaultTarget.NOWHERE

    def respond(self, visit: Visit, conditions: Conditions, headers: Mapping[str, str], body: bytes) -> Answer:
        """Return the answer of the endpoint, with odd receipts where a fault says so."""
        if visit.fault is not None and visit.fault.kind is FaultKind.RECEIPTS:
            conditions = _odd_receipts(conditions, visit.fault)
        if visit.target == FaultTarget.TOKEN:
            return self._tokens.answer(visit.method, headers, body)
        return self._children.answer(visit.method, visit.path, headers, body, conditions)

    def count_records(self, endpoint: str, body: bytes) -> int:
        """Return how many records a request to the children endpoint carries."""
        return count_records(body) if endpoint == FaultTarget.CHILDREN else 0

    def forget(self) -> None:
        """Forget the tokens and every child."""
        self._tokens.reset()
        self._ledger.reset()

    def expire_tokens(self) -> None:
        """Make every token that was issued worthless."""
        self._tokens.expire_all()

    def held(self, la_child_id: str, la_code: str | None = None) -> dict[str, Any] | None:
        """Return what is held of a child, without purge flags, nulls and empty keyed arrays; None where nothing is."""
        return self._ledger.held(la_code or self.options.la_codes[0], la_child_id)

    def all_held(self, la_code: str | None = None) -> dict[str, dict[str, Any]]:
        """Return every child that is held, by `la_child_id`."""
        return self._ledger.all_held(la_code or self.options.la_codes[0])

    def receipts(self, la_child_id: str, la_code: str | None = None) -> list[str]:
        """Return the receipts for a child's records, the oldest first."""
        return self._ledger.receipts(la_code or self.options.la_codes[0], la_child_id)

    @property
    def accepted_records(self) -> list[bytes]:
        """Return the accepted records in their order, each in the bytes in which it came."""
        return self._ledger.records()

    def counts(self) -> dict[str, Any]:
        """Return the counts since the last reset, as JSON can carry them."""
        counts = asdict(self.stats())
        return {**counts, "answers": {str(code): n for code, n in counts["answers"].items()}}

    def stats(self) -> Stats:
        """Return the counts since the last reset."""
        batches, records, children = self._ledger.counts
        return Stats(
            requests=self._log.came(FaultTarget.CHILDREN),
            answers=self._log.answers,
            batches_accepted=batches,
            records_accepted=records,
            children_held=children,
            token_requests=self._log.came(FaultTarget.TOKEN),
            tokens_issued=self._tokens.issued,
            most_at_once=self._log.most_at_once,
            too_early=self._log.too_early,
        )


def _odd_receipts(conditions: Conditions, fault: Fault) -> Conditions:
    status = conditions.accept_status if fault.status is None else fault.status
    return replace(conditions, receipt_shape=fault.shape, accept_status=status)
