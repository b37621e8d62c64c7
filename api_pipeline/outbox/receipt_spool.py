"""Receipts that could not be written to the database, kept in a file until the next run writes them (contract 3).

The file holds ids, hashes and receipts only, one JSON object a line; no payload, no name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from api_pipeline.common.private_files import (
    NotOwnFileError,
    make_private_folder,
    own_opener,
    remove_file,
    replace_file,
    when_not_in_use,
)
from api_pipeline.errors import DatabaseError, reason_of
from api_pipeline.model import Accepted, Outcome, RecordKind
from api_pipeline.payloads.reading import sha256_hex
from api_pipeline.run_summary import counted

_LOG = logging.getLogger(__name__)
_LONGEST_MEMBER = 1000
_HASH = re.compile(r"[0-9a-f]{64}")


class SpooledReceipt(NamedTuple):
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
        receipts = [_spooled(run_id, receiver, batch, outcome) for outcome in outcomes if isinstance(outcome, Accepted)]
        if not receipts:
            return 0
        try:
            self._append(_text(receipts))
        except OSError as error:
            raise DatabaseError(
                f"{counted(len(receipts), '{receipt|receipts}')} could be written neither to the database nor to "
                f"{self.path} ({reason_of(error)}); the rows stay due and will be sent again."
            ) from None
        return len(receipts)

    def read(self) -> list[SpooledReceipt]:
        """Return the saved receipts; a last line cut short by a power cut is passed over.

        Receipts that a run on the whole table left go to the first shard that reads, and receipts that shards left go
        to a run on the whole table, beside which no shard can be at work. Errors: DatabaseError (disk).
        """
        try:
            for path in self._left_by_others():
                self._move_here(path)
            text = self._read(self.path)
        except OSError as error:
            raise DatabaseError(
                f"The receipts that an earlier run saved in {self.path} cannot be read ({reason_of(error)}); let "
                "this account read and write there, or remove the file, and its rows are sent again."
            ) from None
        *whole, last = text.split("\n")
        bad = [line for line in whole if line.strip() and parsed(line) is None]
        if bad:
            self._set_lines_aside(bad)
        # A last line without its end was cut short by a power cut.
        return [receipt for line in (*whole, last) if (receipt := parsed(line)) is not None]

    def keep(self, receipts: Sequence[SpooledReceipt]) -> None:
        """Leave only these receipts in the file; none, and the file is removed. Errors: OSError."""
        if receipts:
            replace_file(self.path, _text(receipts))
        else:
            remove_file(self.path)

    def _read(self, path: Path) -> str:
        """Return the text of a spool file, "" where there is none; what is not this account's own is set aside."""
        try:
            with open(path, "rb", opener=own_opener) as file:
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            if not isinstance(error, NotOwnFileError) and not path.is_symlink():
                raise
            aside = self._name_aside()
            path.rename(aside)
            _LOG.warning("%s is not a file of this account, so its receipts are not used; it is now %s", path, aside)
            return ""

    def _set_lines_aside(self, lines: Sequence[str]) -> None:
        aside = self._name_aside()
        with open(aside, "x", encoding="utf-8", newline="\n", opener=own_opener) as file:
            file.write("".join(f"{line}\n" for line in lines))
        bad = counted(len(lines), "{line|lines}")
        _LOG.warning("the program moved %s without a receipt from %s to %s", bad, self.path, aside)

    def _name_aside(self) -> Path:
        return self.path.with_name(f"set-aside-{secrets.token_hex(8)}-{self.path.name}")

    def _left_by_others(self) -> list[Path]:
        folder = self.path.parent
        taken = list(folder.glob(f"{self.path.name}.taken"))
        if self._is_whole:
            return taken + sorted(folder.glob(f"{self._stem}.shard-*.jsonl"))
        return taken + [path for path in (self._whole,) if path.exists()]

    def _move_here(self, path: Path) -> None:
        """Move another's receipts into this file; of two shards that try at once one finds nothing there."""
        taken = self.path.with_name(f"{self.path.name}.taken")
        if path != taken:
            try:
                when_not_in_use(lambda: path.replace(taken))
            except FileNotFoundError:
                return
        self._append(self._read(taken))
        remove_file(taken)

    def _append(self, text: str) -> None:
        if not text:
            return
        make_private_folder(self.path.parent)
        with when_not_in_use(lambda: open(self.path, "a+b", opener=own_opener)) as file:
            if os.name == "posix":
                os.fchmod(file.fileno(), 0o600)
            if not _ends_with_a_line(file):
                # What a power cut has left unfinished must not swallow the next line.
                file.write(b"\n")
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def _ends_with_a_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read() == b"\n"


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
    return "".join(f"{json.dumps(receipt._asdict())}\n" for receipt in receipts)


def parsed(line: str) -> SpooledReceipt | None:
    """Return the receipt of a line, each of whose members has the form that this program writes; None for any other."""
    try:
        receipt = SpooledReceipt(**json.loads(line))
        if any(not _is_well_formed(receipt, name) for name in SpooledReceipt._fields):
            return None
        RecordKind(receipt.kind)
        if receipt.received_at is not None:
            datetime.fromisoformat(receipt.received_at)
    except (ValueError, TypeError, RecursionError):
        return None
    return receipt


def _is_well_formed(receipt: SpooledReceipt, name: str) -> bool:
    value = getattr(receipt, name)
    if name in ("batch", "row_id", "http_code"):
        return type(value) is int and abs(value) < 2**63
    if name == "received_at" and value is None:
        return True
    if not isinstance(value, str) or len(value) > _LONGEST_MEMBER or not value.isprintable():
        return False
    return _HASH.fullmatch(value) is not None if name.endswith("_hash") else bool(value) or name == "person_id"
