"""What one write-back did, and the exit code that follows (contract 5)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from api_pipeline.errors import PipelineError, first_exit_code
from api_pipeline.xporter.wire.access import Outcome
from api_pipeline.xporter.write_back.rows import OutboxRow, Status

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class WriteBackSummary:
    """Counts of rows by what became of them; `lines` are sentences for the operator and hold no value of a row."""

    schools: int = 0
    requests: int = 0
    became: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    outcomes: dict[str, str] = field(default_factory=dict)
    unclear: int = 0
    lines: list[str] = field(default_factory=list)
    errors: list[PipelineError] = field(default_factory=list)

    def say(self, estab: str, text: str) -> None:
        """Write a sentence about a school for the operator, here and into the log."""
        self.lines.append(f"School {estab}: {text}")
        _LOG.warning("school %s: %s", estab, text)

    def count_open(self, rows: Iterable[OutboxRow]) -> None:
        """Count rows that were sent and are not done."""
        for row in rows:
            self.waiting += row.status is Status.PENDING
            self.unclear += row.status is Status.UNKNOWN
            self.became["submitted"] += row.status is Status.SUBMITTED

    @property
    def told(self) -> dict[str, int]:
        """Return the counts that may leave the council: numbers alone."""
        became = {word: self.became[word] for word in ("confirmed", "submitted", "refused", "error")}
        rest = {"unclear": self.unclear, "waiting": self.waiting, "requests": self.requests}
        return {"schools": self.schools, **became, **rest}

    @property
    def exit_code(self) -> int:
        """Return the code of contract 5."""
        codes = {error.exit_code for error in self.errors}
        words = list(self.outcomes.values())
        if self.schools and words.count(Outcome.REFUSED) == self.schools:
            codes.add(4)
        if Outcome.UNAVAILABLE in words or Outcome.NOT_READY in words or self.unclear:
            codes.add(5)
        if self.became["refused"] or self.became["error"] or any(word != Outcome.PAUSED for word in words):
            codes.add(1)
        return first_exit_code(codes)
