"""Dead cycles are looked for less often during a run, and as before behind it."""

from __future__ import annotations

import gc

from api_pipeline.common.gc_tuning import seldom_collected


def test_dead_cycles_are_looked_for_as_before_behind_a_run() -> None:
    before = gc.get_threshold()

    with seldom_collected():
        assert gc.get_threshold()[0] > before[0]

    assert gc.get_threshold() == before
