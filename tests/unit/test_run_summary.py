"""The counts of a run, the sentences about them, and the exit code that follows."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from api_pipeline.errors import AuthenticationRefused, DatabaseError, PipelineError, ServiceUnavailable
from api_pipeline.run_summary import JSON_NAMES, LABELS, NOT_TAKEN, REMARKS, Counts, RunSummary, counted

BEGAN = datetime.fromisoformat("2026-01-31 02:00:00")


def summary(*errors: PipelineError, was_stopped: bool = False, **counts: int) -> RunSummary:
    made = RunSummary(
        run_id="r", table="t", receiver="here", is_testing=False, is_deltas=False, started_at=BEGAN, errors=[*errors]
    )
    made.was_stopped = was_stopped
    for name, count in counts.items():
        setattr(made, name, count)
    return made


def test_every_due_row_has_one_outcome_or_was_not_tried() -> None:
    # Each count another power of two, so that every sum has its own value.
    counts = Counts(due=128, accepted=1, deleted=1, unchanged=2, rejected=4, refused=8, undelivered=16)
    assert (counts.decided, counts.not_tried, counts.in_error) == (31, 97, 28)


def test_rows_that_became_due_meanwhile_make_no_count_negative() -> None:
    assert Counts(due=1, accepted=2).not_tried == 0


def test_every_count_has_a_name_of_its_own_in_json() -> None:
    counts = Counts(due=9, rejected=1, refused=2, blank=3)
    named = counts.by_json_name
    assert len(named) == len(LABELS) + len(REMARKS)
    assert (named["invalid"], named["rejected"], named["blank"], named["not_tried"]) == (1, 2, 3, 6)
    assert set(JSON_NAMES) <= set(LABELS)
    assert set(NOT_TAKEN) <= set(REMARKS)


def test_remarks_are_made_only_where_there_is_something_to_say() -> None:
    assert Counts(due=5, accepted=5).remarks == []
    counts = Counts(purges=2, superseded=1, examples={"superseded": ["P1", "P2"]})
    assert counts.remarks == [
        "2 records went in two steps, the first of them a purge",
        "1 older row was closed, because a newer row of the same person was accepted (for example P1, P2)",
    ]
    assert counts.remarks_on(["blank", "purges"]) == counts.remarks[:1]


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (summary(due=3, accepted=2, unchanged=1), 0),
        (summary(due=3, accepted=1), 0),
        (summary(warnings=3, blank=2, held_without_row=1), 0),
        (summary(rejected=1), 1),
        (summary(refused=1), 1),
        (summary(unknown_status=1), 1),
        (summary(undelivered=1), 5),
        (summary(undelivered=1, refused=1), 5),
        (summary(AuthenticationRefused("no"), undelivered=1), 4),
        (summary(ServiceUnavailable("away"), DatabaseError("away"), refused=1), 3),
        (summary(DatabaseError("away"), was_stopped=True), 130),
    ],
)
def test_exit_code_follows_from_counts_and_errors(ended: RunSummary, code: int) -> None:
    assert ended.exit_code == code


def test_run_that_has_not_ended_took_no_time() -> None:
    run = summary()
    assert run.seconds == 0.0
    run.finished_at = BEGAN + timedelta(seconds=12.5)
    assert run.seconds == 12.5


def test_count_of_one_is_in_the_singular_however_it_is_written() -> None:
    assert counted(1, "{row was|rows were} read") == "1 row was read"
    assert counted(2000, "{row was|rows were} read", ",") == "2,000 rows were read"
