"""The composition root: put a run together from the settings, keep its lock and journal entry, take it apart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from api_pipeline.auth import Credentials
from api_pipeline.clock import utc_now
from api_pipeline.csc_api.client import CscReceiver, Endpoint
from api_pipeline.csc_api.factory import RequestObservers, assemble, check_transport, make_receiver, reach_of
from api_pipeline.db import Connection, connect, working_as
from api_pipeline.db_retry import RetryBudget, with_retry
from api_pipeline.delivery.pages import Pages, PlanOptions
from api_pipeline.delivery.planner import PlanCounts, Planner
from api_pipeline.delivery.run import NoProgress, Run, RunParts, RunProgress
from api_pipeline.delivery.sender_pool import Sending
from api_pipeline.delivery.stop_token import StopToken
from api_pipeline.diagnostics.layout import check_layout
from api_pipeline.errors import AlreadyRunning, DatabaseError, PipelineError, SettingsError
from api_pipeline.gc_tuning import seldom_collected
from api_pipeline.logs.masking import mask_values
from api_pipeline.outbox.changes import Destination
from api_pipeline.outbox.log_retention import delete_old_lines
from api_pipeline.outbox.receipt_spool import ReceiptSpool
from api_pipeline.outbox.recovery import Recovery
from api_pipeline.outbox.reliable_write_back import ReliableWriteBack
from api_pipeline.outbox.retrying import Retrying
from api_pipeline.outbox.run_journal import RunJournal, unfinished_shards
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import RowsOfPerson, people_with_several_rows, superseded_before
from api_pipeline.outbox.survey import (
    Survey,
    check_ids,
    count_children_without_row,
    count_what_no_run_takes,
    survey,
    try_to_write,
)
from api_pipeline.payload import Policy
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_lock import LockKeeper, locked, take
from api_pipeline.run_summary import RunSummary
from api_pipeline.settings.model import Settings
from api_pipeline.sql.connection_string import database_named_by
from api_pipeline.sql.identifiers import table_names
from api_pipeline.transport.rate_limit import RateLimiter
from api_pipeline.transport.retry import FIRST_WAIT_S
from api_pipeline.transport.session import DirectSession

_LOG = logging.getLogger(__name__)
_LEAST_BUSY_WAIT_S = 5
_MOST_BUSY_WAIT_S = 30


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What one call adds to the settings: the most rows, and whether to purge and send whole (`resync`).

    `run_id` names the run in every log line and in the tables.
    """

    run_id: str
    limit: int | None = None
    resync: bool = False
    person_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunObservers:
    """What is called during a run: `progress` with the counts, `on_due` with the rows that may be due, `on_token`."""

    progress: RunProgress = field(default_factory=NoProgress)
    on_due: Callable[[int], None] = lambda _count: None
    on_token: Callable[[str], None] = lambda _token: None


def run(settings: Settings, request: RunRequest, observers: RunObservers, stop: threading.Event) -> RunSummary:
    """Do the main job once and return what it did; errors that ended it are in the summary.

    Errors: SettingsError, DatabaseError, AlreadyRunning, where not even a start was possible.
    """
    check_transport(settings)
    summary = RunSummary(
        run_id=request.run_id,
        table=settings.table_name,
        receiver=settings.receiver,
        is_testing=settings.testing_mode,
        is_deltas=settings.use_partial_payload,
        started_at=utc_now(),
    )
    program = working_as(f"d2i-csc-api run {request.run_id}")
    with (
        program,
        seldom_collected(),
        _store(settings) as store,
        locked(store.connection, store.tables.staging, shard_of(settings)) as lock,
    ):
        at_hand = _Store(store, lock, check_tables(store, settings, request))
        _execute(settings, request, observers, stop, summary, at_hand)
    return summary


def shard_of(settings: Settings) -> tuple[int, int] | None:
    """Return (I, N) where the settings ask for one shard of several, else None."""
    shard = settings.shard
    return (shard.index, shard.count) if shard.count > 1 else None


def check_tables(store: StagingTable, settings: Settings, request: RunRequest) -> bool:
    """Check that the tables are there, and return whether the control tables are.

    Errors: DatabaseError (staging table), SettingsError where deltas or a resync need control tables that are missing.
    """
    check_layout(store.connection, settings.table_name)
    store.check_table()
    check_ids(store)
    store.check_writable()
    try_to_write(store)
    return check_control_tables(store, settings, request)


