"""What a staging wrote, compared with what the table says at its end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from api_pipeline.errors import DatabaseError
from api_pipeline.staging.changes import Change, Delete, Insert, Rehash, is_hash
from api_pipeline.staging.writer import Head


@dataclass(slots=True)
class Stored:
    """The versions that were written: by person for new rows, by id for rows that were there.

    `rows` has the hash that a row must have, None where it was not written, and whether the row must be deleted.
    """

    new: dict[str, bytes] = field(default_factory=dict)
    rows: dict[int, tuple[bytes | None, bool | None]] = field(default_factory=dict)

    def add(self, changes: Iterable[Change]) -> None:
        """Add the changes of a chunk that was committed."""
        for change in changes:
            match change:
                case Insert(person_id=person, version=version):
                    self.new[person] = version.hash
                case Delete(row_id=row):
                    self.rows[row] = (None, True)
                case Rehash(row_id=row, hash=digest):
                    self.rows[row] = (digest, None)
                case _:
                    self.rows[change.row_id] = (change.version.hash, False)

    def check(self, table: str, heads: Mapping[str, Sequence[Head]]) -> None:
        """Compare with the rows that the table has now. Errors: DatabaseError, saying how many are not as written."""
        by_id = {head.id: head for found in heads.values() for head in found}
        missing = sum(
            not any(is_hash(head.hash, digest) for head in heads.get(person, ())) for person, digest in self.new.items()
        )
        missing += sum(not _is_as_written(by_id.get(row), *meant) for row, meant in self.rows.items())
        if missing:
            raise DatabaseError(
                f"{missing} of {len(self.new) + len(self.rows)} rows that were staged are not in {table} as they "
                "were written: a trigger, a view or another program changed them, or the database undid what it had "
                "confirmed. Ask the database administrator, then stage again, which completes the work."
            )


def _is_as_written(head: Head | None, digest: bytes | None, is_deleted: bool | None) -> bool:
    return (
        head is not None
        and (digest is None or is_hash(head.hash, digest))
        and (is_deleted is None or head.is_deleted == is_deleted)
    )
