"""Gather what one run did, from run journal, submission log and staging table, for its report page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from api_pipeline.api_response import read
from api_pipeline.common.clock import utc_now
from api_pipeline.db import Row, UnreadableText
from api_pipeline.errors import SettingsError
from api_pipeline.logs.masking import mask_values
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.status import Overview, PastRun, StateCount, overview, past_run
from api_pipeline.run_summary import RunSummary
from api_pipeline.sql.identifiers import is_same_table

RUNS_SHOWN = 30
PEOPLE_SHOWN = 40
_MOST_READ = 10_000
_NO_ANSWER = "(no answer stored)"
_POSITION = re.compile(r"\[\d+\]")


@dataclass(slots=True)
class RuleErrors:
    """One rule (values masked) and the people whose records break it.

    `in_error` counts rows of the table that are in error for it now, `in_run` the records of the run that were sent and
    came back with it. `people` holds person ids in the order in which they were read, each once.
    """

    rule: str
    in_error: int = 0
    in_run: int = 0
    people: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything that the page shows. `run` is None where no run is recorded; times are UTC without a zone.

    `runs` are the latest runs on the table, newest first. `rows_in_error` counts all rows in error; of them
    `errors_read` were read for the groups in `errors`, which are of the run as well, and in `in_error`.
    """

    table: str
    made_at: datetime
    run: PastRun | None
    receiver: str | None
    has_journal: bool
    has_log: bool
    counts: list[StateCount]
    errors: list[RuleErrors]
    in_error: list[RuleErrors]
    errors_read: int
    runs: list[PastRun]

    @property
    def is_testing(self) -> bool:
        """Return whether nothing left the machine."""
        return self.run is not None and self.run.mode == "testing"

    @property
    def rows_in_error(self) -> int:
        """Return how many rows of the table are in error now."""
        return sum(count.rows for count in self.counts if count.submission_status == "error")


def gather(
    store: StagingTable, table: str, *, run_id: str | None = None, summary: RunSummary | None = None
) -> RunReport:
    """Return the report of the run `run_id`, or of the last one on `table`; values are masked.

    Without `run_id`, a last run that found nothing due gives way to the one before it with something to show.
    `summary` is the run that has just ended: it is reported even where there is no journal to read it from.
    Errors: DatabaseError; SettingsError where `run_id` is not in the journal or was a run on another table.
    """
    now = overview(store, table, mask_values, runs=RUNS_SHOWN)
    has_journal, has_log = store.has_journal(), store.has_control_tables()
    entry = _journal_entry(store, now, run_id, table) if has_journal else None
    if entry is None and summary is not None:
        entry = _as_past_run(summary), summary.receiver
    if entry is None and run_id is not None:
        raise SettingsError(f"The journal has no run {run_id}; see the latest with: d2i-csc-api status")
    run, receiver = entry or (None, None)
    logged = rows(store, "logged_failures", [run.run_id]) if has_log and run else []
    failing = _failing(store)
    mask_once = _masking_with_payloads(store, failing)
    in_table = [row[:2] for row in failing]
    return RunReport(
        table=table,
        made_at=utc_now(),
        run=run,
        receiver=receiver,
        has_journal=has_journal,
        has_log=has_log,
        counts=now.counts,
        errors=group_by_rule(in_table, logged, mask_once),
        in_error=group_by_rule(in_table, [], mask_once),
        errors_read=len(failing),
        runs=now.runs,
    )


def _masking_with_payloads(store: StagingTable, failing: Iterable[Row]) -> Callable[[str], str]:
    """Return what masks an answer with the payload of the first row in error that has it.

    Each answer is masked once: many rows have the same.
    """
    first: dict[str, int] = {}
    for answer, _, row_id in failing:
        if answer and row_id is not None:
            first.setdefault(str(answer), int(row_id))
    payloads = store.payloads_of(list(first.values()))
    return cache(lambda text: mask_values(text, payloads.get(first[text]) if text in first else None))


def group_by_rule(failing: Iterable[Row], logged: Iterable[Row], mask: Callable[[str], str]) -> list[RuleErrors]:
    """Return errors by rule, the most frequent first, from (answer, person id) of rows in error and of logged failures.

    An answer that names several rules counts for each of them; positions in lists are taken out of a rule.
    """
    groups: dict[str, RuleErrors] = {}
    known: dict[str, list[str]] = {}
    for answers, is_logged in ((failing, False), (logged, True)):
        for answer, person in answers:
            text = str(answer or _NO_ANSWER)
            if text not in known:
                known[text] = rules_of(mask(text))
            for rule in known[text]:
                group = groups.setdefault(rule, RuleErrors(rule))
                group.in_run += is_logged
                group.in_error += not is_logged
                group.people[str(person or "(no person id)")] = None
    return sorted(groups.values(), key=lambda group: (-max(group.in_error, group.in_run), group.rule))


def _journal_entry(store: StagingTable, now: Overview, run_id: str | None, table: str) -> tuple[PastRun, str] | None:
    """Return a run and its receiver as the journal has them, None where it does not know the run."""
    wanted = run_id or _last_to_show(now.runs)
    found = rows(store, "read_run", [wanted]) if wanted else []
    if not found:
        return None
    *values, worked_on, receiver = found[0]
    if not is_same_table(str(worked_on), table, store.connection.dialect):
        raise SettingsError(f"Run {wanted} worked on the table {worked_on}; name that with --table {worked_on}")
    return past_run(store, tuple(values)), str(receiver)


def _last_to_show(runs: list[PastRun]) -> str | None:
    """Return the last run that did not find everything sent before, the last one where all of them did."""
    shown = next((run for run in runs if not has_nothing(run)), runs[0] if runs else None)
    return shown.run_id if shown else None


def has_nothing(run: PastRun) -> bool:
    """Return whether a run ended well and found nothing due; a page about it would say no more than that."""
    return run.exit_code == 0 and not run.due


def _as_past_run(summary: RunSummary) -> PastRun:
    return PastRun(
        run_id=summary.run_id,
        mode="testing" if summary.is_testing else "live",
        payloads="deltas" if summary.is_deltas else "full",
        shard=None,
        started_at=summary.started_at,
        finished_at=summary.finished_at,
        due=summary.due,
        accepted=summary.accepted,
        refused=summary.rejected + summary.refused,
        undelivered=summary.undelivered,
        deleted=summary.deleted,
        unchanged=summary.unchanged,
        not_tried=summary.not_tried,
        exit_code=summary.exit_code,
        message=" ".join(str(error) for error in summary.errors) or None,
    )


def _failing(store: StagingTable) -> list[Row]:
    """Return answer, person and id of rows in error; none where the driver cannot decode an answer of them."""
    try:
        return rows(store, "rows_in_error", [])
    except UnreadableText:
        return []


def rows(store: StagingTable, name: str, parameters: list[object]) -> list[Row]:
    """Return the rows of a statement of report_queries.sql. Errors: DatabaseError."""
    return store.page_of("report_queries.sql", name, parameters, _MOST_READ)


def rules_of(answer: str) -> list[str]:
    """Return the rules in a masked answer, each with the code before it; positions in lists are taken out."""
    return read(_POSITION.sub("[]", answer)).by_rule
