"""From rows to steps: what is due, what the receiver holds, what is to be sent next, whether it may be.

Lazy: a page of rows is read while the steps of the page before are taken, in the transaction that writes answers back,
or once they have been taken. A thread of its own reads and checks the payloads of a page that was read ahead; it knows
no database, and there is one such page at most.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias, TypeVar

from api_pipeline.db_retry import RetryBudget, with_retry
from api_pipeline.logs.masking import OWN_REFUSAL
from api_pipeline.model import Baseline, Invalid, NothingToSend, Record, StagedRow, UpToDate
from api_pipeline.outbox.adoption import Adopted, adopted_baselines, record_adopted
from api_pipeline.outbox.staging_table import PAGE_SIZE, UNSTORABLE, Selection, StagingTable, is_due, may_be_due
from api_pipeline.outbox.superseded import RowsOfPerson, newest_only
from api_pipeline.payload import (
    Payload,
    PayloadError,
    Policy,
    Validator,
    intent_hash,
    next_record,
    read_payload,
)
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.schema_check import Checker, identity_findings

_NAMED = 5
# Whose payload a text seems to be: it is read before it is parsed.
_CHILD = re.compile(r'"la_child_id"\s*:\s*"([^"\\]{1,48})"')
_Result = TypeVar("_Result")
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
class PlanOptions:
    """How rows are planned: `receiver` is the key of its baselines; `control_tables` whether they are kept.

    `schema_check` and `schema_codes` are "reject", "warn" or "off"; `limit` is the most rows taken, None for all;
    `testing` whether nothing is sent, and nothing recorded either. `people` are those with more than one row.
    """

    selection: Selection
    policy: Policy
    receiver: str
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


_LookedAt: TypeAlias = "tuple[StagedRow, Payload | PayloadError, Sequence[Finding]]"


@dataclass(frozen=True, slots=True)
class _Read:
    """Rows as they were read in one go, and the baselines of the children who were asked for.

    Of the children in `moving` these may say what is true no longer when the rows are planned. Of no child does it say
    so on another opening of the connection: meanwhile another run may have come and gone.
    """

    opening: int

    rows: Sequence[StagedRow]
    asked: frozenset[str]
    baselines: Mapping[str, Baseline]
    moving: set[str]


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A page that was read ahead, and its payloads, which another thread reads and checks."""

    read: _Read
    looked_at: Future[list[_LookedAt]]


