"""One collection: consent first, then every school in turn, each answer compared and written in one transaction.

The thread that calls `collect` owns the database. Schools are asked in threads of their own, a few at once; each hands
in one answer and waits until it is written, so that memory holds as many answers as schools are asked at once.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from functools import partial
from typing import Any, TypeVar

import orjson
import requests

from api_pipeline.db_retry import RetryBudget, with_retry
from api_pipeline.errors import (
    AlreadyRunning,
    AuthenticationRefused,
    DatabaseError,
    Interrupted,
    PipelineError,
    SettingsError,
)
from api_pipeline.run_lock import RunLock, take
from api_pipeline.transport.rate_limit import RateLimiter, Stopped
from api_pipeline.xporter.asking import Choice, sources_of
from api_pipeline.xporter.client import Access, Failed, IdaasClient, Outcome, Watch
from api_pipeline.xporter.compare import compare, has_shrunk
from api_pipeline.xporter.consent import (
    PAUSED_IS_NEWS_AFTER,
    Listed,
    SchoolState,
    fingerprint,
    read_list,
    read_time,
)
from api_pipeline.xporter.consent_step import ConsentStep, SchoolSecrets
from api_pipeline.xporter.landing import LandingStore, Round, RoundEntry, TableChange, counts_of
from api_pipeline.xporter.layout import landings
from api_pipeline.xporter.minimise import landed_sources
from api_pipeline.xporter.rows import RowReader
from api_pipeline.xporter.school_round import (
    Collected,
    Item,
    Problem,
    SchoolPlan,
    SchoolRound,
    ScopesFound,
    Verdict,
    run_guarded,
)
from api_pipeline.xporter.summary import SHRANK, CollectSummary, RoundResult

_LOG = logging.getLogger(__name__)
_TICK_S = 0.2
_DEAD_AFTER = 3
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class CollectOptions:
    """What one call asks for beyond the settings.

    `is_full` asks for closed windows again; `accepts_shrink` writes a set that looks too small; `is_dry_run` writes
    nothing. `today` is the council's own day.
    """

    today: date
    choices: tuple[Choice, ...]
    only: frozenset[str] = frozenset()
    is_full: bool = False
    accepts_shrink: bool = False
    is_dry_run: bool = False
    weeks_back: int = 2
    earliest: date | None = None
    options_style: str = "options"
    paths: Mapping[str, str] = field(default_factory=dict)
    schools_at_once: int = 4
    min_gap_s: float = 0.2
    shrink_pause_s: float = 30.0
    purges_revoked: bool = True


@dataclass(frozen=True, slots=True)
class CollectParts:
    """What a collection works with. `on_secret` and `on_token` take what must stay out of logs."""

    store: LandingStore
    session: requests.Session
    access: Access
    management_secret: str
    secrets: SchoolSecrets
    cohort: Set[str] | None
    budget: RetryBudget
    stop: threading.Event
    on_token: Callable[[str], None] = lambda _token: None
    progress: Callable[[CollectSummary], None] = lambda _summary: None
    clock: Callable[[], float] = time.monotonic


def utc_now() -> datetime:
    """Return the time in UTC, without a zone, as the tables keep it."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def collect(parts: CollectParts, options: CollectOptions) -> CollectSummary:
    """Collect once and return what was done; errors that ended it stand in the summary.

    Errors: SettingsError, DatabaseError, AlreadyRunning, where not even a start was possible.
    """
    if parts.cohort is not None and not any(choice.endpoint.name == "Students" for choice in options.choices):
        raise SettingsError(
            "XPORTER_ENDPOINTS: expected Students among them while XPORTER_KEEP_UNMATCHED is false: without the roll "
            "nobody knows which rows are about the council's children."
        )
    parts.store.check()
    missing = parts.store.tables_missing(landing for choice in options.choices for landing in landings(choice.endpoint))
    if missing:
        raise DatabaseError(
            f"{len(missing)} landing tables are not there ({missing[0]} among them); make them with: "
            "d2i-csc-api xporter deploy-schema --apply"
        )
    with _locked(parts.store) as lock:
        return Collection(parts, options, lock).run()


