"""How the interpreter works during a run, and that all is as before behind it."""

from __future__ import annotations

import gc
import sys

from api_pipeline.gc_tuning import seldom_collected, short_turns


def test_interpreter_is_as_before_behind_a_run() -> None:
    before = (gc.get_threshold(), sys.getswitchinterval())

    with seldom_collected(), short_turns():
        assert gc.get_threshold()[0] > before[0][0]
        assert sys.getswitchinterval() < before[1]

    assert (gc.get_threshold(), sys.getswitchinterval()) == before
