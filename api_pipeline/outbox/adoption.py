"""Adoption: make baselines of what the staging table itself says another tool has sent (contract 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from api_pipeline.api_response import last_receipt
from api_pipeline.db import KeyTaken, unless_refused
from api_pipeline.model import Baseline, StagedRow
from api_pipeline.outbox.baselines import Baselines
from api_pipeline.outbox.staged_rows import was_sent
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.payloads.reading import child_of, sha256_hex
from api_pipeline.settings.safety import is_loopback, is_test_endpoint


class Adopted(NamedTuple):
    """What the receiver holds according to the row itself, and of which child; "" where no `la_child_id` was sent."""

    child: str
    baseline: Baseline


def adopt(
    store: StagingTable, receiver: str, unknown: Sequence[tuple[StagedRow, str]], *, is_recording: bool
) -> dict[int, Baseline]:
    """Return, by row id, what the receiver holds of rows' children, of whom nothing is recorded yet.

    It is recorded, unless `is_recording` is false. What a deleted row says is not (`Baseline.is_adopted`): its child
    may be another person's, who was sent later. If more than one row says what was sent of a child, the first living
    one counts, for each row of that child. What was sent under another id than that of the row's child says nothing of
    that one. What was sent of a child whom another receiver holds, or of whom the submission log has an acceptance,
    does not count, and nothing does for a receiver to which the table goes after another one. Errors: DatabaseError.
    """
    rows = [row for row, _ in unknown]
    adopted = adopted_baselines(store, rows)
    if not adopted or _was_sent_elsewhere(store, receiver):
        return {}
    known = known_otherwise(store, receiver, [child for child, _ in adopted.values()])
    adopted = {row_id: one for row_id, one in adopted.items() if one.child and one.child not in known}
    living = [adopted[row.id] for row in rows if row.id in adopted and not row.is_deleted]
    by_child = dict(reversed([*living, *adopted.values()]))
    recorded = {child: by_child[child] for child, _ in living}
    if is_recording and recorded:
        record_adopted(store, receiver, recorded)
    return {
        row.id: by_child[child]._replace(is_adopted=row.is_deleted)
        for row, child in unknown
        if child in recorded or (row.id in adopted and adopted[row.id].child == child)
    }


def known_of(store: StagingTable, receiver: str, row: StagedRow, child: str) -> Baseline:
    """Return the baseline of a row's child: as it is recorded, or as a run would adopt it. Errors: DatabaseError."""
    recorded = Baselines(store, receiver).read([child]).get(child)
    if recorded is not None:
        return recorded
    return adopt(store, receiver, [(row, child)], is_recording=False).get(row.id, Baseline())


def _was_sent_elsewhere(store: StagingTable, receiver: str) -> bool:
    """Return whether another receiver accepted records of the table first, rehearsals aside. Errors: DatabaseError."""
    if not store.has_journal():
        return False
    # A journal of which a column is missing never stops a run.
    found = unless_refused(lambda: store.query("read_receivers", [store.spellings(store.tables.staging)]))
    names = [str(name).strip() for (name,) in found or ()]
    return next((name for name in names if not _is_rehearsal(name, receiver)), receiver) != receiver


def _is_rehearsal(other: str, receiver: str) -> bool:
    """Return whether a run to `other` says nothing of where another tool sent the table that goes to `receiver` now."""
    return is_test_endpoint(other) or (is_loopback(other) and not is_loopback(receiver))


def known_otherwise(store: StagingTable, receiver: str, children: Sequence[str]) -> set[str]:
    """Return of which of these children more is known than their rows say. Errors: DatabaseError.

    Another receiver is recorded to hold them, or may hold them; or the submission log has an acceptance, perhaps of
    another person, or under another `person_id`.
    """
    asked = sorted({child for child in children if child})
    elsewhere, _ = store.readable_by_values("read_known_elsewhere", asked, [receiver], times=2)
    logged, _ = store.readable_by_values("read_senders", asked)
    return {str(row[0]) for row in (*elsewhere, *logged)}


def sent_payloads(store: StagingTable, rows: Sequence[StagedRow], *, has_log: bool) -> dict[int, str]:
    """Return the previous payloads of rows that are or were sent, by row id.

    If there is a submission log, people with an acceptance in it are left out: their baselines are recorded. A row
    without a `person_id` is never left out: it stands for itself, and what is logged without one is of other rows too.
    """
    sent = [row for row in rows if was_sent(row) and row.has_previous]
    if has_log and sent:
        lines = store.by_values("read_accepted_before", [row.person_id for row in sent if row.person_id.strip()])
        accepted = {str(line[0]) for line in lines}
        sent = [row for row in sent if row.person_id not in accepted]
    return store.previous_payloads([row.id for row in sent])


def adopted_baselines(store: StagingTable, rows: Sequence[StagedRow]) -> dict[int, Adopted]:
    """Return, by row id, what the receiver holds of children without a row in the control tables."""
    # A row itself may say what was sent, or an older one of its person.
    rows = [row for row in rows if row.has_previous or row.supersedes or row.sent_before is not None]
    if not rows:
        return {}
    silent = [row for row in rows if not (row.has_previous and was_sent(row))]
    older = store.read_rows([row_id for row in silent for row_id in _older(row)])
    sent = sent_payloads(store, [*rows, *older], has_log=True)
    answers = {row.id: row.api_response for row in (*rows, *older)}
    adopted = {}
    for row in rows:
        # The newest row of several may be new, and an older one say what was sent of the child.
        says = next((row_id for row_id in (row.id, *_older(row)) if row_id in sent), None)
        if says is not None:
            adopted[row.id] = Adopted(child_of(sent[says]) or "", Baseline(sent[says], last_receipt(answers[says])))
    return adopted


def _older(row: StagedRow) -> list[int]:
    """Return the person's older rows that may say what was sent, the newest first."""
    sent = () if row.sent_before is None else (row.sent_before,)
    return sorted((*row.supersedes, *sent), reverse=True)


def record_adopted(store: StagingTable, receiver: str, adopted: Mapping[str, Baseline]) -> None:
    """Record adopted baselines, by `la_child_id`, before an answer of this run overwrites the row's receipt.

    What is recorded already stays. Errors: DatabaseError.
    """
    baselines = Baselines(store, receiver)
    # When another tool's record was accepted is not known: the row's time can be that of its insertion.
    rows = [(child, one.held, sha256_hex(one.held or ""), one.receipt, None) for child, one in adopted.items()]
    try:
        with store.connection.transaction():
            baselines.insert(rows)
    except KeyTaken:
        # By another shard, for its row of a child; or by an earlier try of this whose answer was lost.
        recorded = baselines.receipts(list(adopted))
        with store.connection.transaction():
            baselines.insert([row for row in rows if row[0] not in recorded])
