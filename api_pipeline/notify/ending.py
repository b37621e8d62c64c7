"""How a run ended, as notifications say it: never a child, and never a reason in the words of receiver or table."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from api_pipeline._version import __version__
from api_pipeline.notify.job import RUN, Job
from api_pipeline.run_summary import LABELS, RunSummary

# Another run at work is not a failure of this one (contract 5).
_NO_FAILURE = (0, 75)


class Ending(NamedTuple):
    """The end of a run of `job`, which worked on `table`. Times are UTC without a zone.

    `counts` is empty where the run could not begin. `is_recovery` says that the run before this one failed and this
    one did not. `is_test` marks an invented ending. `shard` is I/N for run I of N, "" for the whole table.
    """

    run_id: str
    table: str
    mode: str
    exit_code: int
    started_at: datetime
    finished_at: datetime
    counts: Mapping[str, int] = MappingProxyType({})
    is_recovery: bool = False
    is_test: bool = False
    job: Job = RUN
    shard: str = ""

    @property
    def is_failure(self) -> bool:
        """Return whether somebody has to look at the run."""
        return self.exit_code not in _NO_FAILURE

    @property
    def event(self) -> str:
        """Return test, failure, recovery, success, or skipped where another run was at work."""
        if self.is_test:
            return "test"
        if self.is_failure:
            return "failure"
        if self.exit_code:
            return "skipped"
        return "recovery" if self.is_recovery else "success"

    @property
    def seconds(self) -> float:
        """Return how long the run took."""
        return max(0.0, (self.finished_at - self.started_at).total_seconds())

    @property
    def headline(self) -> str:
        """Return the ending in one line."""
        if self.is_test:
            return "csc-api: this is a test of the notifications"
        if self.is_failure:
            return f"csc-api: {self.job.words} failed with exit code {self.exit_code}"
        if self.is_recovery:
            return f"csc-api: {self.job.words} went well again"
        return f"csc-api: {self.job.words} ended with exit code {self.exit_code}"

    @property
    def meaning(self) -> str:
        """Return what the exit code means, in general words."""
        return self.job.meaning(self.exit_code)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return what a notification says, by name, in the order in which it is shown."""
        return [
            ("Exit code", f"{self.exit_code}: {self.meaning}"),
            ("Machine", platform.node()),
            (self.job.place, f"{self.table} ({self.mode}{f', shard {self.shard}' if self.shard else ''})"),
            ("Began", f"{self.started_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("Took", f"{self.seconds:.0f} s"),
            *((self.job.labels[name], str(count)) for name, count in self.counts.items()),
            ("Run", self.run_id),
            ("More", self.job.advice),
        ]

    @property
    def document(self) -> dict[str, object]:
        """Return the ending as a JSON document, as `data/schemas/notification.schema.json` describes it."""
        return {
            "program": "d2i-csc-api",
            "command": self.job.name,
            "version": __version__,
            "event": self.event,
            "text": f"{self.headline}: {self.meaning}",
            "machine": platform.node(),
            "run_id": self.run_id,
            "table": self.table,
            "mode": self.mode,
            "shard": self.shard or None,
            "exit_code": self.exit_code,
            "started_at": f"{self.started_at.isoformat(timespec='seconds')}Z",
            "finished_at": f"{self.finished_at.isoformat(timespec='seconds')}Z",
            "seconds": round(self.seconds, 3),
            "counts": dict(self.counts),
        }


def counts_of(summary: RunSummary) -> dict[str, int]:
    """Return the counts that notifications contain, by name."""
    return {name: int(getattr(summary, name)) for name in LABELS}
