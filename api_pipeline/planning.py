"""From rows to batches: what is due, what the receiver holds, what is to be sent, whether it may be.

Runs in a thread of its own, ahead of the senders by as much as the window allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from api_pipeline.db import KeyTaken
from api_pipeline.findings import Finding
from api_pipeline.patience import Patience, patiently
from api_pipeline.payload import NothingToSend, Payload, PayloadFault, Policy, intent_hash, next_record, parse_payload
from api_pipeline.records import AlreadyHeld, Batch, Holding, Outcome, Record, Rejected, StagedRow
from api_pipeline.schema import Checker
from api_pipeline.store import Selection, Store, is_due, was_sent
from api_pipeline.window import Window, children_of

_LOCAL_OUTCOMES = 100


@dataclass(slots=True)
class PlanCounts:
    """What the planner saw: due rows, null members taken out, findings that were only warnings.

    `was_limited` is set where more rows were due than the limit allowed to take.
    """

    due: int = 0
    nulls_removed: int = 0
    warnings: int = 0
    was_limited: bool = False


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How rows are planned: `receiver` is the key of its holdings; `companions` whether they are kept.

    `schema_check` and `schema_codes` are "reject", "warn" or "off"; `limit` is the most rows taken, None for all;
    `notes_intent` whether records are noted before they are sent (not in testing mode).
    """

    selection: Selection
    policy: Policy
    receiver: str
    run_id: str
    batch_size: int
    companions: bool
    schema_check: str
    schema_codes: str
    notes_intent: bool
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    row: StagedRow
    payload: Payload | PayloadFault
    findings: Sequence[Finding]
    holding: Holding


@dataclass(frozen=True, slots=True)
class _Page:
    last_id: int
    items: list[_Item]