class _Lock:
    """The run lock, which is taken again after the connection it hung on was lost."""

    def __init__(self, store: LandingStore) -> None:
        self._store = store
        self._lock: RunLock | None = None

    def take(self) -> None:
        self.release()
        self._lock = take(self._store.connection, self._store.names.table("xporter_sync"), None)

    def retake(self) -> None:
        try:
            self.take()
        except AlreadyRunning as error:
            raise DatabaseError(f"When the database came back, another run had begun. {error}") from None

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


@contextmanager
def _locked(store: LandingStore) -> Iterator[_Lock]:
    lock = _Lock(store)
    lock.take()
    try:
        yield lock
    finally:
        lock.release()


class _Desk:
    """Hands items from the schools' threads to the writer and its verdicts back."""

    def __init__(self) -> None:
        self._items: queue.Queue[tuple[Item, Future[Verdict]] | None] = queue.Queue()
        self.is_closed = False

    def hand_in(self, item: Item) -> Verdict:
        """Wait until the writer has dealt with it. Errors: Stopped."""
        if self.is_closed:
            raise Stopped
        reply: Future[Verdict] = Future()
        self._items.put((item, reply))
        while True:
            done, _ = wait([reply], timeout=_TICK_S)
            if not done and self.is_closed:
                raise Stopped
            if done:
                return reply.result()

    def next(self) -> tuple[Item, Future[Verdict]] | None:
        """Return the next item, None after a moment without one or when a school has ended."""
        try:
            return self._items.get(timeout=_TICK_S)
        except queue.Empty:
            return None

    def wake(self) -> None:
        """Let the writer look up."""
        self._items.put(None)


