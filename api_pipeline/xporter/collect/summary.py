"""What a collection did: counts, what became of each school, and the exit code that follows (contract 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from api_pipeline.errors import PipelineError, first_exit_code
from api_pipeline.xporter.collect.desk import Problem
from api_pipeline.xporter.landing import Counts
from api_pipeline.xporter.wire.access import Outcome

SHRANK = "shrank"
SKIPPED = "skipped"
_NEWS = {Outcome.REFUSED, Outcome.NO_SCOPE, Outcome.NOT_FOUND, Outcome.ERROR, SHRANK, SKIPPED}


@dataclass(slots=True)
class CollectSummary:
    """What a collection did so far. `lines` are sentences for the operator: proofs of removal, new withdrawals.

    `refused` are the schools whose secret is refused, `odd` others that somebody should look at.
    """

    run_id: str
    started_at: datetime
    finished_at: datetime | None = None
    schools: int = 0
    rounds: int = 0
    counts: Counts = field(default_factory=Counts)
    dropped: int = 0
    verified: int = 0
    requests: int = 0
    received_bytes: int = 0
    problems: list[Problem] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    odd: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    errors: list[PipelineError] = field(default_factory=list)

    @property
    def told(self) -> dict[str, int]:
        """Return the counts that may leave the council: numbers alone."""
        return {
            "schools": self.schools,
            "rounds": self.rounds,
            "added": self.counts.added,
            "changed": self.counts.changed,
            "deleted": self.counts.deleted,
            "unchanged": self.counts.unchanged,
            "left_out": self.dropped,
            "problems": len(self.problems),
            "requests": self.requests,
        }

    @property
    def exit_code(self) -> int:
        """Return the code of contract 5."""
        codes = {error.exit_code for error in self.errors}
        if self.schools and len(self.refused) == self.schools:
            codes.add(4)
        outcomes = {problem.outcome for problem in self.problems}
        if outcomes & {Outcome.UNAVAILABLE, Outcome.NOT_READY}:
            codes.add(5)
        has_news = any(problem.is_news and problem.outcome in _NEWS for problem in self.problems)
        if has_news or self.refused or self.odd:
            codes.add(1)
        return first_exit_code(codes)
