"""Receipts that could not be written to the database, kept in a file until the next run writes them (contract 3).

The file holds ids, hashes and receipts only, one JSON object a line; no payload, no name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from api_pipeline.errors import DatabaseError
from api_pipeline.records import Accepted, Kind, Outcome, Receipt, Record, StagedRow
from api_pipeline.write_back import sha256_hex


@dataclass(frozen=True, slots=True)
class SpooledReceipt:
    """One acceptance that is not in the database yet. Hashes are SHA-256 in hex; times are ISO 8601."""

    run_id: str
    batch: int
    receiver: str
    row_id: int
    person_id: str
    la_child_id: str
    kind: str
    payload_hash: str
    sent_hash: str
    http_code: int
    receipt: str
    received_at: str | None


class Spool:
    """The spool file of one staging table in `folder`."""

    def __init__(self, folder: Path, table: str) -> None:
        self.path = folder / f"unwritten-receipts-{re.sub(r'[^A-Za-z0-9_.-]', '', table)}.jsonl"

    def add(self, run_id: str, receiver: str, batch: int, outcomes: Iterable[Outcome]) -> int:
        """Saves the accepted records among `outcomes` and gives their number. Errors: DatabaseError (disk)."""
        lines = [
            json.dumps(asdict(_spooled(run_id, receiver, batch, outcome)))
            for outcome in outcomes
            if isinstance(outcome, Accepted) and outcome.record.is_last
        ]
        if not lines:
            return 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DatabaseError(
                f"{len(lines)} receipts could be written neither to the database nor to {self.path} "
                f"({type(error).__name__}); their rows stay due and will be sent again."
            ) from None
        return len(lines)

    def read(self) -> list[SpooledReceipt]:
        """Gives the saved receipts; a last line cut short by a power cut is passed over."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [receipt for line in lines if (receipt := _parse(line)) is not None]

    def clear(self) -> None:
        """Removes the file, once its receipts are in the database."""
        self.path.unlink(missing_ok=True)


def recovered(receipt: SpooledReceipt, row: StagedRow, held: str | None) -> Accepted | None:
    """Gives the outcome of a saved receipt for its row as it stands now, None where the row has changed since.

    `held` is what the receiver holds after an accepted record of this row's payload.
    """
    if sha256_hex(row.json_payload) != receipt.payload_hash or (receipt.kind == Kind.DELETION) != row.is_deleted:
        return None
    record = Record(
        row=row,
        la_child_id=receipt.la_child_id,
        kind=Kind(receipt.kind),
        body=b"",
        held_after=None if receipt.kind == Kind.DELETION else held,
        known_hash=receipt.sent_hash,
    )
    at = datetime.fromisoformat(receipt.received_at) if receipt.received_at else None
    return Accepted(record, Receipt(receipt.receipt, at), receipt.http_code)


def _spooled(run_id: str, receiver: str, batch: int, outcome: Accepted) -> SpooledReceipt:
    record = outcome.record
    at = outcome.receipt.received_at
    return SpooledReceipt(
        run_id=run_id,
        batch=batch,
        receiver=receiver,
        row_id=record.row.id,
        person_id=record.row.person_id,
        la_child_id=record.la_child_id,
        kind=record.kind.value,
        payload_hash=sha256_hex(record.row.json_payload),
        sent_hash=record.sent_hash,
        http_code=outcome.http_code,
        receipt=outcome.receipt.id,
        received_at=at.isoformat() if at else None,
    )


def _parse(line: str) -> SpooledReceipt | None:
    try:
        return SpooledReceipt(**json.loads(line))
    except (ValueError, TypeError):
        return None


def by_row(receipts: Sequence[SpooledReceipt]) -> dict[int, SpooledReceipt]:
    """Gives the last saved receipt of each row."""
    return {receipt.row_id: receipt for receipt in receipts}