def check_control_tables(store: StagingTable, settings: Settings, request: RunRequest) -> bool:
    """Return whether the control tables are there. Errors: SettingsError where a run needs them and they are not."""
    if store.has_control_tables():
        return True
    sentence = (
        f"The control tables ({store.tables.held}, {store.tables.log}, {store.tables.unconfirmed}) are missing "
        "or incomplete; make them with: d2i-csc-api deploy-schema --apply"
    )
    if settings.use_partial_payload or request.resync:
        what = "--resync needs" if request.resync else "Deltas (USE_PARTIAL_PAYLOAD=true) need"
        raise SettingsError(f"{what} the tables of what the receiver holds. {sentence}")
    _LOG.warning("%s. Without them full payloads are sent as staged, and nothing is purged or logged.", sentence)
    return False


@dataclass(frozen=True, slots=True)
class _Store:
    table: StagingTable
    lock: LockKeeper
    control_tables: bool


@contextmanager
def _store(settings: Settings) -> Iterator[StagingTable]:
    busy_wait_s = min(max(settings.db_retry_s, _LEAST_BUSY_WAIT_S), _MOST_BUSY_WAIT_S)
    connection: Connection = connect(settings.connection_string, busy_wait_s=busy_wait_s)
    try:
        yield StagingTable(connection, table_names(settings.table_name, connection.dialect))
    finally:
        connection.close()


def _execute(
    settings: Settings,
    request: RunRequest,
    observers: RunObservers,
    stop: threading.Event,
    summary: RunSummary,
    store: _Store,
) -> None:
    to, spool = _destination(settings, summary, store), _spool(settings)
    db = Retrying(store.table.connection, retry_budget_of(settings), store.lock.retake)
    write_back = ReliableWriteBack(store.table, to, spool, db, mask_values, summary)
    journal = RunJournal(store.table, summary, shard_of(settings))
    journal.begin()
    _LOG.info("run begins: batches of %d, %d in flight", settings.batch_size, settings.max_in_flight)
    try:
        _see_one_division(settings, store.table)
        recovery = Recovery(store.table, to, spool, _policy(settings), db, mask_values)
        summary.receipts_recovered = recovery.run()
        options, found = plan_options(settings, request, store.table, control_tables=store.control_tables)
        if request.person_id is None:
            count_what_no_run_takes(store.table, found, summary)
        if not request.resync:
            summary.superseded = write_back.close_superseded(superseded_before(options.people, options.selection))
        parts = _parts(settings, options, observers, stop, summary, store, write_back)
        Run(parts, summary).execute()
        summary.due += _not_come_to(store.table, options, parts.planner.counts)
        summary.is_table_empty = not (summary.due or summary.errors) and store.table.is_empty()
        if store.control_tables and request.person_id is None and not summary.errors:
            count_children_without_row(store.table, settings.receiver, summary)
            _delete_old_log(settings, stop, summary, store.table)
    except AlreadyRunning as error:
        summary.errors.append(error)
        summary.finished_at = utc_now()
        journal.finish(error.exit_code)
        raise
    except PipelineError as error:
        summary.errors.append(error)
    summary.finished_at = utc_now()
    journal.finish()


def _delete_old_log(settings: Settings, stop: threading.Event, summary: RunSummary, store: StagingTable) -> None:
    """Delete what LOG_KEEP_DAYS says; of several shards the first does. What cannot be deleted ends no run."""
    if not settings.log_keep_days or settings.testing_mode or settings.shard.index > 1:
        return
    before = utc_now() - timedelta(days=settings.log_keep_days)
    try:
        for lines in delete_old_lines(store, settings.table_name, settings.receiver, before):
            summary.log_lines_deleted += lines
            if stop.is_set():
                break
    except DatabaseError as error:
        _LOG.warning("old lines of %s could not be deleted (LOG_KEEP_DAYS): %s", store.tables.log, error)
    if summary.log_lines_deleted:
        _LOG.info("deleted %d lines of %s older than LOG_KEEP_DAYS", summary.log_lines_deleted, store.tables.log)


def _not_come_to(store: StagingTable, options: PlanOptions, counts: PlanCounts) -> int:
    """Return how many due rows a run that ended early has not even read, as far as the database still tells."""
    if counts.is_complete or counts.last_id is None or options.selection.every_row or options.limit is not None:
        return 0
    try:
        left = store.read_due_after(options.selection, counts.last_id)
        return len(set(left).difference(*(rows.open_ids for rows in options.people.values())))
    except DatabaseError as error:
        _LOG.debug("the rows left over could not be counted: %s", error)
        return 0


def _see_one_division(settings: Settings, store: StagingTable) -> None:
    """Check that no run is at work on a shard of another number of shards. Errors: AlreadyRunning, DatabaseError.

    Shards of one N never share a row, but those of different N do, and their locks know nothing of each other. The
    journal names the candidates, for each run writes itself in before it looks; whether they live, their locks tell.
    """
    own = shard_of(settings)
    if own is None:
        return
    for index, count in unfinished_shards(store):
        if count == own[1]:
            continue
        with _store(settings) as other:
            try:
                take(other.connection, other.tables.staging, (index, count)).release()
            except AlreadyRunning:
                raise AlreadyRunning(
                    f"A run is working on shard {index}/{count} of the table {store.tables.staging}, so shard "
                    f"{own[0]}/{own[1]} cannot; nothing was done. All runs must divide the table into as many shards."
                ) from None


