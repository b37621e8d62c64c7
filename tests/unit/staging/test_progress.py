"""The line that says how far a staging is."""

from __future__ import annotations

import io
from itertools import count

from api_pipeline.staging.outcome import StageSummary
from api_pipeline.staging.report import StageProgress


def test_nobody_is_counted_out_of_the_cohort_during_the_first_look() -> None:
    stream = io.StringIO()
    progress = StageProgress(stream, quiet=False, clock=count(0, 60).__next__)
    progress.update(StageSummary("t", people=120, looked_at=60))
    progress.update(StageSummary("t", people=120, looked_at=120, cohort=107))
    assert stream.getvalue().splitlines() == [
        "60 of 120 people looked at",
        "120 of 120 people looked at, 107 in the cohort",
    ]
