"""What the commands print with `--json`: each result as what JSON is made of.

The room uses the results of the rooms below; it opens nothing and decides nothing. Here are the documents of the main
service; `sdr` and `xporter` have those of the other two, and `schemas` says which schema each follows. Start reading
at `run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from api_pipeline.anonymise.filling import CopyOptions, CopyOutcome
    from api_pipeline.anonymise.tables import Pair
    from api_pipeline.delivery.dry_run import DryRun
    from api_pipeline.deploy import Deployed
    from api_pipeline.diagnostics.configuration import Configuration
    from api_pipeline.diagnostics.payloads import Validation
    from api_pipeline.diagnostics.steps import Report
    from api_pipeline.explain.nouns import Story
    from api_pipeline.explain.structure import Part
    from api_pipeline.outbox.status import Overview
    from api_pipeline.run_summary import RunSummary
    from api_pipeline.schedule.job import Standing
    from api_pipeline.settings.model import Settings
    from api_pipeline.staging.changes import Word
    from api_pipeline.staging.outcome import StageSummary

Document: TypeAlias = "dict[str, Any]"


def run(summary: RunSummary, staged: Document | None = None) -> Document:
    """Return the summary of a run; the errors are those that ended it. `staged` is the staging's before it."""
    from api_pipeline.reports.console import result_line

    return {
        "run_id": summary.run_id,
        "table": summary.table,
        "receiver": summary.receiver,
        "mode": "testing" if summary.is_testing else "live",
        "payloads": "deltas" if summary.is_deltas else "full",
        "started_at": summary.started_at.isoformat(),
        "finished_at": None if summary.finished_at is None else summary.finished_at.isoformat(),
        "seconds": round(summary.seconds, 3),
        **summary.by_json_name,
        "was_limited": summary.was_limited,
        "is_table_empty": summary.is_table_empty,
        "was_stopped": summary.was_stopped,
        "staging": staged,
        "errors": [str(error) for error in summary.errors],
        "result": result_line(summary),
        "exit_code": summary.exit_code,
    }


def status(overview: Overview) -> Document:
    """Return the state of the table."""
    return asdict(overview)


def validation(found: Validation, table: str, csv: Path | None) -> Document:
    """Return what is wrong with the payloads."""
    return {
        "table": table,
        "rows": found.rows,
        "refused_rows": found.refused_rows,
        "nulls": found.nulls,
        "is_table_empty": found.is_table_empty,
        "csv": None if csv is None else str(csv),
        "rules": [asdict(rule) for rule in found.ordered_rules()],
        "exit_code": 1 if found.refused_rows else 0,
    }


def explained(story: Story) -> Document:
    """Return one child's story; it holds no value of the payload."""
    return {
        "person_id": story.person_id,
        "la_child_id": story.la_child_id,
        "table": story.table,
        "receiver": story.receiver,
        "rows": [asdict(row) for row in story.rows],
        "staged": _structure(story.staged),
        "unreadable": story.unreadable or None,
        "baseline": {
            "state": story.held.state,
            "source": story.held.source,
            "receipt": story.held.receipt,
            "accepted_at": story.held.accepted_at,
            "structure": _structure(story.held.parts),
        },
        "difference": [{"path": change.path, "change": change.change} for change in story.difference],
        "checks": [
            {"severity": found.severity, "path": found.path, "rule": found.rule, "message": found.message}
            for found in story.checks
        ],
        "tonight": {
            "sentence": story.tonight.sentence,
            "records": [asdict(record) for record in story.tonight.records],
        },
        "records": [asdict(record) for record in story.records],
    }


def _structure(parts: Sequence[Part]) -> list[Document]:
    return [{"path": part.path, "members": list(part.members)} for part in parts]


