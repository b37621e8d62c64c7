"""What the commands of `xporter` print with `--json`; no value of a pupil's row is in any of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from api_pipeline.xporter.catalogue import Endpoint
    from api_pipeline.xporter.checking import Checked
    from api_pipeline.xporter.collect import CollectSummary
    from api_pipeline.xporter.match import Proposal
    from api_pipeline.xporter.status import Overview
    from api_pipeline.xporter.write_back import WriteBackSummary

Document: TypeAlias = "dict[str, Any]"


def schools(rows: Sequence[Document]) -> Document:
    """Return the schools, each as the command found it."""
    return {"schools": list(rows)}


def school(
    estab: str, listed: str, row: Mapping[str, Any], name: str | None, *, has_secret: bool, collected: datetime | None
) -> Document:
    """Return one school: theirs (`listed`) beside ours (`row`, empty where nothing is known)."""
    return {
        "estab": estab,
        "name": name,
        "listed": listed,
        "state": row.get("state") or "new",
        "has_secret": has_secret,
        "scopes": row.get("scopes"),
        "collected_at": None if collected is None else collected.isoformat(),
        "problem": row.get("problem"),
    }


def secrets_kept(estabs: Iterable[str]) -> Document:
    """Return of which schools a secret was kept."""
    return {"estabs": sorted(estabs)}


def school_removed(estab: str, rows: int, *, is_in_settings: bool) -> Document:
    """Return how many rows of a school were removed, and whether the settings still have its secret."""
    return {"estab": estab, "removed_rows": rows, "is_in_settings": is_in_settings}


def checked(steps: Sequence[Checked], exit_code: int) -> Document:
    """Return each step of the way to the API."""
    return {
        "steps": [
            {"estab": one.estab, "subject": one.subject, "outcome": one.outcome, "text": one.text} for one in steps
        ],
        "exit_code": exit_code,
    }


def deployed(endpoints: Sequence[str], statements: int, *, has_attendance_view: bool) -> Document:
    """Return for which endpoints the landing tables are there."""
    return {"endpoints": list(endpoints), "statements": statements, "has_attendance_view": has_attendance_view}


def collected(summary: CollectSummary, *, is_dry_run: bool) -> Document:
    """Return what a collection did, or would do."""
    counts = summary.counts
    return {
        "run_id": summary.run_id,
        "started_at": summary.started_at.isoformat(),
        "finished_at": None if summary.finished_at is None else summary.finished_at.isoformat(),
        "is_dry_run": is_dry_run,
        "schools": summary.schools,
        "rounds": summary.rounds,
        "rows": {
            "added": counts.added,
            "changed": counts.changed,
            "deleted": counts.deleted,
            "unchanged": counts.unchanged,
        },
        "left_out": summary.dropped,
        "verified": summary.verified,
        "requests": summary.requests,
        "received_bytes": summary.received_bytes,
        "problems": [
            {
                "estab": one.round.estab or None,
                "endpoint": one.round.endpoint,
                "window": one.round.window or None,
                "outcome": one.outcome,
                "text": one.text,
                "is_news": one.is_news,
            }
            for one in summary.problems
        ],
        "lines": list(summary.lines),
        "errors": [str(error) for error in summary.errors],
        "exit_code": summary.exit_code,
    }


def written_back(summary: WriteBackSummary, *, is_dry_run: bool, is_testing: bool) -> Document:
    """Return what a write-back did, or would do."""
    became = summary.became
    return {
        "is_dry_run": is_dry_run,
        "is_testing": is_testing,
        "schools": summary.schools,
        "rows": {word: became[word] for word in ("confirmed", "submitted", "refused", "error")},
        "unclear": summary.unclear,
        "waiting": summary.waiting,
        "requests": summary.requests,
        "lines": list(summary.lines),
        "errors": [str(error) for error in summary.errors],
        "exit_code": summary.exit_code,
    }


def status(overview: Overview) -> Document:
    """Return the age of each school's data."""
    return asdict(overview) | {"has_stale": overview.has_stale}


def report(run_id: str | None, file: Path) -> Document:
    """Return where a report is; `run_id` is None for the last collection."""
    return {"run_id": run_id, "file": str(file)}


def catalogue(endpoints: Iterable[Endpoint]) -> Document:
    """Return the endpoints with their tables, keys, fields and consent scopes."""
    return {
        "endpoints": [
            {
                "name": one.name,
                "title": one.title,
                "asking": one.asking,
                "options": list(one.options),
                "tables": [
                    {
                        "name": table.name,
                        "key": list(table.key),
                        "key_is_guessed": table.key_is_guessed,
                        "is_published": table.is_published,
                        "fields": [
                            {"name": field.name, "type": field.type, "scopes": field.scopes} for field in table.fields
                        ],
                    }
                    for table in one.tables
                ],
            }
            for one in endpoints
        ]
    }


def matched(found: Sequence[Proposal], *, is_dry_run: bool) -> Document:
    """Return how many proposals there are of each kind, and no child."""
    from api_pipeline.xporter.match import KINDS

    return {
        "is_dry_run": is_dry_run,
        "proposals": {kind: sum(item.kind == kind for item in found) for kind in KINDS},
    }
