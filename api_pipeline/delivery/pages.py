"""Read pages of rows, with what is known of their children, before the records are planned.

The next page is read ahead, inside the transaction that writes answers back. Its payloads are read and checked after
that, with no transaction open.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from api_pipeline.db import Retrying
from api_pipeline.model import Baseline, Record, StagedRow, UpToDate
from api_pipeline.outbox.adoption import adopt, record_adopted
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import Selection, is_due
from api_pipeline.outbox.staging_table import PAGE_SIZE, StagingTable
from api_pipeline.outbox.succession import Claim, Succession
from api_pipeline.outbox.superseded import RowsOfPerson, newest_only
from api_pipeline.payloads.finding import Finding
from api_pipeline.payloads.plan import Policy, deletion_of, plan
from api_pipeline.payloads.reading import Payload, PayloadError, payload_of, read_payload
from api_pipeline.payloads.schema_check import Checker, identity_findings

# Whose payload a text seems to be: its baseline is read before the text is parsed.
_CHILD = re.compile(r'"la_child_id"\s*:\s*"([^"\\]{1,48})"')

_UNKNOWN = Baseline()


class PlanOptions(NamedTuple):
    """How rows are planned: `receiver` is the key of its baselines, `control_tables` whether these are kept.

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


class DueRow(NamedTuple):
    """A due row with its payload (or why it cannot be read), its findings, and the baseline of its child.

    `child` is whose payload it is, "" where it cannot be read. `draft` is its step, where it was planned right
    after the payload was read. `is_anothers` says that the receiver holds the child by the record of another person.
    """

    row: StagedRow
    child: str
    payload: Payload | PayloadError
    findings: Sequence[Finding]
    baseline: Baseline
    draft: Record | UpToDate | None = None
    is_anothers: bool = False


class Page(NamedTuple):
    """The due rows of a page, and the people whose rows would be due but have a blank payload.

    `ended` are the children whose records had been written back before the page was read.
    """

    due: list[DueRow]
    blank: list[str]
    ended: Sequence[str]


class _Read(NamedTuple):
    """Rows as they were read in one go, and the baselines of the children whose payloads they seem to have.

    `ended` are those of `Page`. After a new `opening` of the connection nothing of it counts: meanwhile another run may
    have worked.
    """

    opening: int
    rows: Sequence[StagedRow]
    baselines: Mapping[str, Baseline]
    ended: Sequence[str]


