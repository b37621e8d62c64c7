"""Fewer looks for dead cycles while masses of records are worked on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for cycles of dead objects less often: a record is some hundred objects, none of them in a cycle."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
