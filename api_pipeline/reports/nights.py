"""What the last 90 nights did, read from run journal, submission log and staging table, for the index page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from api_pipeline.common.clock import utc_now
from api_pipeline.logs.masking import mask_values
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.status import PastRun, past_runs
from api_pipeline.reports.run_report import RuleErrors, rows, rules_of

NIGHTS = 90
RULES_SHOWN = 40


@dataclass(frozen=True, slots=True)
class RuleHistory:
    """One rule (values masked) over the nights: how many records came back with it in each run, oldest run first.

    `in_error` rows of the table are in error for it now; `since` is when the first of these people's records came back
    that has not been accepted after that, None where the log does not know. Times are UTC without a zone.
    """

    rule: str
    counts: Sequence[int]
    in_error: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Failing:
    """A person whose record is in error now: since when its records were rejected, and which rules it breaks."""

    person: str
    since: datetime
    rules: Sequence[str]


@dataclass(frozen=True, slots=True)
class Nights:
    """What the folder's first page shows; `runs` are the last 90, newest first, `failing` the longest first."""

    table: str
    made_at: datetime
    runs: Sequence[PastRun]
    has_log: bool
    rules: Sequence[RuleHistory]
    failing: Sequence[Failing]


def gather_nights(store: StagingTable, table: str, errors: Sequence[RuleErrors]) -> Nights:
    """Return what the last nights did; values are masked. Errors: DatabaseError.

    `errors` are the rules for which rows of the table are in error now (`RunReport.in_error`).
    """
    runs = past_runs(store, table, NIGHTS)
    has_log = store.has_control_tables()
    came_back = _came_back(store, table, runs) if has_log and runs else {}
    since = _failing_since(store, table) if has_log else {}
    return Nights(table, utc_now(), runs, has_log, _rules(runs, came_back, errors, since), _failing(errors, since))


def _came_back(store: StagingTable, table: str, runs: Sequence[PastRun]) -> dict[str, dict[str, int]]:
    """Return by rule and run how many records came back."""
    first = min(run.started_at for run in runs)
    found: dict[str, dict[str, int]] = {}
    for run_id, answer, count in rows(store, "failures_by_run", [store.spellings(table), first]):
        for rule in rules_of(mask_values(str(answer or ""), None)):
            by_run = found.setdefault(rule, {})
            name = str(run_id).strip()
            by_run[name] = by_run.get(name, 0) + int(count)
    return found


def _failing_since(store: StagingTable, table: str) -> dict[str, datetime]:
    found = rows(store, "failing_since", [store.spellings(table)] * 2)
    # SQLite keeps a time as text.
    return {str(person): datetime.fromisoformat(str(since)) for person, since in found if person is not None}


def _rules(
    runs: Sequence[PastRun],
    came_back: Mapping[str, Mapping[str, int]],
    errors: Sequence[RuleErrors],
    since: Mapping[str, datetime],
) -> list[RuleHistory]:
    order = [run.run_id for run in reversed(runs)]
    now = {group.rule: group for group in errors}
    found = []
    for rule in dict.fromkeys((*now, *came_back)):
        counts = [came_back.get(rule, {}).get(run_id, 0) for run_id in order]
        group = now.get(rule)
        starts = [since[person] for person in group.people if person in since] if group else []
        found.append(RuleHistory(rule, counts, group.in_error if group else 0, min(starts, default=None)))
    return sorted(found, key=lambda one: (-one.in_error, -sum(one.counts), one.rule))


def _failing(errors: Sequence[RuleErrors], since: Mapping[str, datetime]) -> list[Failing]:
    broken: dict[str, list[str]] = {}
    for group in errors:
        for person in group.people:
            broken.setdefault(person, []).append(group.rule)
    found = [Failing(person, since[person], rules) for person, rules in broken.items() if person in since]
    return sorted(found, key=lambda one: (one.since, one.person))