def _destination(settings: Settings, summary: RunSummary, store: _Store) -> Destination:
    return Destination(
        run_id=summary.run_id,
        table=settings.table_name,
        receiver=settings.receiver,
        control_tables=store.control_tables,
        testing=settings.testing_mode,
    )


def _spool(settings: Settings) -> ReceiptSpool:
    database = database_named_by(settings.connection_string)
    return ReceiptSpool(settings.spool_folder, settings.table_name, database, shard_of(settings))


def retry_budget_of(settings: Settings) -> RetryBudget:
    """Return how long a run waits for a database that is away."""
    return RetryBudget(settings.db_retry_s, time.monotonic, time.sleep)


def _parts(
    settings: Settings,
    options: PlanOptions,
    observers: RunObservers,
    stop: threading.Event,
    summary: RunSummary,
    store: _Store,
    write_back: ReliableWriteBack,
) -> RunParts:
    def on_request() -> None:
        summary.requests += 1

    limiter = RateLimiter(
        settings.max_in_flight,
        settings.min_post_gap_ms / 1000,
        time.monotonic,
        stop.is_set,
        stop_grace_s=settings.stop_grace_s,
    )
    on_the_wire = RequestObservers(on_request, observers.on_token)
    receiver = (_simulated if settings.testing_mode else make_receiver)(settings, limiter, on_the_wire)
    observers.on_due(store.table.count(options.selection))
    under_way: set[str] = set()
    pages = Pages(
        store.table,
        options,
        Checker(),
        retry_budget_of(settings),
        under_way=under_way.copy,
        after_reopen=store.lock.retake,
    )
    sending = Sending(
        receiver=receiver,
        stop=StopToken(stop, limiter, summary),
        senders=settings.max_in_flight,
        give_up_after=settings.give_up_after_failed_batches,
        pause=lambda: limiter.sleep(FIRST_WAIT_S),
    )
    return RunParts(
        planner=Planner(pages, _log_finding),
        sending=sending,
        write_back=write_back,
        under_way=under_way,
        batch_size=settings.batch_size,
        progress=observers.progress,
    )


def _policy(settings: Settings) -> Policy:
    return Policy(deltas=settings.use_partial_payload, purge_vanished=settings.purge_vanished)


def plan_options(
    settings: Settings, request: RunRequest, store: StagingTable, *, control_tables: bool
) -> tuple[PlanOptions, Survey]:
    """Look at the table as a whole; return how a run plans its rows, and what was seen. Errors: DatabaseError."""

    def look() -> tuple[Survey, dict[str, RowsOfPerson]]:
        return survey(store), people_with_several_rows(store, request.person_id)

    found, people = with_retry(store.connection, look, retry_budget_of(settings))
    options = PlanOptions(
        selection=Selection(
            every_row=request.resync,
            person_id=request.person_id,
            shard=shard_of(settings),
            odd_statuses=found.odd_statuses,
            odd_states=found.odd_states,
        ),
        policy=replace(_policy(settings), resync=request.resync),
        receiver=settings.receiver,
        control_tables=control_tables,
        schema_check=settings.schema_check,
        schema_codes=settings.schema_codes,
        testing=settings.testing_mode,
        people=people,
        limit=request.limit,
    )
    return options, found


def _log_finding(person_id: str, finding: Finding) -> None:
    _LOG.info("person %s: %s: %s: %s", person_id, finding.path, finding.rule, finding.message)


def _simulated(settings: Settings, limiter: RateLimiter, observers: RequestObservers) -> CscReceiver:
    """Return a receiver whose session can reach nothing but the simulator in this process."""
    from api_pipeline.sandbox.simulator import invented
    from api_pipeline.sandbox.simulator.adapter import InProcessAdapter

    session = DirectSession()
    session.adapters.clear()
    session.trust_env = False
    session.mount("https://", InProcessAdapter(invented.simulator()))
    endpoint = Endpoint(
        url=invented.CHILDREN_URL,
        supplier_key=invented.SUPPLIER_KEY,
        reach=replace(reach_of(settings), proxy_url=None),
    )
    credentials = Credentials(invented.TOKEN_URL, invented.CLIENT_ID, invented.CLIENT_SECRET, invented.SCOPE)
    return assemble(settings, session, endpoint, credentials, limiter, observers)
