"""Measures what the functions of tests reach, and nothing around them: a plugin of pytest for `scripts/test --coverage`.

A tracer is told of every line, that of pytest too: on Python 3.11 the 1,037 tests of settings and logs took 15.5 s of CPU
with it, 8.6 s without, and so measured they take 9.2 s. What a module does when it is imported is measured while tests are collected.
"""

from __future__ import annotations

from collections.abc import Generator

import coverage
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Measure nothing more once all tests are collected."""
    try:
        return (yield)
    finally:
        _measuring().stop()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Measure the function of a test."""
    _measuring().start()
    try:
        return (yield)
    finally:
        _measuring().stop()


def _measuring() -> coverage.Coverage:
    """Return what measures this process."""
    measuring = coverage.Coverage.current()
    if measuring is None:
        raise pytest.UsageError("nothing measures here: run scripts/test --coverage")
    return measuring
