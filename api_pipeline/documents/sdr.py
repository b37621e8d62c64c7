"""What the commands of `sdr` print with `--json`; no value of a record is in any of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from api_pipeline.sdr.checks import CheckError
    from api_pipeline.sdr.flows import Outcome
    from api_pipeline.sdr.loading import Loaded
    from api_pipeline.sdr.nouns import Collection, ReturnPeriod
    from api_pipeline.sdr.plan import Rehearsal, Standing
    from api_pipeline.sdr.report import ResultPage
    from api_pipeline.sdr.statements import Scope
    from api_pipeline.sdr.store import Store, Submission

Document: TypeAlias = "dict[str, Any]"


def returns(found: Sequence[ReturnPeriod], now: datetime) -> list[Document]:
    """Return the return periods that TEC lists; `now` has a zone."""
    return [
        {
            "return_id": one.return_id,
            "year": one.year,
            "month": one.month,
            "type": one.kind,
            "status": one.status,
            "state": one.state.value,
            "opens": one.opens.isoformat() if one.opens else None,
            "closes": one.closes.isoformat() if one.closes else None,
            "is_open": not one.why_not_open(now),
        }
        for one in found
    ]


def loaded(files: Sequence[Loaded], exit_code: int) -> Document:
    """Return what loading the files did, and what was assumed of each."""
    return {
        "files": [
            {
                "file": str(one.path),
                "collection": one.collection.value,
                "rows": one.assumed.rows,
                "added": one.added,
                "changed": one.changed,
                "unchanged": one.unchanged,
                "removed": one.removed,
                "unusable": dict(one.assumed.unusable),
                "key": list(one.assumed.key),
                "columns": dict(one.assumed.columns),
                "left_out": list(one.assumed.left_out),
            }
            for one in files
        ],
        "exit_code": exit_code,
    }


def checked(
    findings: Sequence[CheckError], counts: Mapping[tuple[str, str], int], staged: int, exit_code: int
) -> Document:
    """Return what the local checks found; `findings` are those that are listed, `counts` are of all."""
    return {
        "staged": staged,
        "rules": [{"collection": name, "rule": rule, "count": count} for (name, rule), count in counts.items()],
        "findings": [{**asdict(one), "collection": one.collection.value} for one in findings],
        "exit_code": exit_code,
    }


def planned(period: ReturnPeriod, rehearsal: Rehearsal) -> Document:
    """Return what a submission would do."""
    return {
        **_named(period),
        "refusal": str(rehearsal.refusal) if rehearsal.refusal else None,
        "may_send_all": rehearsal.may_send_all,
        "checks": _checks(rehearsal.check_errors),
        "collections": {name.value: asdict(one) for name, one in rehearsal.plans.items()},
    }


def submitted(outcome: Outcome, mode: str, results: ResultPage | None, report: Sequence[Path]) -> Document:
    """Return what a submission did; `results` are those of the validation behind it, None for none."""
    summary = outcome.summary
    return {
        **_named(outcome.period),
        "run_id": summary.run_id,
        "mode": mode,
        "collections": {name.value: asdict(one) for name, one in summary.collections.items()},
        "checks": _checks(outcome.check_errors),
        "requests": summary.requests,
        "was_limited": summary.stopped_at_limit,
        "validation": None if results is None else _results(results),
        "report": [str(path) for path in report],
        "error": None if summary.error is None else str(summary.error),
        "exit_code": outcome.exit_code,
    }


def validated(period: ReturnPeriod, results: ResultPage | None, report: Sequence[Path], exit_code: int) -> Document:
    """Return what a validation found; `results` is None where it goes on at TEC."""
    return {
        **_named(period),
        "validation": None if results is None else _results(results),
        "report": [str(path) for path in report],
        "exit_code": exit_code,
    }


def status(returns: Sequence[Document], staged: Mapping[str, int]) -> Document:
    """Return how every return stands, as `return_status` gives each."""
    return {"staged": dict(staged), "returns": list(returns)}


def return_status(
    store: Store, scope: Scope, period: ReturnPeriod, standings: Mapping[Collection, Standing]
) -> Document:
    """Return how one return stands. Errors: DatabaseError."""
    collections = {
        name.value: {
            "held": one.held,
            "in_doubt": one.in_doubt,
            "refused": one.refused,
            "older": one.older,
            "to_put": one.plan.put,
            "to_delete": one.plan.delete,
            "withheld": one.plan.withheld,
        }
        for name, one in standings.items()
    }
    return {
        **_named(period),
        "collections": collections,
        "submission": _submission(store.submission(scope)),
        "runs": [
            {
                "command": name,
                "started_at": str(started),
                "finished_at": None if finished is None else str(finished),
                "accepted": accepted or 0,
                "deleted": deleted or 0,
                "refused": wrong or 0,
                "exit_code": code,
            }
            for name, started, finished, accepted, deleted, wrong, _, code in store.runs(scope)
        ],
    }


def _submission(found: Submission | None) -> Document | None:
    if found is None:
        return None
    return {
        "tec_status": found.tec_status,
        "state": found.state.value,
        "token_received_at": found.token.received.astimezone(timezone.utc).isoformat() if found.token else None,
        "records_in_one_request": found.token.limit if found.token else None,
        "declined_code": found.declined_code or None,
        "validated_at": found.validation_received or None,
        "validation_errors": found.validation_errors,
        "validation_warnings": found.validation_warnings,
    }


def reset(period: ReturnPeriod, mode: str) -> Document:
    """Return which return's submission was deleted: at TEC, or at the simulated one in testing mode."""
    return {**_named(period), "mode": mode, "is_reset": True}


def settings(table: str, mode: str, receiver: str) -> Document:
    """Return that every setting can be used, and what they lead to."""
    return {"ok": True, "table": table, "mode": mode, "receiver": receiver}


def _checks(errors: Mapping[tuple[str, str, str], int]) -> list[Document]:
    return [
        {"collection": name, "rule": rule, "text": text, "count": count} for (name, rule, text), count in errors.items()
    ]


def _named(period: ReturnPeriod) -> Document:
    return {"return_id": period.return_id, "period": period.name}


def _results(page: ResultPage) -> Document:
    from api_pipeline.logs.masking import mask_values
    from api_pipeline.sdr.report import groups, since

    return {
        "validated_at": page.run,
        "state": page.state.value,
        "errors": page.errors,
        "warnings": page.warnings,
        "groups": [
            {
                "type": one.kind,
                "code": one.code,
                "collection": one.collection,
                "count": one.count,
                "text": mask_values(one.description, one.record_text or None),
                "first_ids": list(one.ids),
            }
            for one in groups(page.findings)
        ],
        "since": None if page.before is None else since(page.findings, page.before),
        "advice": page.advice or None,
    }
