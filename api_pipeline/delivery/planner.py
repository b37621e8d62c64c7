"""From rows to steps: decide for each due row which record is sent next, or that none is needed or allowed.

The planner is lazy: it plans a page only after the steps of the page before have been taken (see `pages`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

from api_pipeline.api_response import Reason, refused
from api_pipeline.db import in_chunks
from api_pipeline.delivery.pages import DueRow, Pages
from api_pipeline.model import Invalid, Record, RecordKind, UpToDate
from api_pipeline.outbox.staging_table import PAGE_SIZE
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.plan import plan
from api_pipeline.payloads.reading import Payload, PayloadError
from api_pipeline.run_summary import Counts

_UNSTORABLE_ID = (
    "la_child_id: it has a letter that the database's code page lacks, so what the receiver holds of this child could "
    "not be recorded"
)

Step: TypeAlias = "Record | UpToDate | Invalid"
"""What is next for a due row: a record to send, or the outcome of a row that needs none."""


class Planner:
    """Plan the steps of the due rows in `pages`, and count these rows in `counts`.

    `on_finding` receives each finding in a payload: person id and finding. `last_id` is that of the last due row seen,
    None where there was none; `is_complete` says that every due row was seen, or as many as the limit allows.
    """

    def __init__(self, pages: Pages, counts: Counts, on_finding: Callable[[str, Finding], None]) -> None:
        self.pages = pages
        self.counts = counts
        self.last_id: int | None = None
        self.is_complete = False
        self._options = pages.options
        self._checks = {"schema": pages.options.schema_check, "code": pages.options.schema_codes}
        self._on_finding = on_finding
        self._planned: set[str] = set()
        # By child, the ids of the rows that wait.
        self._waiting: dict[str, list[int]] = {}

    def rounds(self) -> Iterator[Iterator[Step]]:
        """Yield the first step of each due row, by id and up to the limit; then those of the rows that had to wait.

        A row waits while a record of its child is on its way, because what is sent next depends on what becomes of that
        one: none may be on its way when the next round is asked for. Errors: DatabaseError.
        """
        yield self._first_round()
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._planned.clear()
            yield self._round_of(sorted(chain.from_iterable(waiting.values())))

    def _first_round(self) -> Iterator[Step]:
        limit = self._options.limit
        while not self.counts.was_limited and (page := self.pages.next_page()) is not None:
            self._planned.difference_update(page.ended)
            if page.blank:
                self.counts.blank += len(page.blank)
                self.counts.name("blank", page.blank)
            for one in page.due:
                if self.counts.due == limit:
                    self.counts.was_limited = True
                    break
                self.counts.due += 1
                self.last_id = one.row.id
                if (step := self._step(one)) is not None:
                    yield step
        self.is_complete = True

    def _round_of(self, ids: Sequence[int]) -> Iterator[Step]:
        for part in in_chunks(ids, PAGE_SIZE):
            page = self.pages.page_of(part)
            # Some may be due no longer.
            self.counts.due -= len(part) - len(page.due)
            for one in page.due:
                if (step := self._step(one)) is not None:
                    yield step

    def _step(self, due: DueRow) -> Step | None:
        """Return a row's next step; None where the row has to wait for another record of its child."""
        if isinstance(due.payload, PayloadError):
            return Invalid(due.row, refused([str(due.payload)]))
        if due.baseline.is_unstorable:
            return Invalid(due.row, refused([_UNSTORABLE_ID]))
        if due.findings and (reason := self._refusal(due)):
            return Invalid(due.row, reason)
        return self._plan(due, due.payload)

    def _plan(self, due: DueRow, payload: Payload) -> Record | UpToDate | None:
        row, baseline, child = due.row, due.baseline, payload.la_child_id
        if child in self._planned or child in self._waiting:
            # Behind a row that waits another one waits too, so that they are sent in the order of their ids.
            self._waiting.setdefault(child, []).append(row.id)
            return None
        self._planned.add(child)
        policy = self._options.policy
        if due.is_anothers:
            # Sent all the same, so that a deletion of that person finds whose the child is.
            policy = policy._replace(deltas=False, even_if_held=True)
        step = due.draft or plan(row, payload, baseline, policy)
        if isinstance(step, Record) and step.kind is not RecordKind.DELETION:
            self.counts.nulls_removed += payload.nulls_removed
        return step

    def _refusal(self, due: DueRow) -> Reason | None:
        """Return why the payload may not be sent, None where it may; every finding is reported."""
        refusing: list[Finding] = []
        for finding in due.findings:
            setting = self._checks.get(finding.severity, "warn")
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
