"""Deleted rows whose child has become that of another person: a deletion would take that person's record away.

A council that merges two persons, or gives its ids a new form, leaves a deleted row of the old person and a living one
of the new, with the same `la_child_id`. The submission log tells by whose record the receiver holds the child. Where it
names no other living person, or a line or table is missing, the rows of the staging table tell whose the child is.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from api_pipeline.api_response import is_receipt, last_receipt
from api_pipeline.db import Row, UnreadableText
from api_pipeline.model import Baseline, StagedRow
from api_pipeline.outbox.staged_rows import ROW, Selection, as_text, staged_rows
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.superseded import RowsOfPerson, newest_only, people_with_several_rows
from api_pipeline.payloads.reading import PayloadError, parse_payload

_LOG = logging.getLogger(__name__)
# So much of an answer as `read_copied_answers` reads: a receipt, and more.
_BEGINNING = 100
_SUCCEEDED = (
    "no deletion is sent for %d deleted rows, because their children are other persons' now: for example row %d of "
    "person %s, and now person %s"
)


class Holder(NamedTuple):
    """The newest row of a person, or a row without one, that has some child now."""

    row_id: int
    person_id: str
    is_deleted: bool

    def is_another(self, row: StagedRow) -> bool:
        """Return whether this is not the row's own person. A row without a person stands for itself (contract 3)."""
        return self.row_id != row.id and (self.person_id != row.person_id or not row.person_id.strip())


Holders: TypeAlias = "Mapping[str, Sequence[Holder]]"
"""By child, who has it."""


class Claim(NamedTuple):
    """A due row, the child of its payload, and what the receiver holds of that child.

    `is_adopted` says that only a deleted row itself tells what the receiver holds.
    """

    row: StagedRow
    child: str
    baseline: Baseline
    is_adopted: bool = False

    @property
    def acceptance(self) -> tuple[str, str]:
        """Return the child and the receipt by which the receiver holds it, "" where none is known."""
        return self.child, self.baseline.receipt or ""

    def is_own(self, others: OtherRows) -> bool:
        """Return whether the row's answer is the receipt by which the receiver holds the child, and no copy has it.

        A receipt within a sentence is no proof: a rehearsal, or a payload that was up to date, may repeat another's.
        """
        answer, receipt = self.row.api_response, self.baseline.receipt
        is_answer = is_receipt(answer) and receipt == last_receipt(answer)
        return is_answer and not others.have_answer_of(self.row)

    @property
    def is_untold(self) -> bool:
        """Return whether the receiver may hold the child by a record of which no receipt tells whose it was.

        So it is where nothing is recorded: the row alone says that something was sent.
        """
        return self.is_adopted or self.baseline.receipt is None or self.baseline.in_doubt is not None


class OtherRows:
    """What the whole staging table says of children and answers; it is read where that is asked, once.

    `people` are those with more than one row, None where only some of them are known.
    """

    def __init__(self, store: StagingTable, people: Mapping[str, RowsOfPerson] | None) -> None:
        self._store = store
        self._people = people
        self._holders: Holders | None = None
        self._copied: frozenset[str] | None = None
        self._can_tell = True

    def having(self, child: str) -> Sequence[Holder]:
        """Return who has a child now. Errors: DatabaseError."""
        if self._holders is None:
            people = people_with_several_rows(self._store) if self._people is None else self._people
            self._holders = _holders(self._store, people)
        return self._holders.get(child, ())

    def have_answer_of(self, row: StagedRow) -> bool:
        """Return whether the row's last answer is one that copies have, or may have. Errors: DatabaseError."""
        if self._copied is None:
            self._copied = self._read_copied()
        return not self._can_tell or (row.api_response or "")[:_BEGINNING].strip() in self._copied

    def _read_copied(self) -> frozenset[str]:
        try:
            rows = self._store.connection.query(self._store.sql("read_copied_answers"))
        except UnreadableText:
            self._can_tell = False
            return frozenset()
        return frozenset(str(found[0]).strip() for found in rows)


