"""One run on a real table, with a receiver that answers by a rule."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from api_pipeline.csc_api.answers import Answer, Receipts
from api_pipeline.db.retry import RetryBudget, Retrying
from api_pipeline.delivery.pages import Pages
from api_pipeline.delivery.planner import Planner
from api_pipeline.delivery.run import Run, RunParts
from api_pipeline.delivery.sender_pool import Sending
from api_pipeline.delivery.stop_token import StopToken
from api_pipeline.model import Receipt
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.reliable_write_back import ReliableWriteBack
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.write_back import Destination, WriteBack
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.plan import Policy
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_summary import RunSummary
from api_pipeline.transport.rate_limit import RateLimiter
from tests.support.databases import TestDatabase
from tests.support.planning import HERE, OPTIONS
from tests.support.staging import table_rows

AT = datetime(2026, 11, 27, 2, 0, 0)  # noqa: DTZ001 - the summary's times are UTC without a zone
RETRY = RetryBudget(0, lambda: 0, lambda _: None)


def accept(records: Sequence[bytes]) -> Answer:
    """Return a receipt for each record."""
    return Receipts(200, tuple(Receipt(f"0f8fad5b-d9cb-469f-a165-{hash(body) % 10**12:012}", AT) for body in records))


@dataclass
class Receiver:
    """Answers by a rule, once the limiter lets the request start as it does for real ones."""

    limiter: RateLimiter
    rule: Callable[[Sequence[bytes]], Answer] = accept
    posts: list[list[bytes]] = field(default_factory=list)

    def post(self, records: Sequence[bytes], max_attempts: int | None = None) -> Answer:
        with self.limiter.passage():
            self.posts.append(list(records))
            return self.rule(records)


class Night:
    """One run on a table, with everything around it."""

    def __init__(
        self,
        store: StagingTable,
        folder: Path,
        *,
        batch_size: int = 2,
        resync: bool = False,
        budget: RetryBudget = RETRY,
        retake: Callable[[], None] = lambda: None,
        on_finding: Callable[[str, Finding], None] = lambda *_: None,
    ) -> None:
        policy = Policy(deltas=False, resync=resync)
        options = OPTIONS._replace(
            selection=Selection(every_row=resync), policy=policy, schema_check="off", schema_codes="off"
        )
        self.summary = RunSummary(
            run_id="run-1", table="staging", receiver=HERE, is_testing=False, is_deltas=False, started_at=AT
        )
        checker = Checker(date(2026, 11, 27))
        db = Retrying(store.connection, budget, retake)
        pages = Pages(store, options, checker, db)
        plan = Planner(pages, self.summary, on_finding)
        to = Destination("run-1", "staging", HERE, control_tables=True, testing=False)
        spool = ReceiptSpool(folder, "staging")
        write_back = ReliableWriteBack(WriteBack(store, to, lambda text, _: text), spool, db, self.summary)
        limiter = RateLimiter(1, 0.0, time.monotonic)
        self.receiver = Receiver(limiter)
        self.stop = threading.Event()
        stop = StopToken(self.stop, limiter, self.summary)
        sending = Sending(self.receiver, stop, senders=1, give_up_after=2, pause=lambda: None)
        self.parts = RunParts(plan, sending, write_back, batch_size)

    def run(self) -> RunSummary:
        Run(self.parts, self.summary).execute()
        return self.summary


def statuses(table: TestDatabase) -> list[object]:
    """Return the status word of each row."""
    return [row["submission_status"] for row in table_rows(table, table.table)]
