"""Receipts that could not be written to the database, kept in a file until the next run writes them (contract 3).

The file holds ids, hashes and receipts only, one JSON object a line; no payload, no name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from api_pipeline.errors import DatabaseError
from api_pipeline.model import Accepted, Outcome, Receipt, Record, RecordKind, StagedRow
from api_pipeline.payload import sha256_hex


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


class ReceiptSpool:
    """The spool file in `folder` of one staging table of one database, or of one shard (I, N) of it.

    `database` names the server and the database, so that two of them with a table of one name have a file each.
    """

    def __init__(self, folder: Path, table: str, database: str = "", shard: tuple[int, int] | None = None) -> None:
        name = re.sub(r"[^A-Za-z0-9_.-]", "", table)
        self._stem = f"unwritten-receipts-{name}-{hashlib.sha256(database.encode()).hexdigest()[:8]}"
        self._whole = folder / f"{self._stem}.jsonl"
        self._is_whole = shard is None
        self.path = folder / f"{self._stem}.shard-{shard[0]}-of-{shard[1]}.jsonl" if shard else self._whole

    def add(self, run_id: str, receiver: str, batch: int, outcomes: Iterable[Outcome]) -> int:
        """Save the accepted records among `outcomes` and return their number. Errors: DatabaseError (disk)."""
        receipts = [
            _spooled(run_id, receiver, batch, outcome)
            for outcome in outcomes
            if isinstance(outcome, Accepted) and outcome.record.is_last
        ]
        if not receipts:
            return 0
        try:
            self._append(_text(receipts))
        except OSError as error:
            raise DatabaseError(
                f"{len(receipts)} receipts could be written neither to the database nor to {self.path} "
                f"({type(error).__name__}); their rows stay due and will be sent again."
            ) from None
        return len(receipts)

    def read(self) -> list[SpooledReceipt]:
        """Return the saved receipts; a last line cut short by a power cut is passed over.

        What runs on the whole table left is taken over by the first shard that asks, and what shards left by a run on
        the whole table: beside that one no other can be at work. Errors: DatabaseError (disk).
        """
        try:
            for path in self._left_by_others():
                self._take_over(path)
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DatabaseError(
                f"The receipts that an earlier run saved in {self.path} cannot be read ({type(error).__name__}); let "
                "this account read and write there, or remove the file, and its rows are sent again."
            ) from None
        return [receipt for line in text.splitlines() if (receipt := _parse(line)) is not None]

    def keep(self, receipts: Sequence[SpooledReceipt]) -> None:
        """Leave only these receipts in the file; none, and the file is removed. Errors: OSError."""
        if not receipts:
            self.path.unlink(missing_ok=True)
            return
        newer = self.path.with_suffix(".new")
        newer.write_text(_text(receipts), encoding="utf-8")
        newer.replace(self.path)

    def _left_by_others(self) -> list[Path]:
        folder = self.path.parent
        taken = list(folder.glob(f"{self.path.name}.taken"))
        if self._is_whole:
            return taken + sorted(folder.glob(f"{self._stem}.shard-*.jsonl"))
        return taken + [path for path in (self._whole,) if path.exists()]

    def _take_over(self, path: Path) -> None:
        """Move another's receipts into this file; of two shards that try at once one finds nothing there."""
        taken = self.path.with_name(f"{self.path.name}.taken")
        if path != taken:
            try:
                path.replace(taken)
            except FileNotFoundError:
                return
        self._append(taken.read_text(encoding="utf-8", errors="replace"))
        taken.unlink()

    def _append(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            if not self._ends_with_a_line():
                # What a power cut has left unfinished must not swallow the next line.
                file.write(b"\n")
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())

    def _ends_with_a_line(self) -> bool:
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"


def recovered(receipt: SpooledReceipt, row: StagedRow, held: str | None) -> Accepted | None:
    """Return the outcome of a saved receipt for its row as it stands now, None where the row has changed since.

    `held` is what the receiver holds after an accepted record of this row's payload.
    """
    if sha256_hex(row.json_payload) != receipt.payload_hash or (receipt.kind == RecordKind.DELETION) != row.is_deleted:
        return None
    record = Record(
        row=row,
        la_child_id=receipt.la_child_id,
        kind=RecordKind(receipt.kind),
        body=b"",
        held_after=None if receipt.kind == RecordKind.DELETION else held,
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


def _text(receipts: Iterable[SpooledReceipt]) -> str:
    return "".join(f"{json.dumps(asdict(receipt))}\n" for receipt in receipts)


def _parse(line: str) -> SpooledReceipt | None:
    try:
        return SpooledReceipt(**json.loads(line))
    except (ValueError, TypeError):
        return None


def by_row(receipts: Iterable[SpooledReceipt]) -> dict[int, SpooledReceipt]:
    """Return the last saved receipt of each row."""
    return {receipt.row_id: receipt for receipt in receipts}
