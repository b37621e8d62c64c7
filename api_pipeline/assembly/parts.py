"""Make the parts of a run: receiver, senders, planner, write-back, recovery."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from api_pipeline.assembly.request import RunObservers, RunRequest
from api_pipeline.auth.token_provider import Credentials
from api_pipeline.csc_api.client import CscReceiver, Endpoint
from api_pipeline.csc_api.factory import RequestObservers, assemble, make_receiver, reach_of
from api_pipeline.db import Retrying
from api_pipeline.delivery.pages import Pages, PlanOptions
from api_pipeline.delivery.planner import Planner
from api_pipeline.delivery.run import RunParts
from api_pipeline.delivery.sender_pool import Sending
from api_pipeline.delivery.stop_token import StopToken
from api_pipeline.logs.masking import mask_values
from api_pipeline.outbox.overtaken import overtaken_by
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.recovery import Recovery
from api_pipeline.outbox.reliable_write_back import ReliableWriteBack
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.write_back import Destination, WriteBack
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_summary import RunSummary
from api_pipeline.settings.model import Settings
from api_pipeline.sql.connection_string import database_named_by
from api_pipeline.transport.exchange import FIRST_WAIT_S
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.session import DirectSession

_LOG = logging.getLogger(__name__)


class Call(NamedTuple):
    """One call of a run. `signal` is set to stop it; its results go into `summary`."""

    settings: Settings
    request: RunRequest
    observers: RunObservers
    signal: threading.Event
    summary: RunSummary


class OpenTables(NamedTuple):
    """The open tables, under the run lock. `control_tables` says whether the control tables are there.

    `db` repeats work on them while the database is away, and takes the run lock again.
    """

    store: StagingTable
    db: Retrying
    control_tables: bool


def writing(call: Call, opened: OpenTables) -> tuple[ReliableWriteBack, Recovery]:
    """Return what writes outcomes back, and what writes the receipts of earlier runs first. Errors: DatabaseError."""
    settings, store, db = call.settings, opened.store, opened.db
    overtaken = None
    if not (opened.control_tables or settings.testing_mode):
        overtaken = db.run(lambda: overtaken_by(store, settings.receiver, call.summary.run_id))
    to = Destination(
        run_id=call.summary.run_id,
        table=settings.table_name,
        receiver=settings.receiver,
        control_tables=opened.control_tables,
        testing=settings.testing_mode,
        overtaken=overtaken,
    )
    database = database_named_by(settings.connection_string)
    spool = ReceiptSpool(settings.spool_folder, settings.table_name, database, settings.shard.part)
    recovery = Recovery(store, to, spool, db, mask_values)
    write_back = WriteBack(store, to, mask_values)
    return ReliableWriteBack(write_back, spool, db, call.summary), recovery


@contextmanager
def run_parts(
    call: Call, opened: OpenTables, options: PlanOptions, write_back: ReliableWriteBack
) -> Iterator[RunParts]:
    """Yield the parts of the run; at the end of the block the connections to the receiver are closed."""
    settings = call.settings
    pages = Pages(opened.store, options, Checker(), opened.db)
    limiter = _limiter(call)
    with closing(_receiver(call, limiter)) as receiver:
        yield RunParts(
            planner=Planner(pages, call.summary, _log_finding),
            sending=_sending(call, limiter, receiver),
            write_back=write_back,
            batch_size=settings.batch_size,
            progress=call.observers.progress,
        )


def _limiter(call: Call) -> RateLimiter:
    settings = call.settings
    return RateLimiter(
        settings.max_in_flight,
        settings.min_post_gap_ms / 1000,
        time.monotonic,
        call.signal.is_set,
        stop_grace_s=settings.stop_grace_s,
    )


def _receiver(call: Call, limiter: RateLimiter) -> CscReceiver:
    def on_request() -> None:
        call.summary.requests += 1

    make = _simulated if call.settings.testing_mode else make_receiver
    return make(call.settings, limiter, RequestObservers(on_request, call.observers.on_token))


def _sending(call: Call, limiter: RateLimiter, receiver: CscReceiver) -> Sending:
    return Sending(
        receiver=receiver,
        stop=StopToken(call.signal, limiter, call.summary),
        senders=call.settings.max_in_flight,
        give_up_after=call.settings.give_up_after_failed_batches,
        pause=lambda: limiter.sleep(FIRST_WAIT_S),
    )


def _log_finding(person_id: str, finding: Finding) -> None:
    _LOG.info("person %s: %s: %s: %s", person_id, finding.path, finding.rule, finding.message)


def _simulated(settings: Settings, limiter: RateLimiter, observers: RequestObservers) -> CscReceiver:
    """Return a receiver whose session can reach nothing but the simulator in this process."""
    from api_pipeline.sandbox.simulator import invented
    from api_pipeline.sandbox.simulator.adapter import InProcessAdapter

    session = DirectSession()
    session.adapters.clear()
    session.mount("https://", InProcessAdapter(invented.simulator()))
    endpoint = Endpoint(
        url=invented.CHILDREN_URL,
        supplier_key=invented.SUPPLIER_KEY,
        reach=reach_of(settings),
    )
    credentials = Credentials(invented.TOKEN_URL, invented.CLIENT_ID, invented.CLIENT_SECRET, invented.SCOPE)
    return assemble(settings, session, endpoint, credentials, limiter, observers)
