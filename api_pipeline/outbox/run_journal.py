"""The run journal: one row in the table of runs for each run, opened at its start and closed with its counts."""

from __future__ import annotations

import logging
import re

from api_pipeline.db import DatabaseBusy
from api_pipeline.db.journal_entry import write_entry
from api_pipeline.errors import AlreadyRunning
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.run_summary import LABELS, NOT_TAKEN, RunSummary

_LOG = logging.getLogger(__name__)


class RunJournal:
    """The journal entry of one run, if the table of runs is there. An error in it never stops the run.

    `shard` is I/N for run I of N, "" for the whole table.
    """

    def __init__(self, store: StagingTable, summary: RunSummary, shard: str) -> None:
        self._store = store
        self._summary = summary
        self._shard = shard
        self._is_kept = store.has_journal()
        self._was_busy = False

    def begin(self) -> None:
        """Open the entry, and say so in the log."""
        summary, shard = self._summary, self._shard
        _LOG.info(
            "%s mode, %s, table %s%s",
            "testing" if summary.is_testing else "live",
            "deltas" if summary.is_deltas else "full payloads",
            summary.table,
            f", shard {shard}" if shard else "",
        )
        self._write(
            "insert_run",
            summary.run_id,
            summary.table,
            summary.receiver,
            "testing" if summary.is_testing else "live",
            "deltas" if summary.is_deltas else "full",
            shard or None,
            summary.started_at,
        )

    def finish(self, exit_code: int | None = None) -> None:
        """Close the entry with the counts, and the run's exit code unless another is given."""
        summary = self._summary
        code = summary.exit_code if exit_code is None else exit_code
        _log_end(summary, code)
        message = " ".join([*map(str, summary.errors), *(f"{one}." for one in summary.remarks_on(NOT_TAKEN))]) or None
        self._write(
            "finish_run",
            summary.finished_at,
            summary.due,
            summary.accepted,
            summary.rejected + summary.refused,
            summary.undelivered,
            summary.deleted,
            summary.unchanged,
            summary.not_tried,
            code,
            message,
            summary.run_id,
        )

    def _write(self, statement: str, *parameters: object) -> None:
        if not self._is_kept:
            return
        connection = self._store.connection

        def write() -> None:
            with connection.transaction():
                self._store.execute(statement, parameters)

        is_end = statement == "finish_run"
        was_busy = self._was_busy or any(isinstance(error, DatabaseBusy) for error in self._summary.errors)
        error = write_entry(connection, write, is_end=is_end, was_busy=is_end and was_busy)
        self._was_busy = isinstance(error, DatabaseBusy)


def unfinished_shards(store: StagingTable) -> list[tuple[int, int]]:
    """Return the shards (I, N) whose runs have not closed their entries: they are at work, or were killed."""
    if not store.has_journal():
        return []
    shards = store.query("read_unfinished_shards")
    found = (re.fullmatch(r"(\d+)/(\d+)", str(row[0]).strip()) for row in shards)
    return [(int(match[1]), int(match[2])) for match in found if match]


def _log_end(summary: RunSummary, code: int) -> None:
    # The command prints the summary and the errors itself, so the console need not have them twice.
    level = logging.INFO if code in (0, AlreadyRunning.exit_code) else logging.ERROR
    printed = {"is_printed": True}
    counts = ", ".join(f"{getattr(summary, name)} {label.strip()}" for name, label in LABELS.items())
    _LOG.log(level, "run ends after %.1f s with exit code %d: %s", summary.seconds, code, counts, extra=printed)
    for remark in summary.remarks:
        _LOG.info("of this run: %s", remark)
    for error in summary.errors:
        _LOG.log(level, "what ended the run: %s", error, extra=printed)