class Pages:
    """Read the rows of a selection page by page, in the order of their ids, with their payloads read and checked."""

    def __init__(self, store: StagingTable, options: PlanOptions, checker: Checker, db: Retrying) -> None:
        self.options = options
        self._store = store
        self._baselines = Baselines(store, options.receiver)
        self._checker = checker
        self._db = db
        self._after_id: int | None = None
        self._has_ended = False
        self._ahead: _Read | None = None
        self._ended: list[str] = []
        self._succession = Succession(store)

    def note_ended(self, children: Iterable[str]) -> None:
        """Record that these children's outcomes are written back, so that pages read from now on show them."""
        self._ended += children

    def read_ahead(self) -> None:
        """Read the next page if that is not done yet, within the transaction that is open. Errors: DatabaseError.

        So the page costs no transaction of its own.
        """
        if self._ahead is None and not self._has_ended:
            self._ahead = self._read_next()

    def next_page(self) -> Page | None:
        """Return the next page, None behind the last. Errors: DatabaseError."""
        if self._has_ended:
            return None
        read, self._ahead = self._ahead, None
        if read is None or read.opening != self._store.connection.openings:
            read = self._db.run(lambda: self._store.connection.read_together(self._read_next))
        self._has_ended = len(read.rows) < PAGE_SIZE
        if read.rows:
            self._after_id = read.rows[-1].id
        return self._page(read)

    def page_of(self, ids: Sequence[int]) -> Page:
        """Return some rows as they stand now. Errors: DatabaseError."""
        read = self._db.run(lambda: self._read(sorted(self._store.read_rows(ids), key=lambda row: row.id)))
        return self._page(read)

    def _page(self, read: _Read) -> Page:
        blank: list[str] = []
        examined: list[DueRow] = []
        for row in newest_only(read.rows, self.options.people):
            if not row.is_blank:
                examined.append(self._examined(row, read.baselines))
            elif is_due(row, _UNKNOWN):
                blank.append(row.person_id)
        return Page(self._db.run(lambda: self._due(read, examined)), blank, read.ended)

    def _due(self, read: _Read, examined: Sequence[DueRow]) -> list[DueRow]:
        """Return the rows that are due, given what the receiver holds of their children."""
        every_row, control_tables = self.options.selection.every_row, self.options.control_tables
        examined = self._with_last_children(read, examined)
        if control_tables:
            examined = self._with_baselines(read, examined)
        due = [one for one in examined if is_due(one.row, one.baseline) or (every_row and not one.row.is_deleted)]
        due = self._without_succeeded(due)
        return [self._checked_deletion(one) if one.row.is_deleted else one for one in due]

    def _checked_deletion(self, one: DueRow) -> DueRow:
        """Return a deletion with the findings in it; a child whom the receiver holds is removed whatever its id is."""
        if isinstance(one.payload, PayloadError) or not one.baseline.is_empty:
            return one
        return one._replace(findings=[*one.findings, *self._checker.check_deletion(deletion_of(one.payload))])

    def _with_last_children(self, read: _Read, examined: Sequence[DueRow]) -> Sequence[DueRow]:
        """Return rows; a deleted one whose payload names no child is of the child that its previous payload names."""
        broken = [one for one in examined if self._is_broken_deletion(one)]
        recorded = self._recorded({one.child for one in broken} - read.baselines.keys())
        ids = [one.row.id for one in broken if recorded.get(one.child, _UNKNOWN) == _UNKNOWN]
        previous = self._store.previous_payloads(ids) if ids else {}
        return [_of_previous(one, previous[one.row.id]) if one.row.id in previous else one for one in examined]

    def _is_broken_deletion(self, one: DueRow) -> bool:
        if not one.row.is_deleted or "person_id" in one.row.unreadable:
            return False
        # An identifier that breaks the rules may still be one that the receiver took, under other rules.
        return isinstance(one.payload, PayloadError) or (
            one.baseline == _UNKNOWN and not self._checker.may_be_child(one.child)
        )

    def _with_baselines(self, read: _Read, examined: Sequence[DueRow]) -> list[DueRow]:
        """Return the rows with the baselines that they lack: read now, or adopted from another tool's rows."""
        # What a text seemed to say may have stood elsewhere in it.
        others = {one.child for one in examined} - read.baselines.keys()
        baselines = {**read.baselines, **self._recorded(others)}
        unknown = [(one.row, one.child) for one in examined if baselines[one.child] == _UNKNOWN]
        adopted = adopt(self._store, self.options.receiver, unknown, is_recording=not self.options.testing)
        return [one._replace(baseline=adopted.get(one.row.id, baselines[one.child])) for one in examined]

    def _without_succeeded(self, due: list[DueRow]) -> list[DueRow]:
        """Return due rows without the deleted ones whose child is another person's.

        A living one is planned anew if the receiver holds its payload by the record of another person.
        """
        claims = [Claim(one.row, one.child, one.baseline) for one in due if _may_be_anothers(one)]
        if claims and (others := self._succession.others(claims)):
            kept = [one for one in due if not (one.row.is_deleted and one.row.id in others)]
            due = [one._replace(draft=None, is_anothers=True) if one.row.id in others else one for one in kept]
        adopted = {one.child: one.baseline for one in due if one.baseline.is_adopted}
        if adopted and not self.options.testing:
            record_adopted(self._store, self.options.receiver, adopted)
        return due

    def _read_next(self) -> _Read:
        return self._read(self._store.read_page(self.options.selection, self._after_id))

    def _read(self, rows: Sequence[StagedRow]) -> _Read:
        children = {found[1] for row in rows if (found := _CHILD.search(row.json_payload))}
        ended, self._ended = self._ended, []
        return _Read(self._store.connection.openings, rows, self._recorded(children), ended)

    def _recorded(self, children: Collection[str]) -> dict[str, Baseline]:
        """Return the recorded baseline of each of these children, `_UNKNOWN` where there is none."""
        found = dict.fromkeys(children, _UNKNOWN)
        # "" stands for the child of a payload that cannot be read.
        if self.options.control_tables and (named := set(filter(None, children))):
            found.update(self._baselines.read(named))
        return found

    def _examined(self, row: StagedRow, baselines: Mapping[str, Baseline]) -> DueRow:
        """Read and check a row's payload in one go, and compare it, while its value is at hand. Pure: no database.

        To compare it later takes a second reading of its text: 30 of 410 microseconds of a changed row.
        """
        options, checker = self.options, self._checker
        is_checked = not row.is_deleted and not (options.schema_check == options.schema_codes == "off")
        try:
            payload = read_payload(row, checker.is_sound if is_checked else None)
        except PayloadError as error:
            return DueRow(row, "", error, (), _UNKNOWN)
        findings = checker.check(payload.data, payload.encoded, is_sound=payload.is_sound) if is_checked else []
        findings = findings + identity_findings(row.person_id, payload.la_child_id)
        draft = None
        baseline = baselines.get(payload.la_child_id, _UNKNOWN)
        # What the checks may refuse is not compared: its parts may be of any type.
        if (payload.is_sound or not is_checked) and baseline.held is not None:
            draft = plan(row, payload, baseline, options.policy)
        payload.put_aside()
        return DueRow(row, payload.la_child_id, payload, findings, baseline, draft)


def _may_be_anothers(one: DueRow) -> bool:
    """Return whether another person's record may matter: to a deletion, or where nothing seems to be due for a row."""
    if one.row.is_deleted:
        return bool(one.child)
    return one.baseline.receipt is not None and not isinstance(one.draft, Record)


def _of_previous(one: DueRow, text: str) -> DueRow:
    payload = payload_of(text)
    if payload is None:
        return one
    payload.put_aside()
    return one._replace(payload=payload, child=payload.la_child_id)
