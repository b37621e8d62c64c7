"""No thread waits for another without end: on Windows no signal interrupts that, also no second Ctrl-C."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.commands import ROOT

# Messages under way are waited for as long as they may take, and no longer.
BOUNDED = {"api_pipeline/notify/trial.py", "api_pipeline/notify/watch.py"}


def endless_waits(path: Path) -> Iterator[int]:
    """Yield the lines that wait for a thread, an event or a lock and give no time."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr="join" | "wait" | "acquire"), args=[], keywords=[]):
                yield node.lineno


def test_every_wait_for_a_thread_ends_after_a_time() -> None:
    found = {
        name: lines
        for path in sorted((ROOT / "api_pipeline").rglob("*.py"))
        if (name := path.relative_to(ROOT).as_posix()) not in BOUNDED and (lines := list(endless_waits(path)))
    }
    assert found == {}
