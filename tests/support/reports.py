"""Reports as a council could have them, built without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from api_pipeline.outbox.status import PastRun, StateCount
from api_pipeline.reports.nights import Failing, Nights, RuleHistory
from api_pipeline.reports.run_report import RuleErrors, RunReport

BEGAN = datetime(2026, 11, 20, 2, 0, 4)  # noqa: DTZ001 - the journal keeps UTC without a zone


def past_run(number: int = 0, **changes: Any) -> PastRun:
    """Return the run of `number` nights ago; all that was due went through, unless `changes` say otherwise."""
    began = BEGAN - timedelta(days=number)
    due = 900 + (number * 137) % 260
    run = PastRun(
        run_id=f"{number:08x}-5f0c-4d7e-9c55-0123456789ab",
        mode="live",
        payloads="deltas",
        shard=None,
        started_at=began,
        finished_at=began + timedelta(seconds=due / 9),
        due=due,
        accepted=due,
        refused=0,
        undelivered=0,
        deleted=3,
        unchanged=0,
        not_tried=0,
        exit_code=0,
        message=None,
    )
    return replace(run, **changes)


def killed_run(number: int) -> PastRun:
    """Return a run that was begun and has no end in the journal."""
    counts = ("due", "accepted", "refused", "undelivered", "deleted", "unchanged", "not_tried")
    return past_run(number, finished_at=None, exit_code=None, **dict.fromkeys(counts))


def report(**changes: Any) -> RunReport:
    """Return the report of a night with some refused records, after thirty nights of which a few went wrong."""
    run = past_run(0, due=1048, accepted=1003, refused=27, undelivered=0, unchanged=18, exit_code=1)
    runs = [run, *(past_run(number) for number in range(1, 30))]
    runs[4] = past_run(4, due=990, accepted=300, undelivered=290, not_tried=400, exit_code=5)
    runs[11] = past_run(11, due=1100, accepted=1064, refused=36, exit_code=1)
    runs[17] = killed_run(17)
    runs[28] = past_run(28, due=3150, accepted=0, unchanged=3150, mode="testing")
    runs[27] = past_run(27, due=3150, accepted=3102, refused=48, exit_code=1)
    place = "social_care_episodes[].referral_source"
    errors = [
        RuleErrors(f"HTTP 400: {place}: Value must be one of the expected codes", 15, 15, people(10200, 15)),
        RuleErrors("HTTP 400: child_details.date_of_birth: String '***' is not a valid date", 8, 8, people(20417, 8)),
        RuleErrors("Payload refused before sending: la_child_id: required: a value is missing", 4, 0, people(31550, 4)),
    ]
    counts = [
        StateCount("deleted", "sent", 212),
        StateCount("new", "error", 9),
        StateCount("unchanged", "sent", 9120),
        StateCount("updated", "error", 18),
    ]
    made = BEGAN + timedelta(minutes=3)
    usual = RunReport(
        table="ssd_api_data_staging",
        made_at=made,
        run=run,
        receiver="https://receiver.example/1/children_social_care_data/999/children",
        has_journal=True,
        has_log=True,
        counts=counts,
        errors=errors,
        in_error=[],
        errors_read=27,
        runs=runs,
    )
    return replace(usual, **changes)


def nights(**changes: Any) -> Nights:
    """Return ninety runs of which a few went wrong, with rules that come and go, and people who fail for weeks."""
    runs = [past_run(number) for number in range(90)]
    runs[0] = past_run(0, due=1048, accepted=1003, refused=45, exit_code=1)
    runs[4] = past_run(4, due=990, accepted=300, undelivered=290, not_tried=400, exit_code=5)
    runs[17] = killed_run(17)
    runs[28] = past_run(28, accepted=0, unchanged=3150, due=3150, mode="testing")
    place = "HTTP 400: social_care_episodes[].referral_source: Value must be one of the expected codes"
    date = "HTTP 400: child_details.date_of_birth: String '***' is not a valid date"
    rules = [
        RuleHistory(place, [*[0] * 60, *range(30)], 29, BEGAN - timedelta(days=30)),
        RuleHistory(date, [*[4] * 40, *[0] * 50], 0, None),
        RuleHistory("Payload refused before sending: la_child_id: required: is missing", [0] * 90, 4, None),
    ]
    failing = [Failing(person, BEGAN - timedelta(days=30), [place]) for person in people(10200, 29)]
    usual = Nights("ssd_api_data_staging", BEGAN + timedelta(minutes=3), runs, True, rules, failing)
    return replace(usual, **changes)


def people(first: int, count: int) -> dict[str, None]:
    """Return person ids in a row."""
    return dict.fromkeys(str(first + 7 * number) for number in range(count))
