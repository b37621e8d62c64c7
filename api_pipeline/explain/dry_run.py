"""`run --dry-run`: what a run would send now, in counts and sizes."""

from __future__ import annotations

from api_pipeline.assembly.checks import check_control_tables, look_at_table, plan_options
from api_pipeline.assembly.request import RunRequest, retry_budget_of
from api_pipeline.db import Retrying
from api_pipeline.delivery.dry_run import DryRun, DryRunObservers, dry_run
from api_pipeline.diagnostics.columns import check_staging_table
from api_pipeline.model import RecordKind
from api_pipeline.outbox.opening import open_store
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import count_what_no_run_takes
from api_pipeline.payloads.schema_check import Checker
from api_pipeline.run_summary import NOT_TAKEN, counted
from api_pipeline.settings.model import Settings


def plan_run(settings: Settings, request: RunRequest) -> DryRun:
    """Return what a run would do now. Errors: DatabaseError; SettingsError where the run would refuse to start."""
    with open_store(settings) as store:
        check_staging_table(store, settings.table_name)
        return plan_with(store, settings, request, DryRunObservers())


def plan_with(store: StagingTable, settings: Settings, request: RunRequest, observers: DryRunObservers) -> DryRun:
    """Return what a run would do now, on a store that is open already. Errors: DatabaseError, SettingsError."""
    control_tables = check_control_tables(store, settings, request)
    db = Retrying(store.connection, retry_budget_of(settings))
    seen = look_at_table(settings, request, store, db)
    options = plan_options(settings, request, seen, control_tables=control_tables)
    found = dry_run(store, options, settings.batch_size, Checker(), db, observers)
    if request.person_id is None:
        db.run(lambda: count_what_no_run_takes(store, seen.words, found.counts))
    return found


def dry_run_lines(found: DryRun, settings: Settings) -> list[str]:
    """Return a dry run as plain lines. Plain ASCII."""
    lines = [f"Dry run on {settings.table_name}: nothing was written and nothing was sent."]
    if settings.receiver:
        lines.append(f"Compared with the baselines of {settings.receiver}.")
    else:
        lines.append("API_ENDPOINT is not set, so the only baselines are what the table itself says was sent.")
    lines.append(f"  {'due':<24}{found.counts.due:>9}")
    lines += [
        f"  {f'would be sent, {kind.value}':<24}{count.records:>9} {_records(count.records)} {_size(count.bytes):>12}"
        for kind in RecordKind
        if (count := found.kinds.get(kind))
    ]
    lines += [
        f"  {name:<24}{count:>9}"
        for name, count in (
            ("nothing to send", found.counts.unchanged),
            ("invalid, not sent", found.counts.rejected),
            ("requests, at least", found.requests),
        )
    ]
    extras = [
        (found.follow_ups, "{record follows|records follow} a purge of the same child"),
        (found.counts.nulls_removed, "null {member|members} would be removed from payloads"),
        (
            found.counts.warnings,
            "{finding in a payload is only a warning|findings in payloads are only warnings} "
            "(see: d2i-csc-api validate)",
        ),
    ]
    lines += [f"  {counted(count, text)}" for count, text in extras if count]
    lines += [f"  {remark}" for remark in found.counts.remarks_on(NOT_TAKEN)]
    if found.records:
        largest = f"{_size(found.largest).strip()} (person_id {found.largest_person})"
        lines.append(f"  Altogether {_size(found.bytes).strip()}; the largest record has {largest}.")
    return [*lines, f"Result: {result_line(found)} (exit code {found.exit_code})"]


def result_line(found: DryRun) -> str:
    """Return one sentence: what a run would do."""
    counts = found.counts
    unknown = counts.unknown_status
    words = f"; {counted(unknown, '{row has|rows have}')} a status that no run takes" if unknown else ""
    if not counts.due:
        return f"nothing is due{words}"
    rest = f"; {counts.rejected} would be in error (see: d2i-csc-api validate)" if counts.rejected else ""
    more = "; --limit leaves more rows due" if counts.was_limited else ""
    sent = f"{counted(found.records, '{record|records}')} in at least {counted(found.requests, '{request|requests}')}"
    return f"a run would send {sent}{rest}{more}{words}"


def _records(count: int) -> str:
    return "record " if count == 1 else "records"


def _size(count: int) -> str:
    if count < 1_000:
        return f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1_000:,.1f} kB"
    return f"{count / 1_000_000:,.1f} MB"
