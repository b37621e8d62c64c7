"""By whose record a receiver holds a child: by that of the row's own person, or by that of another one.

A council that merges two persons, or gives its ids a new form, leaves a deleted row of the old person and a living one
of the new, with the same `la_child_id`. A deletion would take the new person's record away. And if the receiver holds
a row's payload by the record of another person alone, that person's deletion would take it away.

Three things are asked in turn: the row's own answer, the submission log, and the rows of the staging table.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from api_pipeline.api_response import is_receipt, last_receipt
from api_pipeline.db import Row, UnreadableText
from api_pipeline.model import Baseline, StagedRow
from api_pipeline.outbox.staged_rows import ROW, Selection, as_text, staged_rows
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import newest_only, people_with_several_rows
from api_pipeline.payloads.reading import child_of

_LOG = logging.getLogger(__name__)
# So much of an answer as `read_copied_answers` reads: a receipt, and more.
_BEGINNING = 100
_SUCCEEDED = (
    "no deletion is sent for %d deleted rows, because their children are other persons' now: for example row %d of "
    "person %s, and now person %s"
)


class Claim(NamedTuple):
    """A due row, the child of its payload, and what the receiver holds of that child."""

    row: StagedRow
    child: str
    baseline: Baseline

    @property
    def acceptance(self) -> tuple[str, str]:
        """Return the child and the receipt by which the receiver holds it, "" where none is known."""
        return self.child, self.baseline.receipt or ""


class Holder(NamedTuple):
    """The newest row of a person, or a row without one. `child` is that of its payload, None if that is unreadable."""

    row_id: int
    person_id: str
    child: str | None
    is_deleted: bool

    @property
    def name(self) -> str:
        """Return the person as a message names it."""
        return self.person_id if self.person_id.strip() else f"(row {self.row_id})"

    def stands_against(self, claim: Claim) -> bool:
        """Return whether this is another person, whose record the claim would concern.

        A row without a person stands for itself (contract 3). Against a deletion only a living person stands who has
        the child. A payload that cannot be read tonight says nothing: what the receiver holds is still that person's.
        """
        row = claim.row
        if self.row_id == row.id or (self.person_id == row.person_id and row.person_id.strip()):
            return False
        return not row.is_deleted or (not self.is_deleted and self.child in (claim.child, None))


class Succession:
    """Tell by whose records a receiver holds children. The whole table is read where that is asked, once."""

    def __init__(self, store: StagingTable) -> None:
        self._store = store

    def others(self, claims: Sequence[Claim]) -> dict[int, Holder]:
        """Return, by row id, who else has the record by which the receiver holds the child, where it is another's.

        Errors: DatabaseError.
        """
        unsure = self._without_logged([one for one in claims if not self._is_surely_own(one)])
        if not unsure:
            return {}
        # Without control tables no receipt is known, and no log is read.
        logged = sorted({one.child for one in unsure if one.baseline.receipt is not None})
        senders = _senders(self._store.by_values("read_senders", logged))
        newest = self._newest(sorted(set().union(*senders.values())))
        found: dict[int, Holder] = {}
        for one in unsure:
            sent_it = [newest[name] for name in senders.get(one.acceptance, ()) if name in newest]
            # The log names nobody where LOG_KEEP_DAYS has deleted the line, or where the person has another id now.
            other = _against(one, sent_it) or _against(one, self._having.get(one.child, ()))
            if other is not None:
                found[one.row.id] = other
        _warn_of_deletions(claims, found)
        return found

    def _is_surely_own(self, claim: Claim) -> bool:
        """Return whether the row's answer is the receipt by which the receiver holds the child, and no copy has it.

        A receipt within a sentence is no proof: a rehearsal, or a payload that was up to date, may repeat another's. A
        deletion needs more: a baseline that was recorded, and of which nothing is in doubt.
        """
        row, baseline = claim.row, claim.baseline
        if row.is_deleted and (baseline.is_adopted or baseline.in_doubt is not None):
            return False
        is_answer = is_receipt(row.api_response) and baseline.receipt == last_receipt(row.api_response)
        return is_answer and not self.has_copies(row)

    def has_copies(self, row: StagedRow) -> bool:
        """Return whether other rows have the row's last answer, or may have it. Errors: DatabaseError."""
        return self._copied is None or (row.api_response or "")[:_BEGINNING].strip() in self._copied

    @cached_property
    def _copied(self) -> frozenset[str] | None:
        """Return the answers that more than one row has, None where the driver cannot decode one of them."""
        try:
            rows = self._store.query("read_copied_answers")
        except UnreadableText:
            return None
        return frozenset(str(found[0]).strip() for found in rows)

    def _without_logged(self, claims: Sequence[Claim]) -> list[Claim]:
        """Return claims without those of living rows by whose person, says the log, the record was sent.

        A table that was filled anew has lost every answer, and the log says of almost all that they are their own. It
        is read by person first, for which it has an index.
        """
        living = sorted({one.row.person_id for one in claims if not one.row.is_deleted} - {""})
        own = _senders(self._store.by_values("read_accepted_of_people", living))
        return [one for one in claims if one.row.is_deleted or one.row.person_id not in own.get(one.acceptance, ())]

    def _newest(self, people: Sequence[str]) -> dict[str, Holder]:
        """Return the newest rows of these people, by person."""
        ids = [int(row[0]) for row in self._store.by_values("read_ids_of_people", people)]
        rows = staged_rows(self._store.rows_by_id("read_rows", ids, ROW))
        return {row.person_id: _holder(row) for row in sorted(rows, key=lambda row: row.id)}

    @cached_property
    def _having(self) -> Mapping[str, Sequence[Holder]]:
        """Return, by child, who has it now: every payload of the table is read."""
        people = people_with_several_rows(self._store)
        found: dict[str, list[Holder]] = defaultdict(list)
        for rows in self._store.pages(Selection(every_row=True)):
            for holder in map(_holder, newest_only(rows, people)):
                if holder.child is not None:
                    found[holder.child].append(holder)
        return found


def _holder(row: StagedRow) -> Holder:
    return Holder(row.id, row.person_id, child_of(row.json_payload), row.is_deleted)


def _against(claim: Claim, holders: Iterable[Holder]) -> Holder | None:
    """Return the first by name of those who stand against a claim."""
    return min((one for one in holders if one.stands_against(claim)), key=lambda one: one.name, default=None)


def _senders(lines: Sequence[Row]) -> dict[tuple[str, str], set[str]]:
    """Return, by child and receipt, of which people the records were, from lines of the submission log.

    A line without a person does not say whose the record was.
    """
    senders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for child, person, answer in lines:
        if as_text(person).strip():
            senders[str(child), str(answer)].add(str(person))
    return senders


def _warn_of_deletions(claims: Sequence[Claim], others: Mapping[int, Holder]) -> None:
    deleted = [one.row for one in claims if one.row.is_deleted and one.row.id in others]
    if deleted:
        first = min(deleted, key=lambda row: row.id)
        _LOG.warning(_SUCCEEDED, len(deleted), first.id, _holder(first).name, others[first.id].name)
