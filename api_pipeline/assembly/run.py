"""One run of the main job, from the settings to its summary."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from api_pipeline.assembly.checks import check_one_division, check_tables, look_at_table, plan_options
from api_pipeline.assembly.parts import Call, OpenTables, run_parts, writing
from api_pipeline.assembly.request import RunObservers, RunRequest, busy_wait_of, retry_budget_of
from api_pipeline.common.clock import Stopwatch, utc_now
from api_pipeline.common.gc_tuning import seldom_collected
from api_pipeline.csc_api.factory import check_transport
from api_pipeline.db import Retrying, StatementFailed, working_as
from api_pipeline.db.run_lock import locked
from api_pipeline.delivery.pages import PlanOptions
from api_pipeline.delivery.planner import Planner
from api_pipeline.delivery.run import Run
from api_pipeline.errors import AlreadyRunning, DatabaseError, PipelineError
from api_pipeline.outbox.log_retention import delete_old_lines
from api_pipeline.outbox.opening import open_store
from api_pipeline.outbox.run_journal import RunJournal
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import newest_of, superseded_before
from api_pipeline.outbox.survey import count_children_without_row, count_what_no_run_takes
from api_pipeline.run_summary import RunSummary, counted
from api_pipeline.settings.model import Settings

_LOG = logging.getLogger(__name__)


def run(settings: Settings, request: RunRequest, observers: RunObservers, stop: threading.Event) -> RunSummary:
    """Do the main job once and return what it did; errors that ended it are in the summary.

    Errors: SettingsError, DatabaseError, AlreadyRunning, where not even a start was possible.
    """
    check_transport(settings)
    stopwatch = Stopwatch()
    summary = RunSummary(
        run_id=request.run_id,
        table=settings.table_name,
        receiver=settings.receiver,
        is_testing=settings.testing_mode,
        is_deltas=settings.use_partial_payload,
        is_resync=request.resync,
        started_at=stopwatch.started_at,
    )
    call = Call(settings, request, observers, stop, summary)
    program = working_as(f"d2i-csc-api run {request.run_id}")
    with (
        program,
        seldom_collected(),
        open_store(settings, busy_wait_s=busy_wait_of(settings)) as store,
        locked(store.connection, store.tables.staging, settings.shard.part) as lock,
    ):
        db = Retrying(store.connection, retry_budget_of(settings), lock.retake)
        _journalled(call, OpenTables(store, db, check_tables(store, settings, request)), stopwatch)
    return summary


def _journalled(call: Call, opened: OpenTables, stopwatch: Stopwatch) -> None:
    """Do the work of a run between the two halves of its entry in the journal. Errors: AlreadyRunning."""
    settings, summary = call.settings, call.summary
    journal = RunJournal(opened.store, summary, settings.shard.text)
    journal.begin()
    _LOG.info("run begins: batches of %d, %d in flight", settings.batch_size, settings.max_in_flight)
    ending: AlreadyRunning | None = None
    try:
        _execute(call, opened)
    except PipelineError as error:
        summary.errors.append(error)
        ending = error if isinstance(error, AlreadyRunning) else None
    # Not the clock's own time: it may have been put right meanwhile, even to before the run began.
    summary.finished_at = stopwatch.now()
    journal.finish(ending.exit_code if ending else None)
    if ending:
        raise ending


def _execute(call: Call, opened: OpenTables) -> None:
    settings, request, summary, store = call.settings, call.request, call.summary, opened.store
    write_back, recovery = writing(call, opened)
    check_one_division(settings, store)
    summary.receipts_recovered = recovery.run()
    seen = look_at_table(settings, request, store, opened.db)
    options = plan_options(settings, request, seen, control_tables=opened.control_tables)
    if request.person_id is None:
        opened.db.run(lambda: count_what_no_run_takes(store, seen.words, summary))
    if not request.resync:
        write_back.close_superseded(superseded_before(options.people, options.selection))
    if call.observers.on_due is not None:
        call.observers.on_due(opened.db.run(lambda: store.count(options.selection)))
    with run_parts(call, opened, options, write_back) as parts:
        Run(parts, summary).execute()
    summary.due += _not_come_to(store, options, parts.planner)
    # The last answer may have been waited for so long that the session is gone.
    summary.is_table_empty = not (summary.due or summary.errors) and opened.db.run(store.is_empty)
    if opened.control_tables and request.person_id is None and not summary.errors:
        _count_children_without_row(call, opened)
        _delete_old_log(call, store)


def _not_come_to(store: StagingTable, options: PlanOptions, planner: Planner) -> int:
    """Return how many rows a run that ended early would have taken and has not read, as far as the database can say."""
    if planner.is_complete or planner.last_id is None:
        return 0
    try:
        left = newest_of(store.read_after(options.selection, planner.last_id), options.people)
        return len(left) if options.limit is None else min(len(left), options.limit - planner.counts.due)
    except DatabaseError as error:
        _LOG.debug("the rows left over could not be counted: %s", error)
        return 0


def _count_children_without_row(call: Call, opened: OpenTables) -> None:
    """Count who is at the receiver and not in the table. All is sent by now: a time limit that ends it is a warning."""
    store, settings, summary = opened.store, call.settings, call.summary
    try:
        opened.db.run(lambda: count_children_without_row(store, settings.receiver, summary))
    except StatementFailed as error:
        _LOG.warning("the children without a row in %s could not be counted: %s", settings.table_name, error)


def _delete_old_log(call: Call, store: StagingTable) -> None:
    """Delete what LOG_KEEP_DAYS says; with shards only the first does it. An error here is a warning."""
    settings, summary = call.settings, call.summary
    if not settings.log_keep_days or settings.testing_mode or settings.shard.index > 1:
        return
    before = utc_now() - timedelta(days=settings.log_keep_days)
    try:
        for lines in delete_old_lines(store, settings.table_name, settings.receiver, before):
            summary.log_lines_deleted += lines
            if call.signal.is_set():
                break
    except DatabaseError as error:
        _LOG.warning("old lines of %s could not be deleted (LOG_KEEP_DAYS): %s", store.tables.log, error)
    if summary.log_lines_deleted:
        deleted = counted(summary.log_lines_deleted, "{line|lines}")
        _LOG.info("deleted %s of %s older than LOG_KEEP_DAYS", deleted, store.tables.log)
