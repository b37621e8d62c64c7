"""Times: how long something took, whatever is done to the machine's clock."""

from __future__ import annotations

from datetime import timedelta

from api_pipeline.common.clock import Stopwatch


def test_stopwatch_goes_on_evenly_from_its_beginning() -> None:
    passed = iter([100.0, 100.25, 3700.0])
    stopwatch = Stopwatch(lambda: next(passed))
    assert stopwatch.now() - stopwatch.started_at == timedelta(seconds=0.25)
    assert stopwatch.now() - stopwatch.started_at == timedelta(hours=1)
