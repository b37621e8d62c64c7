"""From rows to batches: what is due, what the receiver holds, what is to be sent, whether it may be.

Runs in a thread of its own, ahead of the senders by as much as the window allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from api_pipeline.db import KeyTaken
from api_pipeline.db_retry import RetryBudget, with_retry
from api_pipeline.delivery.work_queue import WorkQueue, children_of
from api_pipeline.logs.masking import OWN_REFUSAL
from api_pipeline.model import Baseline, Batch, Invalid, Outcome, Record, StagedRow, UpToDate
from api_pipeline.outbox.adoption import Adopted, adopted_baselines, record_adopted
from api_pipeline.outbox.staging_table import Selection, StagingTable, is_due, may_be_due
from api_pipeline.outbox.superseded import RowsOfPerson, newest_only
from api_pipeline.payload import (
    NothingToSend,
    Payload,
    PayloadError,
    Policy,
    intent_hash,
    next_record,
    read_payload,
)
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.schema_check import Checker, identity_findings

_LOCAL_OUTCOMES = 100
_NAMED = 5
_UNKNOWN = Baseline(is_recorded=False)


@dataclass(slots=True)
class PlanCounts:
    """What the planner saw: due rows, null members taken out, findings that were only warnings.

    `blank` counts the rows that would be due but have a blank payload; `blank_people` names the first of them.

    `was_limited` is set where more rows were due than the limit allowed to take. `last_id` is that of the last row
    seen, None where there was none; `is_complete` says that every due row was seen, or as many as the limit allowed.
    """

    due: int = 0
    last_id: int | None = None
    is_complete: bool = False
    nulls_removed: int = 0
    warnings: int = 0
    was_limited: bool = False
    blank: int = 0
    blank_people: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How rows are planned: `receiver` is the key of its baselines; `control_tables` whether they are kept.

    `schema_check` and `schema_codes` are "reject", "warn" or "off"; `limit` is the most rows taken, None for all;
    `testing` whether nothing is sent, so that nothing is noted before it either. `people` are those with several rows.
    """

    selection: Selection
    policy: Policy
    receiver: str
    run_id: str
    batch_size: int
    control_tables: bool
    schema_check: str
    schema_codes: str
    testing: bool
    people: Mapping[str, RowsOfPerson]
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    """A due row."""

    row: StagedRow
    payload: Payload | PayloadError
    findings: Sequence[Finding]
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class _Page:
    last_id: int
    items: list[_Item]
    blank: list[str]