class Planner:
    """Fills the window with batches. `on_finding` is told of each fault of a payload: person id and finding.

    `unsent` holds the records of a batch that was made ready but found the window closed.
    """

    def __init__(
        self,
        store: Store,
        options: PlanOptions,
        window: Window,
        checker: Checker,
        patience: Patience,
        on_finding: Callable[[str, Finding], None],
    ) -> None:
        self._store = store
        self._patience = patience
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

    def run(self) -> None:
        """Reads all due rows and puts their records into the window. Errors: DatabaseError."""
        for item in self._due_rows():
            self.counts.due += 1
            if isinstance(item.payload, PayloadFault):
                goes_on = self._decide(Rejected(item.row, f"Payload refused before sending: {item.payload}"))
            elif reason := self._refusal(item):
                goes_on = self._decide(Rejected(item.row, reason))
            else:
                goes_on = self._plan(item.row, item.payload, item.holding)
            if not goes_on:
                return
        self._flush_local()
        self._flush()

    def _due_rows(self) -> Iterator[_Item]:
        """Gives the due rows with what is known of them, page by page and up to the limit."""
        after_id = -(2**31)
        left = self._options.limit
        while page := self._next_page(after_id):
            after_id = page.last_id
            page.items.reverse()
            while page.items:
                if left is not None and left <= 0:
                    self.counts.was_limited = True
                    return
                yield page.items.pop()
                left = None if left is None else left - 1

    def _next_page(self, after_id: int) -> _Page | None:
        # Of these children the page may say what is true no longer when its rows are planned.
        here = {record.la_child_id for record in self._batch} | children_of(self._local)
        self._moving = self._window.children() | here
        return patiently(self._store.connection, lambda: self._read_page_once(after_id), self._patience)

    def _read_page_once(self, after_id: int) -> _Page | None:
        rows = self._store.read_page(self._options.selection, after_id)
        if not rows:
            return None
        read = [(row, *self._look_at(row)) for row in rows if row.json_payload.strip()]
        holdings = self._holdings([payload.la_child_id for _, payload, _ in read if isinstance(payload, Payload)])
        previous = self._previous([row for row, payload, _ in read if _child(payload) not in holdings])
        items: list[_Item] = []
        for row, payload, findings in read:
            holding = holdings.get(_child(payload)) or _from_previous(row, previous.get(row.id))
            if self._is_selected(row, holding):
                items.append(_Item(row, payload, findings, holding))
        return _Page(rows[-1].id, self._without_history(items))

    def _look_at(self, row: StagedRow) -> tuple[Payload | PayloadFault, Sequence[Finding]]:
        """Reads and checks a row's payload in one go, while its value is at hand."""
        try:
            payload = parse_payload(row.json_payload)
        except PayloadFault as fault:
            return fault, ()
        options = self._options
        is_checked = not row.is_deleted and not (options.schema_check == options.schema_codes == "off")
        findings = self._checker.check(payload.data, payload.text) if is_checked else ()
        payload.put_aside()
        return payload, findings

    def _without_history(self, items: list[_Item]) -> list[_Item]:
        """Gives the items without deletions of people who have a newer row: the child is back, and must stay."""
        leaving = sorted({item.row.person_id for item in items if item.row.is_deleted and item.row.person_id})
        living = self._store.newest_living(leaving) if leaving else {}
        return [
            item
            for item in items
            if not (item.row.is_deleted and living.get(item.row.person_id, item.row.id) > item.row.id)
        ]

    def _previous(self, rows: Sequence[StagedRow]) -> dict[int, str]:
        """Gives what a table of today's tool says was sent, for rows of which the companion tables know nothing."""
        sent = [row for row in rows if was_sent(row)]
        if not (self._options.companions and sent):
            return {}
        known = self._store.accepted_before([row.person_id for row in sent])
        return self._store.previous_payloads([row.id for row in sent if row.person_id not in known])

    def _holdings(self, children: Sequence[str]) -> dict[str, Holding]:
        if not self._options.companions:
            return {}
        return self._store.holdings(self._options.receiver, children)

    def _holding_now(self, row: StagedRow, child: str) -> Holding:
        return self._holdings([child]).get(child) or _from_previous(row, self._previous([row]).get(row.id))

    def _is_selected(self, row: StagedRow, holding: Holding) -> bool:
        if self._options.selection.every_row and not row.is_deleted:
            return True
        return is_due(row, holding)

    def _plan(self, row: StagedRow, payload: Payload, holding: Holding) -> bool:
        """Plans one row's record; False where the window has been closed."""
        child = payload.la_child_id
        if child in self._moving:
            # What is sent now depends on what becomes, or became since the page was read, of the child's other row.
            self._flush()
            self._flush_local()
            if not self._window.wait_until_out(child):
                return False
            work = partial(self._holding_now, row, child)
            holding = patiently(self._store.connection, work, self._patience)
        self._moving.add(child)
        record = next_record(row, payload, holding, self._options.policy)
        if isinstance(record, NothingToSend):
            return self._decide(AlreadyHeld(row, child, record.held, holding.receipt, holding.is_recorded))
        self.counts.nulls_removed += record.nulls_removed
        # A record that may take away what is held makes no later one sure of its base, not even one of this payload.
        takes_away = row.is_deleted or self._options.policy.resync
        note = "" if takes_away else intent_hash(payload, holding)
        was_unconfirmed = holding.unconfirmed is not None
        self._batch.append(
            replace(record, intent_hash=note, was_unconfirmed=was_unconfirmed, was_held=holding.is_recorded)
        )
        return self._flush() if len(self._batch) >= self._options.batch_size else True

    def _refusal(self, item: _Item) -> str | None:
        """Gives why the payload may not be sent, None where it may; every finding is reported."""
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
        return f"Payload refused before sending: {shown}{more}"

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
        if self._options.notes_intent:
            patiently(self._store.connection, partial(self._note, batch), self._patience)
        if self._window.put(batch):
            return True
        self.unsent = batch.records
        return False

    def _note(self, batch: Batch) -> None:
        notes = {record.la_child_id: record.intent_hash for record in batch.records}
        known = [record.la_child_id for record in batch.records if record.was_unconfirmed]
        try:
            self._write_notes(notes, known)
        except KeyTaken:
            # Noted by an earlier try of this; or for another shard's row, and then no payload is sure of its base.
            runs = self._store.runs_of_notes(self._options.receiver, list(notes))
            others = {child: "" for child, run_id in runs.items() if run_id != self._options.run_id}
            self._write_notes({**notes, **others}, list(notes))

    def _write_notes(self, notes: Mapping[str, str], replaced: Sequence[str]) -> None:
        with self._store.connection.transaction():
            self._store.note_unconfirmed(self._options.receiver, self._options.run_id, list(notes.items()), replaced)


def _from_previous(row: StagedRow, previous: str | None) -> Holding:
    """Gives what a table of today's tool says of a child that the companion table does not know yet (contract 3)."""
    return Holding(held=previous, receipt=row.api_response, is_recorded=False)


def _child(payload: Payload | PayloadFault) -> str:
    return payload.la_child_id if isinstance(payload, Payload) else ""