def dry_run(found: DryRun, settings: Settings) -> Document:
    """Return what a run would do."""
    from api_pipeline.explain.dry_run import result_line

    return {
        "table": settings.table_name,
        "receiver": settings.receiver,
        "payloads": "deltas" if settings.use_partial_payload else "full",
        "due": found.counts.due,
        "up_to_date": found.counts.unchanged,
        "invalid": found.counts.rejected,
        "requests": found.requests,
        "records": found.records,
        "bytes": found.bytes,
        "kinds": {kind.value: {"records": count.records, "bytes": count.bytes} for kind, count in found.kinds.items()},
        "follow_ups": found.follow_ups,
        "nulls_removed": found.counts.nulls_removed,
        "warnings": found.counts.warnings,
        "unknown_status": found.counts.unknown_status,
        "blank": found.counts.blank,
        "was_limited": found.counts.was_limited,
        "largest_bytes": found.largest,
        "largest_person_id": found.largest_person or None,
        "result": result_line(found),
        "exit_code": found.exit_code,
    }


def requeued(table: str, rows: int) -> Document:
    """Return how many rows were put back."""
    return {"table": table, "requeued": rows}


def report(table: str, run_id: str | None, file: Path) -> Document:
    """Return where a report is."""
    return {"table": table, "run_id": run_id, "file": str(file)}


def staging(
    summary: StageSummary, as_of: date, issues_csv: Path | None, changes: Sequence[tuple[str, Word]]
) -> Document:
    """Return what a staging did, or would do; `changes` are those of a dry run."""
    return {
        "table": summary.table,
        "as_of": as_of.isoformat(),
        "is_dry_run": summary.is_dry_run,
        "people": summary.people,
        "cohort": summary.cohort,
        "withheld": summary.withheld,
        "rehashed": summary.rehashed,
        "kept": summary.kept,
        "seconds": round(summary.seconds, 3),
        "rows": {word.value: count for word, count in summary.words.items()},
        "issues": {rule.value: count for rule, count in summary.issues.items()},
        "issues_csv": None if issues_csv is None else str(issues_csv),
        "changes": [{"person_id": person, "change": word.value} for person, word in changes],
        "refusal": None if summary.refusal is None else str(summary.refusal),
        "exit_code": 0 if summary.refusal is None else summary.refusal.exit_code,
    }


def deployed(table: str, made: Deployed) -> Document:
    """Return which tables were made and which were there."""
    return {
        "table": table,
        "dialect": made.dialect,
        "made": list(made.made),
        "found": list(made.found),
        "unusable": list(made.unusable),
    }


def anonymised(pair: Pair, options: CopyOptions, outcome: CopyOutcome) -> Document:
    """Return what became of the anonymised copy."""
    return {
        "source": pair.source_name,
        "target": pair.target_name,
        "is_dry_run": options.dry_run,
        "records": outcome.records,
        "replaced": outcome.replaced,
        "skipped": outcome.unreadable.count,
        "left_out": outcome.left_out,
    }


def standing(found: Standing) -> Document:
    """Return what a scheduler knows of the nightly task."""
    return {
        "kind": found.kind.value,
        "name": found.name,
        "is_installed": found.is_installed,
        "facts": dict(found.facts),
    }


def configuration(found: Configuration) -> Document:
    """Return every setting, and what is wrong."""
    return {
        "ok": not found.errors,
        "exit_code": found.exit_code,
        "file": None if found.file is None else str(found.file),
        "errors": list(found.errors),
        "warnings": list(found.warnings),
        "settings": [asdict(state) for state in found.settings],
    }


def diagnosed(report: Report) -> Document:
    """Return what a test found."""
    steps = [
        {**asdict(step), "status": step.status.value.lower(), "seconds": round(step.seconds, 4)}
        for step in report.steps
    ]
    return {"test": report.test, "ok": report.is_ok, "exit_code": report.exit_code, "steps": steps}


def smoke(reports: Sequence[Report]) -> Document:
    """Return what several tests found, with their one exit code."""
    from api_pipeline.diagnostics.steps import exit_code_of

    code = exit_code_of(reports)
    return {"ok": code == 0, "exit_code": code, "tests": [diagnosed(report) for report in reports]}