@dataclass(frozen=True, slots=True)
class _Page:
    items: list[_Item]
    blank: list[str]


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
        self._checker = checker
        self._on_finding = on_finding
        self._under_way = under_way
        self._after_reopen = after_reopen
        self._moving: set[str] = set()
        self._after_id: int | None = None
        self._has_ended = False
        self._ahead: _Ahead | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._deferred: list[int] = []
        self._waiting: set[str] = set()
        self.counts = PlanCounts()

    @property
    def selection(self) -> Selection:
        """Which rows the plan is for."""
        return self._options.selection

    @property
    def people(self) -> Mapping[str, RowsOfPerson]:
        """The people who have more than one row."""
        return self._options.people

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
        for start in range(0, len(ids), PAGE_SIZE):
            part = ids[start : start + PAGE_SIZE]
            read = self._with_retry(partial(self._read, partial(self._rows_of, part)))
            items = self._page_of(read, self._look_at_all(read)).items
            # Some may be due no longer.
            self.counts.due -= len(part) - len(items)
            for item in items:
                if (step := self._step(item)) is not None:
                    yield step

    def _rows_of(self, ids: Sequence[int]) -> list[StagedRow]:
        return sorted(self._store.read_rows(ids), key=lambda row: row.id)

    def _due_rows(self) -> Iterator[_Item]:
        """Return the due rows with what is known of them, page by page and up to the limit."""
        left = self._options.limit
        while page := self._next_page():
            self.counts.blank += len(page.blank)
            self.counts.blank_people += page.blank[: _NAMED - len(self.counts.blank_people)]
            page.items.reverse()
            while page.items:
                if left is not None and left <= 0:
                    self.counts.was_limited = True
                    return
                yield page.items.pop()
                left = None if left is None else left - 1

    def read_ahead(self) -> None:
        """Read the next page, where that is not done yet, within the transaction that is open. Errors: DatabaseError.

        It costs no transaction of its own then, and its payloads are read and checked while the database works.
        """
        if self._ahead is None and not self._has_ended:
            read = self._read(self._next_rows)
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, "planner")
            self._ahead = _Ahead(read, self._worker.submit(self._look_at_all, read))

    def close(self) -> None:
        """End the thread that reads and checks payloads."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)

    def _next_rows(self) -> Sequence[StagedRow]:
        return self._store.read_page(self._options.selection, self._after_id)

    def _next_page(self) -> _Page | None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            looked_at = ahead.looked_at.result()
        if ahead is None or ahead.read.opening != self._store.connection.openings:
            read = self._with_retry(lambda: self._read(self._next_rows))
            looked_at = self._look_at_all(read)
        else:
            read = ahead.read
        self._has_ended = not read.rows
        if self._has_ended:
            return None
        self._after_id = read.rows[-1].id
        return self._page_of(read, looked_at)

    def _with_retry(self, work: Callable[[], _Result]) -> _Result:
        return with_retry(self._store.connection, work, self._retry_budget, self._after_reopen)

    def _read(self, rows_of: Callable[[], Sequence[StagedRow]]) -> _Read:
        moving = self._under_way()
        rows = rows_of()
        children = frozenset(found[1] for row in rows if (found := _CHILD.search(row.json_payload)))
        return _Read(self._store.connection.openings, rows, children, self._baselines(list(children)), moving)

    def _look_at_all(self, read: _Read) -> list[_LookedAt]:
        return [self._look_at(row) for row in newest_only(read.rows, self._options.people)]

    def _page_of(self, read: _Read, looked_at: Sequence[_LookedAt]) -> _Page:
        self._moving = read.moving
        return self._with_retry(lambda: self._with_baselines(read, looked_at))

    def _with_baselines(self, read: _Read, looked_at: Sequence[_LookedAt]) -> _Page:
        blank = [row.person_id for row, _, _ in looked_at if row.is_blank and _would_be_due(row)]
        looked_at = [one for one in looked_at if not one[0].is_blank]
        children = {payload.la_child_id for _, payload, _ in looked_at if isinstance(payload, Payload)}
        # What a text seemed to say may have stood elsewhere in it.
        baselines = {**read.baselines, **self._baselines(list(children - read.asked))}
        concluded = self._concluded([row for row, payload, _ in looked_at if _child(payload) not in baselines])
        items: list[_Item] = []
        for row, payload, findings in looked_at:
            baseline = baselines.get(_child(payload)) or _base(concluded.get(row.id), _child(payload))
            if self._is_selected(row, baseline):
                items.append(_Item(row, payload, findings, baseline))
        return _Page(self._taken_over(items, concluded), blank)

    def _look_at(self, row: StagedRow) -> _LookedAt:
        """Read and check a row's payload in one go, while its value is at hand. Pure: no database."""
        options, checker = self._options, self._checker
        is_checked = not row.is_deleted and not (options.schema_check == options.schema_codes == "off")
        payload = _read_payload(row, checker.is_sound if is_checked else None)
        if isinstance(payload, PayloadError):
            return row, payload, ()
        findings = checker.check(payload.data, payload.text, is_sound=payload.is_sound) if is_checked else []
        payload.put_aside()
        return row, payload, findings + identity_findings(row.person_id, payload.la_child_id)

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

    def _is_selected(self, row: StagedRow, baseline: Baseline) -> bool:
        if self._options.selection.every_row and not row.is_deleted:
            return True
        return is_due(row, baseline)

    def _step(self, item: _Item) -> Step | None:
        """Return a row's next step; None where it has to wait for another record of its child."""
        if isinstance(item.payload, PayloadError):
            return Invalid(item.row, f"{OWN_REFUSAL}{item.payload}")
        if item.baseline is UNSTORABLE:
            return Invalid(item.row, f"{OWN_REFUSAL}{_UNSTORABLE_ID}")
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
        if self._ahead is not None:
            self._ahead.read.moving.add(child)
        record = next_record(row, payload, baseline, self._options.policy)
        if isinstance(record, NothingToSend):
            return UpToDate(row, child, record.held, baseline.receipt, baseline.is_recorded)
        self.counts.nulls_removed += record.nulls_removed
        # A record that may take away what is held makes no later one sure of its base, not even one of this payload.
        takes_away = row.is_deleted or self._options.policy.resync
        note = "" if takes_away else intent_hash(payload, baseline)
        was_in_doubt = baseline.in_doubt is not None
        return replace(record, intent_hash=note, was_in_doubt=was_in_doubt, was_held=baseline.is_recorded)

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


def _base(concluded: Adopted | None, child: str) -> Baseline:
    """Return what is known of a child: what was concluded from its row, unless that was sent under another id."""
    return concluded.baseline if concluded is not None and concluded.child == child else _UNKNOWN


def _read_payload(row: StagedRow, validator: Validator | None) -> Payload | PayloadError:
    try:
        return read_payload(row, validator)
    except PayloadError as error:
        return error


def _would_be_due(row: StagedRow) -> bool:
    return row.has_previous if row.is_deleted else may_be_due(row)


def _child(payload: Payload | PayloadError) -> str:
    return payload.la_child_id if isinstance(payload, Payload) else ""
