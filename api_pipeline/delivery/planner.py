"""From rows to steps: decide for each due row which record is sent next, or that none is needed or allowed.

The planner is lazy: it plans a page only after the steps of the page before have been taken (see `pages`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from api_pipeline.api_response import Reason, refused
from api_pipeline.db import in_chunks
from api_pipeline.delivery.pages import DueRow, Pages
from api_pipeline.model import Invalid, NothingToSend, Record, UpToDate
from api_pipeline.outbox.baselines import UNSTORABLE
from api_pipeline.outbox.staging_table import PAGE_SIZE
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.plan import plan
from api_pipeline.payloads.reading import Payload, PayloadError

_NAMED = 5
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


class Planner:
    """Plan the steps of the due rows in `pages`.

    `on_finding` receives each finding in a payload: person id and finding.
    """

    def __init__(self, pages: Pages, on_finding: Callable[[str, Finding], None]) -> None:
        self.pages = pages
        self._options = pages.options
        self._on_finding = on_finding
        self._moving: set[str] = set()
        self._deferred: list[int] = []
        self._waiting: set[str] = set()
        self.counts = PlanCounts()

    def steps(self) -> Iterator[Step]:
        """Return the first step of each due row, by id and up to the limit. Errors: DatabaseError.

        A row of a child of whom another record is on its way is left for `deferred_steps`.
        """
        limit = self._options.limit
        while not self.counts.was_limited and (page := self.pages.next_page()) is not None:
            self._moving = page.moving
            self.counts.blank += len(page.blank)
            self.counts.blank_people += page.blank[: _NAMED - len(self.counts.blank_people)]
            for one in page.due:
                if self.counts.due == limit:
                    self.counts.was_limited = True
                    break
                self.counts.due += 1
                self.counts.last_id = one.row.id
                if (step := self._step(one)) is not None:
                    yield step
        self.counts.is_complete = True

    def deferred_steps(self) -> Iterator[Step] | None:
        """Return the first steps of the rows that had to wait, read anew; None where no row waits.

        No record may be on its way then. Errors: DatabaseError.
        """
        if not self._deferred:
            return None
        ids, self._deferred = self._deferred, []
        self._waiting.clear()
        return self._steps_of(ids)

    def _steps_of(self, ids: Sequence[int]) -> Iterator[Step]:
        for part in in_chunks(ids, PAGE_SIZE):
            page = self.pages.page_of(part)
            self._moving = page.moving
            # Some may be due no longer.
            self.counts.due -= len(part) - len(page.due)
            for one in page.due:
                if (step := self._step(one)) is not None:
                    yield step

    def _step(self, due: DueRow) -> Step | None:
        """Return a row's next step; None where the row has to wait for another record of its child."""
        if isinstance(due.payload, PayloadError):
            return Invalid(due.row, refused([str(due.payload)]))
        if due.baseline is UNSTORABLE:
            return Invalid(due.row, refused([_UNSTORABLE_ID]))
        if reason := self._refusal(due):
            return Invalid(due.row, reason)
        return self._plan(due, due.payload)

    def _plan(self, due: DueRow, payload: Payload) -> Record | UpToDate | None:
        row, baseline, child = due.row, due.baseline, payload.la_child_id
        if child in self._moving or child in self._waiting:
            # What is sent now depends on what becomes, or became since the page was read, of the child's other row.
            self._waiting.add(child)
            self._deferred.append(row.id)
            return None
        self._moving.add(child)
        self.pages.note_planned(child)
        policy = self._options.policy
        if due.is_anothers:
            # Sent all the same, so that a deletion of that person finds whose the child is.
            policy = policy._replace(deltas=False, even_if_held=True)
        record = due.draft or plan(row, payload, baseline, policy)
        if isinstance(record, NothingToSend):
            return UpToDate(row, child, record.held, baseline.receipt, baseline.is_recorded)
        self.counts.nulls_removed += 0 if row.is_deleted else payload.nulls_removed
        return record

    def _refusal(self, due: DueRow) -> Reason | None:
        """Return why the payload may not be sent, None where it may; every finding is reported."""
        wanted = {"schema": self._options.schema_check, "code": self._options.schema_codes}
        refusing: list[Finding] = []
        for finding in due.findings:
            setting = wanted.get(finding.severity, "warn")
            if setting == "off":
                continue
            self._on_finding(due.row.person_id, finding)
            if setting == "reject":
                refusing.append(finding)
            else:
                self.counts.warnings += 1
        if not refusing:
            return None
        return refused([f"{finding.path}: {finding.rule}: {finding.message}" for finding in refusing])
