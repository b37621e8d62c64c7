"""What a run did, in numbers, and the exit code that follows from them (contract 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from api_pipeline.errors import PipelineError

# Of several the first that applies.
_ORDER = (130, 75, 2, 3, 4, 5, 1, 0)


@dataclass(slots=True)
class RunSummary:
    """The counts of one run, kept up to date while it lasts.

    Every due row ends in one of: `accepted` (of which `deleted` were deletions), `unchanged` (nothing to send),
    `rejected` (not sent, its own fault), `refused`, `undelivered`, or `not_tried`. `requests` counts POSTs. Times are
    UTC without a zone. `was_limited` says that more rows are due than the run was allowed to take,
    `is_table_empty` that the staging table has no row at all.
    """

    run_id: str
    table: str
    receiver: str
    is_testing: bool
    is_deltas: bool
    started_at: datetime
    finished_at: datetime | None = None
    due: int = 0
    accepted: int = 0
    deleted: int = 0
    unchanged: int = 0
    rejected: int = 0
    refused: int = 0
    undelivered: int = 0
    purges: int = 0
    requests: int = 0
    nulls_removed: int = 0
    warnings: int = 0
    receipts_spooled: int = 0
    receipts_recovered: int = 0
    was_stopped: bool = False
    was_limited: bool = False
    is_table_empty: bool = False
    errors: list[PipelineError] = field(default_factory=list)

    @property
    def decided(self) -> int:
        """How many due rows have their outcome."""
        return self.accepted + self.unchanged + self.rejected + self.refused + self.undelivered

    @property
    def not_tried(self) -> int:
        """How many due rows were left as they were."""
        return max(0, self.due - self.decided)

    @property
    def in_error(self) -> int:
        """How many rows this run marked `error`."""
        return self.rejected + self.refused + self.undelivered

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return ((self.finished_at or self.started_at) - self.started_at).total_seconds()

    @property
    def exit_code(self) -> int:
        """The exit code of contract 5."""
        codes = {error.exit_code for error in self.errors}
        if self.was_stopped:
            codes.add(130)
        if self.undelivered:
            codes.add(5)
        if self.in_error:
            codes.add(1)
        return next(code for code in _ORDER if code in codes or code == 0)
