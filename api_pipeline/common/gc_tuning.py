"""Run Python's garbage collector less often while masses of records are worked on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def collect_seldom() -> None:
    """Let Python look less often for unused objects, from now on: an import or a run leaves few.

    A short run makes 60,000 objects, and looks through none of them.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Run the garbage collector less often inside the block.

    It looks for objects that refer to each other in a circle. A record is some hundred objects and none of them is in a
    circle, so that each look costs time and finds nothing.
    """
    before = gc.get_threshold()
    collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
