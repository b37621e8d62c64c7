"""From rows to steps: what is due, what the receiver holds, what is to be sent next, whether it may be.

Lazy: a page of rows is planned once the steps of the page before have been taken (see `pages`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from api_pipeline.api_response import Reason, refused
from api_pipeline.db import in_chunks
from api_pipeline.db_retry import RetryBudget, with_retry
from api_pipeline.delivery.pages import Draft, LookedAt, Page, Pages
from api_pipeline.delivery.plan_options import PlanOptions
from api_pipeline.model import Baseline, Invalid, NothingToSend, Record, StagedRow, UpToDate
from api_pipeline.outbox.adoption import Adopted, adopted_baselines, record_adopted
from api_pipeline.outbox.baselines import UNSTORABLE
from api_pipeline.outbox.staged_rows import Selection, is_due, may_be_due
from api_pipeline.outbox.staging_table import PAGE_SIZE, StagingTable
from api_pipeline.outbox.superseded import RowsOfPerson
from api_pipeline.payload import plan
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.reading import Payload, PayloadError
from api_pipeline.payloads.schema_check import Checker

_NAMED = 5
_UNKNOWN = Baseline(is_recorded=False)
_UNSTORABLE_ID = (
    "la_child_id: it has a letter that the database's code page lacks, so what the receiver holds of this child could "
    "not be recorded"
)

Step: TypeAlias = "Record | UpToDate | Invalid"
"""What is next for a due row: a record to send, or the outcome of a row that needs none."""


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
class _Item:
    """A due row."""

    row: StagedRow
    payload: Payload | PayloadError
    findings: Sequence[Finding]
    baseline: Baseline
    draft: Draft | None


class Planner:
    """Plan the steps of due rows. `on_finding` receives each finding in a payload: person id and finding.

    `under_way` returns the children of whom a record is on its way; `after_reopen` prepares a new connection.
    """

    def __init__(
        self,
        store: StagingTable,
        options: PlanOptions,
        checker: Checker,
        retry_budget: RetryBudget,
        on_finding: Callable[[str, Finding], None],
        *,
        under_way: Callable[[], set[str]] = set,
        after_reopen: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._retry_budget = retry_budget
        self._options = options
        self._on_finding = on_finding
        self._after_reopen = after_reopen
        self._pages = Pages(store, options, checker, retry_budget, under_way, after_reopen)
        self._moving: set[str] = set()
        self._deferred: list[int] = []
        self._waiting: set[str] = set()
        self.counts = PlanCounts()

    @property
    def selection(self) -> Selection:
        """Return which rows the plan is for."""
        return self._options.selection

    @property
    def people(self) -> Mapping[str, RowsOfPerson]:
        """Return the people who have more than one row."""
        return self._options.people

    def read_ahead(self) -> None:
        """Read the next page in the transaction that is open (see `Pages.read_ahead`). Errors: DatabaseError."""
        self._pages.read_ahead()

    def close(self) -> None:
        """End the thread that reads and checks payloads."""
        self._pages.close()

    def steps(self) -> Iterator[Step]:
        """Return the first step of each due row, by id and up to the limit. Errors: DatabaseError.

        A row of a child of whom another record is on its way is left for `deferred_steps`.
        """
        for item in self._due_rows():
            self.counts.due += 1
            self.counts.last_id = item.row.id
            if (step := self._step(item)) is not None:
                yield step
        self.counts.is_complete = True

    def deferred_steps(self) -> Iterator[Step] | None:
        """Return the first steps of rows that had to wait, as they stand now; None where there are none.

        Nothing may be under way any more. Errors: DatabaseError.
        """
        if not self._deferred:
            return None
        ids, self._deferred = self._deferred, []
        self._waiting.clear()
        return self._steps_of(ids)

    def _steps_of(self, ids: Sequence[int]) -> Iterator[Step]:
        for part in in_chunks(ids, PAGE_SIZE):
            items = self._items(*self._pages.page_of(part))
            # Some may be due no longer.
            self.counts.due -= len(part) - len(items)
            for item in items:
                if (step := self._step(item)) is not None:
                    yield step

    def _due_rows(self) -> Iterator[_Item]:
        """Return the due rows with what is known of them, page by page and up to the limit."""
        left = self._options.limit
        while (found := self._pages.next_page()) is not None:
            self._count_blank(found[1])
            items = self._items(*found)
            items.reverse()
            while items:
                if left is not None and left <= 0:
                    self.counts.was_limited = True
                    return
                yield items.pop()
                left = None if left is None else left - 1

    def _items(self, page: Page, looked_at: Sequence[LookedAt]) -> list[_Item]:
        self._moving = page.moving

        def work() -> list[_Item]:
            return self._due(page, [one for one in looked_at if not one.row.is_blank])

        return with_retry(self._store.connection, work, self._retry_budget, self._after_reopen)

    def _count_blank(self, looked_at: Sequence[LookedAt]) -> None:
        blank = [one.row.person_id for one in looked_at if one.row.is_blank and _would_be_due(one.row)]
        self.counts.blank += len(blank)
        self.counts.blank_people += blank[: _NAMED - len(self.counts.blank_people)]

    def _due(self, page: Page, looked_at: Sequence[LookedAt]) -> list[_Item]:
        children = {one.payload.la_child_id for one in looked_at if isinstance(one.payload, Payload)}
        # What a text seemed to say may have stood elsewhere in it.
        baselines = {**page.baselines, **self._pages.baselines(list(children - page.asked))}
        concluded = self._concluded([one.row for one in looked_at if _child(one.payload) not in baselines])
        items: list[_Item] = []
        for row, payload, findings, draft in looked_at:
            baseline = baselines.get(_child(payload)) or _base(concluded.get(row.id), _child(payload))
            if self._is_selected(row, baseline):
                items.append(_Item(row, payload, findings, baseline, draft))
        return self._taken_over(items, concluded)

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

    def _is_selected(self, row: StagedRow, baseline: Baseline) -> bool:
        if self._options.selection.every_row and not row.is_deleted:
            return True
        return is_due(row, baseline)

    def _step(self, item: _Item) -> Step | None:
        """Return a row's next step; None where it has to wait for another record of its child."""
        if isinstance(item.payload, PayloadError):
            return Invalid(item.row, refused([str(item.payload)]))
        if item.baseline is UNSTORABLE:
            return Invalid(item.row, refused([_UNSTORABLE_ID]))
        if reason := self._refusal(item):
            return Invalid(item.row, reason)
        return self._plan(item, item.payload)

    def _plan(self, item: _Item, payload: Payload) -> Record | UpToDate | None:
        row, baseline, child = item.row, item.baseline, payload.la_child_id
        if child in self._moving or child in self._waiting:
            # What is sent now depends on what becomes, or became since the page was read, of the child's other row.
            self._waiting.add(child)
            self._deferred.append(row.id)
            return None
        self._moving.add(child)
        self._pages.note_planned(child)
        draft = item.draft
        is_drafted = draft is not None and draft.baseline is baseline
        record = draft.step if draft and is_drafted else plan(row, payload, baseline, self._options.policy)
        if isinstance(record, NothingToSend):
            return UpToDate(row, child, record.held, baseline.receipt, baseline.is_recorded)
        self.counts.nulls_removed += 0 if row.is_deleted else payload.nulls_removed
        return record

    def _refusal(self, item: _Item) -> Reason | None:
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
        return refused([f"{finding.path}: {finding.rule}: {finding.message}" for finding in refusing])


def _base(concluded: Adopted | None, child: str) -> Baseline:
    """Return what is known of a child: what was concluded from its row, unless that was sent under another id."""
    return concluded.baseline if concluded is not None and concluded.child == child else _UNKNOWN


def _would_be_due(row: StagedRow) -> bool:
    return row.has_previous if row.is_deleted else may_be_due(row)


def _child(payload: Payload | PayloadError) -> str:
    return payload.la_child_id if isinstance(payload, Payload) else ""
