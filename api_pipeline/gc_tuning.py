"""How the interpreter works on masses of records: fewer looks for dead cycles, shorter turns of its threads."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
_TURN_S = 0.0002


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Looks for cycles of dead objects less often: a record is some hundred objects, none of them in a cycle."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def short_turns() -> Iterator[None]:
    """Lets a thread that computes give way sooner: one whose answer came waits for its turn at each step otherwise.

    By itself the interpreter lets it wait 5 ms, a batch's statements and answers take some fifty steps.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
