"""The options of a submission, and its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from api_pipeline.errors import PipelineError
from api_pipeline.sdr.nouns import Collection


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a submission. `limit` is the most records to upload, None for all.

    `max_deleted_share` is the share of what TEC holds that may be deleted in one run. `withheld` are the records that
    the checks keep back, by collection and localId. `word` is written to accepted rows: sent, testing.
    """

    collections: Sequence[Collection] = tuple(Collection)
    limit: int | None = None
    allow_deletes: bool = False
    max_deleted_share: float = 0.1
    withheld: frozenset[tuple[Collection, str]] = frozenset()
    word: str = "sent"

    @property
    def takes_all(self) -> bool:
        """Return whether nothing of the staging table is left out by choice."""
        return self.limit is None and len(self.collections) == len(Collection)


@dataclass(slots=True)
class Counts:
    """What became of the records of one collection."""

    accepted: int = 0
    deleted: int = 0
    refused: int = 0
    withheld: int = 0
    kept: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class Summary:
    """What a submission did. `kept` counts the deletes that TEC refused, `error` is what ended the run early.

    `misplaced` counts staged records that are in no collection, `undelivered` the records of the request that ended the
    run without an outcome.
    """

    run_id: str
    collections: dict[Collection, Counts] = field(default_factory=lambda: {one: Counts() for one in Collection})
    requests: int = 0
    misplaced: int = 0
    undelivered: int = 0
    stopped_at_limit: bool = False
    error: PipelineError | None = None

    def total(self, name: str) -> int:
        """Return the sum of a count over all collections."""
        return sum(getattr(counts, name) for counts in self.collections.values())

    @property
    def counts(self) -> tuple[int, ...]:
        """Return accepted, deleted, refused, undelivered and unchanged records, and requests: the journal's columns."""
        refused = self.total("refused") + self.total("withheld") + self.total("kept")
        accepted, deleted, unchanged = (self.total(name) for name in ("accepted", "deleted", "unchanged"))
        return accepted, deleted, refused, self.undelivered, unchanged, self.requests

    @property
    def exit_code(self) -> int:
        """Return the exit code: that of the error, else 1 where a record was refused, else 0."""
        if self.error is not None:
            return self.error.exit_code
        return 1 if self.misplaced + self.total("refused") + self.total("withheld") + self.total("kept") else 0


class NothingTaken(PipelineError):
    """TEC refuses every record alike, so that the records are not the cause."""

    exit_code = 1


class TooManyDeletes(PipelineError):
    """More records have vanished from the staging table than one run may delete."""

    exit_code = 1
