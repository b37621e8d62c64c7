"""Pages of rows with what is known of their children, read before they are planned.

Pages are read ahead in the transactions that write answers back. A thread of its own reads and checks their payloads;
it knows no database. Two pages are read ahead at most: one is at work while the database is waited for, one is ready.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from api_pipeline.db_retry import RetryBudget, with_retry
from api_pipeline.delivery.plan_options import PlanOptions
from api_pipeline.model import Baseline, NothingToSend, Record, StagedRow
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import newest_only
from api_pipeline.payload import plan
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.reading import Payload, PayloadError, read_payload
from api_pipeline.payloads.schema_check import Checker, identity_findings

# Whose payload a text seems to be: its baseline is read before the text is parsed.
_CHILD = re.compile(r'"la_child_id"\s*:\s*"([^"\\]{1,48})"')

_MOST_AHEAD = 2


class Draft(NamedTuple):
    """What is next for a row, as long as this is the baseline."""

    baseline: Baseline
    step: Record | NothingToSend


class LookedAt(NamedTuple):
    """A row, its payload or why it cannot be read, what is found in it, and what is next where something is held."""

    row: StagedRow
    payload: Payload | PayloadError
    findings: Sequence[Finding]
    draft: Draft | None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as they were read in one go, and the baselines of the children who were `asked` for.

    Of the children in `moving` these may say what is true no longer when the rows are planned. Of no child does it say
    so on another `opening` of the connection: meanwhile another run may have come and gone.
    """

    opening: int
    rows: Sequence[StagedRow]
    asked: frozenset[str]
    baselines: Mapping[str, Baseline]
    moving: set[str]


class _Ahead(NamedTuple):
    page: Page
    looked_at: Future[list[LookedAt]]


class Pages:
    """Read the rows of a selection page by page, in the order of their ids, with their payloads read and checked.

    `under_way` returns the children of whom a record is on its way; `after_reopen` prepares a new connection.
    """

    def __init__(
        self,
        store: StagingTable,
        options: PlanOptions,
        checker: Checker,
        retry_budget: RetryBudget,
        under_way: Callable[[], set[str]],
        after_reopen: Callable[[], None],
    ) -> None:
        self._store = store
        self._options = options
        self._checker = checker
        self._retry_budget = retry_budget
        self._under_way = under_way
        self._after_reopen = after_reopen
        self._after_id: int | None = None
        self._has_ended = False
        self._ahead: deque[_Ahead] = deque()
        self._worker: ThreadPoolExecutor | None = None

    def read_ahead(self) -> None:
        """Read what is missing of the pages ahead, within the transaction that is open. Errors: DatabaseError.

        They cost no transaction of their own then, and their payloads are read and checked while the database works.
        """
        while len(self._ahead) < _MOST_AHEAD and not self._is_read_to_its_end():
            page = self._read(self._next_rows)
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, "planner")
            self._ahead.append(_Ahead(page, self._worker.submit(self._look_at_all, page)))

    def close(self) -> None:
        """End the thread that reads and checks payloads."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)

    def note_planned(self, child: str) -> None:
        """Take in that a record of a child is planned: what was read ahead of it is true no longer."""
        for ahead in self._ahead:
            ahead.page.moving.add(child)

    def next_page(self) -> tuple[Page, list[LookedAt]] | None:
        """Return the next page, None behind the last. Errors: DatabaseError."""
        page: Page | None = None
        if self._ahead:
            page, result = self._ahead.popleft()
            looked_at = result.result()
        if page is None or page.opening != self._store.connection.openings:
            self._ahead.clear()
            page = self._with_retry(self._next_rows)
            looked_at = self._look_at_all(page)
        self._has_ended = not page.rows
        if self._has_ended:
            return None
        self._after_id = page.rows[-1].id
        return page, looked_at

    def page_of(self, ids: Sequence[int]) -> tuple[Page, list[LookedAt]]:
        """Return some rows as they stand now. Errors: DatabaseError."""
        page = self._with_retry(lambda: sorted(self._store.read_rows(ids), key=lambda row: row.id))
        return page, self._look_at_all(page)

    def baselines(self, children: Sequence[str]) -> dict[str, Baseline]:
        """Return what is recorded of children. Errors: DatabaseError."""
        if not self._options.control_tables:
            return {}
        return Baselines(self._store, self._options.receiver).read(children)

    def _next_rows(self) -> Sequence[StagedRow]:
        after_id = self._ahead[-1].page.rows[-1].id if self._ahead else self._after_id
        return self._store.read_page(self._options.selection, after_id)

    def _is_read_to_its_end(self) -> bool:
        return not self._ahead[-1].page.rows if self._ahead else self._has_ended

    def _with_retry(self, rows_of: Callable[[], Sequence[StagedRow]]) -> Page:
        return with_retry(self._store.connection, lambda: self._read(rows_of), self._retry_budget, self._after_reopen)

    def _read(self, rows_of: Callable[[], Sequence[StagedRow]]) -> Page:
        moving = self._under_way()
        rows = rows_of()
        children = frozenset(found[1] for row in rows if (found := _CHILD.search(row.json_payload)))
        return Page(self._store.connection.openings, rows, children, self.baselines(list(children)), moving)

    def _look_at_all(self, page: Page) -> list[LookedAt]:
        return [self._look_at(row, page.baselines) for row in newest_only(page.rows, self._options.people)]

    def _look_at(self, row: StagedRow, baselines: Mapping[str, Baseline]) -> LookedAt:
        """Read and check a row's payload in one go, and compare it, while its value is at hand. Pure: no database.

        To compare it later takes a second reading of its text: 30 of 410 microseconds of a changed row.
        """
        options, checker = self._options, self._checker
        is_checked = not row.is_deleted and not (options.schema_check == options.schema_codes == "off")
        try:
            payload = read_payload(row, checker.is_sound if is_checked else None)
        except PayloadError as error:
            return LookedAt(row, error, (), None)
        findings = checker.check(payload.data, payload.text, is_sound=payload.is_sound) if is_checked else []
        findings = findings + identity_findings(row.person_id, payload.la_child_id)
        draft = None
        baseline = baselines.get(payload.la_child_id)
        # What the checks may refuse is not compared: its parts may be of any type.
        if (payload.is_sound or not is_checked) and baseline is not None and baseline.held is not None:
            draft = Draft(baseline, plan(row, payload, baseline, options.policy))
        payload.put_aside()
        return LookedAt(row, payload, findings, draft)
