"""One collection: consent first, then every school, each answer compared and written in one transaction.

The thread that calls `collect` owns the database. Each school has a thread of its own, a few at once; it hands in
one answer and waits until that is written, so that memory holds one answer for each of these schools.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from api_pipeline.common.clock import utc_now
from api_pipeline.db.journal_entry import write_entry
from api_pipeline.db.retry import Retrying
from api_pipeline.db.run_lock import LockKeeper, locked
from api_pipeline.errors import DatabaseError, Interrupted, PipelineError, SettingsError
from api_pipeline.run_summary import counted
from api_pipeline.transport.body import remove_left_files
from api_pipeline.transport.rate_limit import Stopped
from api_pipeline.xporter.collect.consent_step import ConsentStep
from api_pipeline.xporter.collect.desk import Desk
from api_pipeline.xporter.collect.options import CollectOptions, SchoolPlan
from api_pipeline.xporter.collect.planning import Planner
from api_pipeline.xporter.collect.school_round import SchoolRound
from api_pipeline.xporter.collect.summary import CollectSummary
from api_pipeline.xporter.collect.work import Work
from api_pipeline.xporter.collect.writer import Writer
from api_pipeline.xporter.layout import landings
from api_pipeline.xporter.parts import Parts
from api_pipeline.xporter.wire.client import IdaasClient

_LOG = logging.getLogger(__name__)
_TICK_S = 0.2


def collect(parts: Parts, options: CollectOptions) -> CollectSummary:
    """Collect once and return what was done; errors that ended it stand in the summary.

    Errors: SettingsError, DatabaseError, AlreadyRunning, where not even a start was possible.
    """
    _check(parts, options)
    remove_left_files()
    store = parts.store
    with locked(store.connection, store.names.table("xporter_sync"), options.shard) as lock:
        return Collection(parts, options, lock).run()


def _check(parts: Parts, options: CollectOptions) -> None:
    """Raise SettingsError for options that contradict each other, DatabaseError for tables that are not there."""
    if options.cohort is not None and not any(choice.endpoint.name == "Students" for choice in options.choices):
        raise SettingsError(
            "XPORTER_ENDPOINTS: expected Students among them while XPORTER_KEEP_UNMATCHED is false: without the roll "
            "it is not known which rows are about the council's children."
        )
    if options.verifies and options.cohort is not None:
        raise SettingsError(
            "--verify needs XPORTER_KEEP_UNMATCHED=true: where only the council's children are landed, the API's count "
            "of a set says nothing."
        )
    parts.store.check()
    missing = parts.store.tables_missing(landing for choice in options.choices for landing in landings(choice.endpoint))
    if missing:
        raise DatabaseError(
            f"{counted(len(missing), '{landing table is|landing tables are}')} not there (the first: {missing[0]}); "
            "make what is missing with: d2i-csc-api xporter deploy-schema --apply"
        )


class Collection:
    """One run of `collect`, made by it."""

    def __init__(self, parts: Parts, options: CollectOptions, lock: LockKeeper) -> None:
        self._parts = parts
        self._options = options
        self._store = parts.store
        self._is_stopped = parts.access.is_stopped
        self._desk = Desk()
        self._clients: list[IdaasClient] = []
        self._requests = threading.Lock()
        self.summary = CollectSummary(self._store.run_id, utc_now())
        retrying = Retrying(parts.store.connection, parts.budget, lock.retake)
        self._work = Work(parts, options, self.summary, retrying)
        self._consent = ConsentStep(self._work)
        self._writer = Writer(self._work, self._consent)

    def run(self) -> CollectSummary:
        """Do the whole way once."""
        summary = self.summary
        try:
            if not self._options.is_dry_run:
                self._work.run(lambda: self._store.begin_run(summary.started_at))
            plans = self._planner().plans()
            summary.schools = len(plans)
            self._collect_all(plans)
            if self._is_stopped():
                summary.errors.append(_stopped())
        except Stopped:
            summary.errors.append(_stopped())
        except PipelineError as error:
            summary.errors.append(error)
        summary.finished_at = utc_now()
        self._finish()
        return summary

    def _planner(self) -> Planner:
        secret = self._parts.access.management_secret
        manager = self._client("", secret) if secret else None
        return Planner(self._work, self._consent, manager)

    def _finish(self) -> None:
        """Say in the log and in the tables what was done."""
        summary = self.summary
        for error in summary.errors:
            _LOG.info("what ended the collection: %s", error)
        counts = summary.counts
        _LOG.info(
            "collection ends with exit code %d: %s, %s, %s added, %d changed, %d deleted, "
            "%d unchanged, %d not about our children, %s",
            *(summary.exit_code, counted(summary.schools, "{school|schools}")),
            *(counted(summary.rounds, "{round|rounds}"), counted(counts.added, "{row|rows}")),
            *(counts.changed, counts.deleted, counts.unchanged, summary.dropped),
            counted(summary.requests, "{request|requests}"),
        )
        if self._options.is_dry_run:
            return
        message = " ".join(str(error) for error in summary.errors) or None
        values = [
            *(summary.finished_at, summary.schools, summary.rounds, counts.added, counts.changed),
            *(counts.deleted, counts.unchanged, summary.requests, summary.received_bytes),
            *(summary.exit_code, message),
        ]
        write_entry(self._store.connection, lambda: self._store.finish_run(values), is_end=True)

    def _client(self, estab: str, secret: str) -> IdaasClient:
        client = IdaasClient(self._parts.access, estab, secret, self._count_request)
        self._clients.append(client)
        return client

    def _count_request(self) -> None:
        with self._requests:
            self.summary.requests += 1

    def _collect_all(self, plans: list[SchoolPlan]) -> None:
        """Ask each school in a thread of its own, a few at once, and write what they hand in."""
        failed: list[PipelineError] = []
        waiting: dict[Future[None], SchoolPlan] = {}
        with ThreadPoolExecutor(self._options.schools_at_once, thread_name_prefix="school") as pool:
            try:
                waiting = {pool.submit(self._collect_school, plan, failed.append): plan for plan in plans}
                for future in waiting:
                    future.add_done_callback(lambda _: self._desk.wake())
                self._process(waiting)
            finally:
                self._desk.is_closed = True
                for client in self._clients:
                    client.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                # In pieces: on Windows no signal interrupts a wait without end, and a second Ctrl-C ends the program.
                while under_way := [future for future in waiting if not future.done()]:
                    wait(under_way, timeout=_TICK_S)
        self.summary.errors.extend(failed)

    def _collect_school(self, plan: SchoolPlan, on_error: Callable[[PipelineError], None]) -> None:
        secret = self._parts.secrets.get(plan.estab)
        if self._is_stopped() or secret is None:
            return
        began = time.monotonic()
        try:
            SchoolRound(plan, self._client(plan.estab, secret), self._desk, self._writer.is_dead_address).run()
        except Stopped:
            pass
        except PipelineError as error:
            on_error(error)
        _LOG.info("school %s: asked for %.1f s", plan.estab, time.monotonic() - began)

    def _process(self, waiting: Mapping[Future[None], SchoolPlan]) -> None:
        """Process what the schools hand in, until all have ended or the run is to stop."""
        open_ = set(waiting)
        while open_ and not self._is_stopped():
            entry = self._desk.next()
            if entry is not None:
                item, reply = entry
                reply.set_result(self._writer.process(item))
            done = {future for future in open_ if future.done()}
            for future in done:
                future.result()
                self._writer.school_ends(waiting[future].estab)
            open_ -= done


def _stopped() -> Interrupted:
    return Interrupted("The collection was stopped; what was complete is written.")