def succeeded(store: StagingTable, claims: Sequence[Claim], others: OtherRows, *, has_log: bool) -> set[int]:
    """Return the ids of deleted rows whose child the receiver holds by the record of another, living person.

    Where the receipt is not surely the row's own, the submission log tells, if there is one. Where that names no living
    person who has the child, the staging table does. Errors: DatabaseError.
    """
    deleted = [one for one in claims if one.row.is_deleted]
    unsure = [one for one in deleted if not has_log or one.is_untold or not one.is_own(others)]
    logged = sorted({one.child for one in unsure if one.baseline.receipt is not None}) if has_log else []
    senders = _senders(store.by_values("read_senders", logged))
    newest = _newest(store, sorted(set().union(*senders.values())))
    living = {person: _child_of(row) for person, row in newest.items() if not row.is_deleted}
    found: dict[int, tuple[int, str, str]] = {}
    for one in unsure:
        row, people = one.row, senders.get(one.acceptance, set())
        # A payload that cannot be read tonight says nothing: what the receiver holds is still that person's.
        successors = {name for name in people - {row.person_id} if living.get(name, "") in (one.child, None)}
        if not successors:
            having = others.having(one.child)
            successors = {_name(other) for other in having if not other.is_deleted and other.is_another(row)}
        if successors:
            found[row.id] = (row.id, row.person_id, min(successors))
    if found:
        _LOG.warning(_SUCCEEDED, len(found), *min(found.values()))
    return set(found)


def held_for_others(store: StagingTable, claims: Sequence[Claim], others: OtherRows) -> set[int]:
    """Return the ids of living rows whose child the receiver holds by the record of another person alone.

    That person must have a row: its deletion would take the child away. Where the submission log names nobody who has
    one, the staging table tells as in `succeeded`. Errors: DatabaseError.
    """
    living = [one for one in claims if not one.row.is_deleted and one.baseline.receipt is not None]
    foreign = [one for one in living if not one.is_own(others)]
    if not foreign:
        return set()
    # A table that was filled anew has lost every answer, and the log says of almost all that they are their own. It is
    # read by person first, for which it has an index.
    own = _senders(store.by_values("read_accepted_of_people", sorted({one.row.person_id for one in foreign} - {""})))
    foreign = [one for one in foreign if one.row.person_id not in own[one.acceptance]]
    if not foreign:
        return set()
    senders = _senders(store.by_values("read_senders", sorted({one.child for one in foreign})))
    known = _newest(store, sorted(set().union(*senders.values())))
    found = set()
    for one in foreign:
        # None of them has a row where LOG_KEEP_DAYS has deleted the line, or where the person has another id now.
        is_anothers = bool(senders[one.acceptance] & known.keys())
        if is_anothers or any(other.is_another(one.row) for other in others.having(one.child)):
            found.add(one.row.id)
    return found


def _holders(store: StagingTable, people: Mapping[str, RowsOfPerson]) -> Holders:
    """Return, by `la_child_id`, who has it. `people` are those with more than one row.

    Every payload of the table is read.
    """
    found: dict[str, list[Holder]] = defaultdict(list)
    after_id: int | None = None
    while rows := store.read_page(Selection(every_row=True), after_id):
        after_id = rows[-1].id
        for row in newest_only(rows, people):
            if child := _child_of(row):
                found[child].append(Holder(row.id, row.person_id, row.is_deleted))
    return found


def _senders(lines: Sequence[Row]) -> dict[tuple[str, str], set[str]]:
    """Return, by child and receipt, of which people the records were, from lines of the submission log.

    A line without a person does not say whose the record was.
    """
    senders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for child, person, answer in lines:
        if as_text(person).strip():
            senders[str(child), str(answer)].add(str(person))
    return senders


def _name(holder: Holder) -> str:
    return holder.person_id if holder.person_id.strip() else f"(row {holder.row_id})"


def _newest(store: StagingTable, people: Sequence[str]) -> dict[str, StagedRow]:
    """Return the newest rows of these people, by person."""
    newest: dict[str, StagedRow] = {}
    ids = [int(row[0]) for row in store.by_values("read_ids_of_people", people)]
    for row in staged_rows(store.rows_by_id("read_rows", ids, ROW)):
        if row.person_id not in newest or row.id > newest[row.person_id].id:
            newest[row.person_id] = row
    return newest


def _child_of(row: StagedRow) -> str | None:
    try:
        return parse_payload(row.json_payload).la_child_id
    except PayloadError:
        return None