class Collection:
    """One run of `collect`, made by it."""

    def __init__(self, parts: CollectParts, options: CollectOptions, lock: _Lock) -> None:
        self._parts = parts
        self._options = options
        self._lock = lock
        self._store = parts.store
        self._stop = parts.stop
        self._desk = _Desk()
        self._limiters: list[RateLimiter] = []
        self._dead: dict[str, set[str]] = {}
        self._asked_well: set[str] = set()
        self._requests = threading.Lock()
        self.summary = CollectSummary(self._store.run_id, utc_now())

    def run(self) -> CollectSummary:
        """Do the whole way once."""
        summary = self.summary
        try:
            if not self._options.is_dry_run:
                self._with_retry(lambda: self._store.begin_run(summary.started_at))
            plans = self._plans()
            summary.schools = len(plans)
            self._ask_all(plans)
            if self._stop.is_set():
                summary.errors.append(Interrupted("The collection was stopped; what was complete is written."))
        except Stopped:
            summary.errors.append(Interrupted("The collection was stopped; what was complete is written."))
        except PipelineError as error:
            summary.errors.append(error)
        summary.finished_at = utc_now()
        self._finish()
        return summary

    def _finish(self) -> None:
        summary = self.summary
        for error in summary.errors:
            _LOG.info("what ended the collection: %s", error)
        counts = summary.counts
        _LOG.info(
            "collection ends with exit code %d: %d schools, %d rounds, %d rows added, %d changed, %d deleted, "
            "%d unchanged, %d not about our children, %d requests",
            *(summary.exit_code, summary.schools, summary.rounds, counts.added, counts.changed, counts.deleted),
            *(counts.unchanged, summary.dropped, summary.requests),
        )
        if self._options.is_dry_run:
            return
        message = " ".join(str(error) for error in summary.errors) or None
        try:
            self._store.finish_run(
                [
                    *(summary.finished_at, summary.schools, summary.rounds, counts.added, counts.changed),
                    *(counts.deleted, counts.unchanged, summary.requests, summary.received_bytes),
                    *(summary.exit_code, message),
                ]
            )
        except DatabaseError as error:
            _LOG.warning("the entry of this collection could not be closed: %s", error)

    def _with_retry(self, work: Callable[[], _Result]) -> _Result:
        return with_retry(self._store.connection, work, self._parts.budget, self._lock.retake)

    # Before the schools are asked

    def _plans(self) -> list[SchoolPlan]:
        """Settle what consent says, and return what each school is asked, in the order of their numbers."""
        step = ConsentStep(self._store, self._parts.secrets, self._options, self.summary, self._with_retry)
        known = step.known()
        listed = self._listed()
        asked = step.settle(known, listed, utc_now())
        if not asked and not self.summary.errors:
            _LOG.warning("no school can be asked: none is authorised and has a secret here")
        plans = []
        for estab, scopes in sorted(asked.items()):
            syncs = self._with_retry(partial(self._store.school_syncs, estab))
            plans.append(self._plan(estab, scopes, syncs))
        return plans

    def _listed(self) -> dict[str, Listed] | None:
        """Return the list of schools; None where there is no management secret or no answer."""
        if not self._parts.management_secret:
            return None
        client = self._client("", self._parts.management_secret)
        try:
            return read_list(client.schools())
        except Failed as failure:
            if failure.outcome == Outcome.REFUSED and not self._parts.secrets.estabs():
                raise AuthenticationRefused(
                    "The management secret is refused and there is no other list of schools; correct "
                    "XPORTER_MANAGEMENT_SECRET and XPORTER_RELYING_PARTY."
                ) from None
            text = f"The list of schools could not be read ({failure.text}); consent is as it was last known."
            _LOG.warning("%s", text)
            self.summary.lines.append(text)
            outcome = Outcome.ERROR if failure.outcome == Outcome.REFUSED else Outcome.UNAVAILABLE
            self.summary.problems.append(RoundResult(Round("", "GetXodSchools"), outcome, text, is_news=True))
            return None

    def _plan(
        self, estab: str, scopes: frozenset[str] | None, syncs: Mapping[tuple[str, str], tuple[str | None, int | None]]
    ) -> SchoolPlan:
        options = self._options
        landed = {key: parameters for key, (parameters, rows) in syncs.items() if rows is not None}
        return SchoolPlan(
            estab=estab,
            choices=options.choices,
            scopes=scopes,
            known_endpoints=frozenset(endpoint for endpoint, _ in landed),
            closed={} if options.is_full else landed,
            landed_ids=self._landed_ids(estab),
            cohort=self._parts.cohort,
            today=options.today,
            weeks_back=options.weeks_back,
            earliest=options.earliest,
            options_style=options.options_style,
            paths=options.paths,
            shrink_pause_s=options.shrink_pause_s,
        )

    def _landed_ids(self, estab: str) -> dict[tuple[str, str, str], Set[str]]:
        sources = {source for choice in self._options.choices for source in sources_of(choice)}
        sources |= {source for choice in self._options.choices for source in landed_sources(choice.endpoint)}
        if self._parts.cohort is not None:
            sources.add(("Students", "Students", "Id"))
        found: dict[tuple[str, str, str], Set[str]] = {}
        for landing in self._store.existing():
            for endpoint, table, column in sources:
                if landing.endpoint == endpoint and landing.table is not None and landing.table.name == table:
                    found[endpoint, table, column] = self._with_retry(partial(self._store.ids, landing, column, estab))
        return found

    # While they are asked

    def _client(self, estab: str, secret: str) -> IdaasClient:
        limiter = RateLimiter(1, self._options.min_gap_s, self._parts.clock, self._stop.is_set)
        self._limiters.append(limiter)
        watch = Watch(self._count_request, self._parts.on_token, self._stop.is_set)
        return IdaasClient(self._parts.session, self._parts.access, (estab, secret), limiter, self._parts.clock, watch)

    def _count_request(self) -> None:
        with self._requests:
            self.summary.requests += 1

    def _ask_all(self, plans: list[SchoolPlan]) -> None:
        failed: list[PipelineError] = []
        with ThreadPoolExecutor(self._options.schools_at_once, thread_name_prefix="school") as pool:
            try:
                waiting = {pool.submit(self._ask_school, plan, failed.append): plan for plan in plans}
                for future in waiting:
                    future.add_done_callback(lambda _: self._desk.wake())
                self._work_off(waiting)
            finally:
                self._desk.is_closed = True
                for limiter in self._limiters:
                    limiter.stop()
                pool.shutdown(wait=True, cancel_futures=True)
        self.summary.errors.extend(failed)

    def _ask_school(self, plan: SchoolPlan, on_error: Callable[[PipelineError], None]) -> None:
        secret = self._parts.secrets.get(plan.estab)
        if self._stop.is_set() or secret is None:
            return
        client = self._client(plan.estab, secret)
        limiter = self._limiters[-1]
        school = SchoolRound(plan, client, self._desk, limiter.sleep, self._is_dead_address)
        seconds = run_guarded(school, on_error)
        _LOG.info("school %s: asked for %.1f s", plan.estab, seconds)

    def _is_dead_address(self, endpoint: str) -> bool:
        return len(self._dead.get(endpoint, ())) >= _DEAD_AFTER

    def _work_off(self, waiting: Mapping[Future[None], SchoolPlan]) -> None:
        """Deal with what the schools hand in, until all have ended or the run is to stop."""
        open_ = set(waiting)
        while open_:
            if self._stop.is_set():
                return
            entry = self._desk.next()
            if entry is not None:
                item, reply = entry
                reply.set_result(self._deal_with(item))
            done = {future for future in open_ if future.done()}
            for future in done:
                future.result()
                self._school_ends(waiting[future])
            open_ -= done

    def _deal_with(self, item: Item) -> Verdict:
        if isinstance(item, ScopesFound):
            self._take_scopes(item)
            return Verdict.WRITTEN
        if isinstance(item, Problem):
            self._take_problem(item)
            return Verdict.WRITTEN
        verdict = self._take_answer(item)
        self._parts.progress(self.summary)
        return verdict

    def _take_answer(self, item: Collected) -> Verdict:
        self._asked_well.add(item.round.estab)
        changes = []
        for name, (landing, rows) in item.tables.items():
            reader = RowReader(landing, item.withheld.get(name, ()))
            landed = self._with_retry(partial(self._store.hashes, landing, item.round))
            difference = compare(landed, rows, reader)
            if has_shrunk(difference, len(landed)) and not self._may_shrink(item, name):
                if not item.is_second_try:
                    return Verdict.SHRANK
                text = (
                    f"{name} would lose {len(difference.deleted)} of {len(landed)} rows, twice; kept as it was. "
                    "If it is right, collect with --accept-shrink."
                )
                self._take_problem(Problem(item.round, SHRANK, text))
                return Verdict.WRITTEN
            changes.append(TableChange(landing, reader, difference, rows))
        self._write(item, changes)
        return Verdict.WRITTEN

    def _may_shrink(self, item: Collected, table: str) -> bool:
        """Whether a small set is believed: the operator says so, or the API counts as many pupils itself."""
        return self._options.accepts_shrink or (item.counted is not None and item.counted == item.whole.get(table))

    def _write(self, item: Collected, changes: list[TableChange]) -> None:
        message = _remarks(item, changes)
        entry = RoundEntry(
            params_hash=item.question.params_hash,
            started=item.started,
            ended=utc_now(),
            data_as_of=_as_of(item.answer.meta),
            meta=_meta_text(item.answer.meta),
            dropped=item.dropped,
            received_bytes=item.answer.received_bytes,
            message=message,
        )
        summary = self.summary
        if message:
            _LOG.warning("school %s, %s: %s", item.round.estab, item.round.endpoint, message)
        if not self._options.is_dry_run:
            summary.counts.add(self._with_retry(lambda: self._store.write_round(item.round, changes, entry)))
        else:
            summary.counts.add(counts_of(changes))
        summary.rounds += 1
        summary.dropped += item.dropped
        summary.received_bytes += item.answer.received_bytes
        if message and "not landed" in message:
            summary.lines.append(f"School {item.round.estab}, {item.round.endpoint}: {message}")

    def _take_problem(self, problem: Problem) -> None:
        round_ = problem.round
        if problem.outcome == Outcome.REFUSED:
            self.summary.refused.add(round_.estab)
        if problem.outcome == Outcome.NOT_FOUND:
            self._dead.setdefault(round_.endpoint, set()).add(round_.estab)
        self.summary.problems.append(RoundResult(round_, problem.outcome, problem.text, problem.is_news))
        _LOG.warning("school %s, %s%s: %s", round_.estab, round_.endpoint, f" {round_.window}".rstrip(), problem.text)
        if self._options.is_dry_run:
            return
        if problem.is_skip:
            self._with_retry(lambda: self._store.write_skip(round_, problem.text, utc_now()))
        else:
            write = self._store.write_problem
            self._with_retry(lambda: write(round_, problem.outcome, problem.text, utc_now()))

    def _take_scopes(self, item: ScopesFound) -> None:
        step = ConsentStep(self._store, self._parts.secrets, self._options, self.summary, self._with_retry)
        step.keep_scopes(item.estab, item.scopes, utc_now())

    def _school_ends(self, plan: SchoolPlan) -> None:
        """Keep where the school stands after it was asked."""
        if self._options.is_dry_run:
            return
        estab = plan.estab
        outcomes = {problem.outcome: problem for problem in self.summary.problems if problem.round.estab == estab}
        state = SchoolState.AUTHORISED
        if Outcome.REFUSED in outcomes:
            state = SchoolState.REFUSED
        elif Outcome.PAUSED in outcomes:
            state = SchoolState.PAUSED
        elif estab not in self._asked_well:
            return
        problem = next((found.text for found in outcomes.values() if found.is_news), None)
        secret = self._parts.secrets.get(estab)
        step = ConsentStep(self._store, self._parts.secrets, self._options, self.summary, self._with_retry)
        version = fingerprint(secret) if secret and state is not SchoolState.REFUSED else None
        since = step.keep_state(estab, state, version, problem, utc_now())
        if state is SchoolState.PAUSED and utc_now() - since > PAUSED_IS_NEWS_AFTER:
            self.summary.paused_too_long.add(estab)


def _remarks(item: Collected, changes: list[TableChange]) -> str | None:
    """Say what could not be kept, and which tables were not in the answer; names of tables and counts alone."""
    said = []
    for change in changes:
        if change.difference.null_keys:
            said.append(f"{change.landing.name}: {change.difference.null_keys} rows without a key were not landed")
        if change.difference.duplicates:
            said.append(
                f"{change.landing.name}: {change.difference.duplicates} rows had the key of another; the last was kept"
            )
    if item.answer.unreadable:
        said.append(f"{len(item.answer.unreadable)} members of the answer are no table and were not landed")
    return "; ".join(said) or None


def _meta_text(meta: Any) -> str | None:
    return None if meta is None else orjson.dumps(meta).decode().replace("\x00", "")


def _as_of(meta: Any) -> str | None:
    """Return the oldest time that an answer's meta names, as when its data were read from the school."""
    rows = meta if isinstance(meta, list) else [meta]
    times = [
        moment for row in rows if isinstance(row, Mapping) for value in row.values() if (moment := read_time(value))
    ]
    return min(times).isoformat(sep=" ", timespec="seconds") if times else None
