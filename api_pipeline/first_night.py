"""What a table of today's tool says was sent, taken over into the table of what the receiver holds (contract 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from api_pipeline.db import KeyTaken
from api_pipeline.payload import PayloadFault, parse_payload, sha256_hex
from api_pipeline.records import Holding, StagedRow
from api_pipeline.store import Store, last_receipt, utc_now, was_sent


def concluded_holdings(store: Store, rows: Sequence[StagedRow]) -> dict[int, Holding]:
    """Gives, by row id, what the receiver holds of children of whom the companion tables know nothing.

    It is the previous payload of a row that is or was sent, if nothing of its person was accepted since those tables
    were made.
    """
    sent = {row.id: row for row in rows if was_sent(row)}
    if not sent:
        return {}
    known = store.accepted_before([row.person_id for row in sent.values()])
    previous = store.previous_payloads([row.id for row in sent.values() if row.person_id not in known])
    return {
        row_id: Holding(held=text, receipt=last_receipt(sent[row_id]), is_recorded=False)
        for row_id, text in previous.items()
    }


def child_held(holding: Holding) -> str:
    """Gives the `la_child_id` of what is held, "" where nothing is held or it has none."""
    if holding.held is None:
        return ""
    try:
        return parse_payload(holding.held).la_child_id
    except PayloadFault:
        return ""


def take_over(store: Store, receiver: str, concluded: Mapping[str, Holding]) -> None:
    """Records what was concluded, by `la_child_id`, before an answer of this run overwrites the row's receipt.

    What is recorded already stays. Errors: DatabaseError.
    """
    try:
        _insert(store, receiver, concluded)
    except KeyTaken:
        # By another shard, for its row of a child; or by an earlier try of this whose answer was lost.
        recorded = store.holdings(receiver, list(concluded))
        missing = {
            child: held for child, held in concluded.items() if child not in recorded or not recorded[child].held
        }
        _insert(store, receiver, missing)


def _insert(store: Store, receiver: str, concluded: Mapping[str, Holding]) -> None:
    now = utc_now()
    rows = [(child, one.held, sha256_hex(one.held or ""), one.receipt, now) for child, one in concluded.items()]
    with store.connection.transaction():
        store.write_rows("insert_held", (str, str, str, str, datetime), rows, (receiver,))