class Planner:
    """Fill the window with batches. `on_finding` receives each finding in a payload: person id and finding.

    `unsent` holds the records of a batch that was made ready but found the window closed.
    """

    def __init__(
        self,
        store: StagingTable,
        options: PlanOptions,
        window: WorkQueue,
        checker: Checker,
        retry_budget: RetryBudget,
        on_finding: Callable[[str, Finding], None],
    ) -> None:
        self._store = store
        self._retry_budget = retry_budget
        self._options = options
        self._window = window
        self._checker = checker
        self._on_finding = on_finding
        self._batch: list[Record] = []
        self._moving: set[str] = set()
        self._local: list[Outcome] = []
        self._number = 0
        self.counts = PlanCounts()
        self.unsent: tuple[Record, ...] = ()

    @property
    def selection(self) -> Selection:
        """Which rows the plan is for."""
        return self._options.selection

    @property
    def people(self) -> Mapping[str, RowsOfPerson]:
        """The people who have several rows."""
        return self._options.people

    def run(self) -> None:
        """Read all due rows and put their records into the window. Errors: DatabaseError."""
        for item in self._due_rows():
            self.counts.due += 1
            self.counts.last_id = item.row.id
            if isinstance(item.payload, PayloadError):
                goes_on = self._decide(Invalid(item.row, f"{OWN_REFUSAL}{item.payload}"))
            elif reason := self._refusal(item):
                goes_on = self._decide(Invalid(item.row, reason))
            else:
                goes_on = self._plan(item, item.payload)
            if not goes_on:
                return
        self.counts.is_complete = True
        self._flush_local()
        self._flush()

    def _due_rows(self) -> Iterator[_Item]:
        """Return the due rows with what is known of them, page by page and up to the limit."""
        after_id: int | None = None
        left = self._options.limit
        while page := self._next_page(after_id):
            after_id = page.last_id
            self.counts.blank += len(page.blank)
            self.counts.blank_people += page.blank[: _NAMED - len(self.counts.blank_people)]
            page.items.reverse()
            while page.items:
                if left is not None and left <= 0:
                    self.counts.was_limited = True
                    return
                yield page.items.pop()
                left = None if left is None else left - 1

    def _next_page(self, after_id: int | None) -> _Page | None:
        # Of these children the page may say what is true no longer when its rows are planned.
        here = {record.la_child_id for record in self._batch} | children_of(self._local)
        self._moving = self._window.children() | here
        return with_retry(self._store.connection, lambda: self._read_page_once(after_id), self._retry_budget)

    def _read_page_once(self, after_id: int | None) -> _Page | None:
        page = self._store.read_page(self._options.selection, after_id)
        if not page:
            return None
        rows = newest_only(page, self._options.people)
        read = [(row, *self._look_at(row)) for row in rows if not row.is_blank]
        baselines = self._baselines([payload.la_child_id for _, payload, _ in read if isinstance(payload, Payload)])
        concluded = self._concluded([row for row, payload, _ in read if _child(payload) not in baselines])
        items: list[_Item] = []
        for row, payload, findings in read:
            baseline = baselines.get(_child(payload)) or _base(concluded.get(row.id), _child(payload))
            if self._is_selected(row, baseline):
                items.append(_Item(row, payload, findings, baseline))
        blank = [row.person_id for row in rows if row.is_blank and _would_be_due(row)]
        return _Page(page[-1].id, self._taken_over(items, concluded), blank)

    def _look_at(self, row: StagedRow) -> tuple[Payload | PayloadError, Sequence[Finding]]:
        """Read and check a row's payload in one go, while its value is at hand."""
        payload = _read(row)
        if isinstance(payload, PayloadError):
            return payload, ()
        options = self._options
        is_checked = not row.is_deleted and not (options.schema_check == options.schema_codes == "off")
        findings = self._checker.check(payload.data, payload.text) if is_checked else []
        payload.put_aside()
        return payload, findings + identity_findings(row.person_id, payload.la_child_id)

    def _concluded(self, rows: Sequence[StagedRow]) -> dict[int, Adopted]:
        return adopted_baselines(self._store, rows) if self._options.control_tables else {}

    def _taken_over(self, items: list[_Item], concluded: Mapping[int, Adopted]) -> list[_Item]:
        """Return the items, with what was concluded from a table of today's tool recorded, where one row says it."""
        found = {item.row.id: concluded[item.row.id] for item in items if item.row.id in concluded}
        counts = Counter(one.child for one in found.values())
        sure = {row_id: one for row_id, one in found.items() if one.child and counts[one.child] == 1}
        if self._options.testing or not sure:
            return items
        record_adopted(self._store, self._options.receiver, {one.child: one.baseline for one in sure.values()})
        return [
            replace(item, baseline=replace(item.baseline, is_recorded=True))
            if item.row.id in sure and item.baseline is sure[item.row.id].baseline
            else item
            for item in items
        ]

    def _baselines(self, children: Sequence[str]) -> dict[str, Baseline]:
        if not self._options.control_tables:
            return {}
        return self._store.baselines(self._options.receiver, children)

    def _baseline_now(self, row: StagedRow, child: str) -> Baseline:
        return self._baselines([child]).get(child) or _base(self._concluded([row]).get(row.id), child)

    def _is_selected(self, row: StagedRow, baseline: Baseline) -> bool:
        if self._options.selection.every_row and not row.is_deleted:
            return True
        return is_due(row, baseline)

    def _plan(self, item: _Item, payload: Payload) -> bool:
        """Plan one row's record; False where the window has been closed."""
        row, baseline, child = item.row, item.baseline, payload.la_child_id
        if child in self._moving:
            # What is sent now depends on what becomes, or became since the page was read, of the child's other row.
            self._flush()
            self._flush_local()
            if not self._window.wait_until_out(child):
                return False
            work = partial(self._baseline_now, row, child)
            baseline = with_retry(self._store.connection, work, self._retry_budget)
        self._moving.add(child)
        record = next_record(row, payload, baseline, self._options.policy)
        if isinstance(record, NothingToSend):
            return self._decide(UpToDate(row, child, record.held, baseline.receipt, baseline.is_recorded))
        self.counts.nulls_removed += record.nulls_removed
        # A record that may take away what is held makes no later one sure of its base, not even one of this payload.
        takes_away = row.is_deleted or self._options.policy.resync
        note = "" if takes_away else intent_hash(payload, baseline)
        was_in_doubt = baseline.in_doubt is not None
        self._batch.append(replace(record, intent_hash=note, was_in_doubt=was_in_doubt, was_held=baseline.is_recorded))
        return self._flush() if len(self._batch) >= self._options.batch_size else True

    def _refusal(self, item: _Item) -> str | None:
        """Return why the payload may not be sent, None where it may; every finding is reported."""
        wanted = {"schema": self._options.schema_check, "code": self._options.schema_codes}
        refusing: list[Finding] = []
        for finding in item.findings:
            setting = wanted.get(finding.severity, "warn")
            if setting == "off":
                continue
            self._on_finding(item.row.person_id, finding)
            if setting == "reject":
                refusing.append(finding)
            else:
                self.counts.warnings += 1
        if not refusing:
            return None
        shown = "; ".join(f"{finding.path}: {finding.rule}: {finding.message}" for finding in refusing[:10])
        more = f"; and {len(refusing) - 10} more" if len(refusing) > 10 else ""
        return f"{OWN_REFUSAL}{shown}{more}"

    def _decide(self, outcome: Outcome) -> bool:
        self._local.append(outcome)
        return self._flush_local() if len(self._local) >= _LOCAL_OUTCOMES else True

    def _flush_local(self) -> bool:
        if not self._local:
            return True
        outcomes, self._local = self._local, []
        return self._window.put_decided(outcomes)

    def _flush(self) -> bool:
        if not self._batch:
            return True
        self._number += 1
        batch = Batch(self._number, tuple(self._batch))
        self._batch = []
        if self._options.control_tables and not self._options.testing:
            with_retry(self._store.connection, partial(self._note, batch), self._retry_budget)
        if self._window.put(batch):
            return True
        self.unsent = batch.records
        return False

    def _note(self, batch: Batch) -> None:
        notes = {record.la_child_id: record.intent_hash for record in batch.records}
        known = [record.la_child_id for record in batch.records if record.was_in_doubt]
        # A resync takes rows that are sent. Once its purge is on the way they are due, whatever becomes of this run.
        sent = [record.row.id for record in batch.records if not may_be_due(record.row)]
        try:
            self._write_notes(notes, known, sent)
        except KeyTaken:
            # Noted by an earlier try of this; or for another shard's row, and then no payload is sure of its base.
            runs = self._store.runs_in_doubt(self._options.receiver, list(notes))
            others = {child: "" for child, run_id in runs.items() if run_id != self._options.run_id}
            self._write_notes({**notes, **others}, list(notes), sent)

    def _write_notes(self, notes: Mapping[str, str], replaced: Sequence[str], sent: Sequence[int]) -> None:
        with self._store.connection.transaction():
            self._store.mark_due_again(sent)
            self._store.mark_in_doubt(self._options.receiver, self._options.run_id, list(notes.items()), replaced)


def _base(concluded: Adopted | None, child: str) -> Baseline:
    """Return what is known of a child: what was concluded from its row, unless that was sent under another id."""
    return concluded.baseline if concluded is not None and concluded.child == child else _UNKNOWN


def _read(row: StagedRow) -> Payload | PayloadError:
    try:
        return read_payload(row)
    except PayloadError as error:
        return error


def _would_be_due(row: StagedRow) -> bool:
    return row.has_previous if row.is_deleted else may_be_due(row)


def _child(payload: Payload | PayloadError) -> str:
    return payload.la_child_id if isinstance(payload, Payload) else ""
