"""The program's start: what it leaves the interpreter to do at the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import click
import pytest

from api_pipeline import cli

_PROGRAM = """
import atexit, gc
import api_pipeline.cli
from api_pipeline.entry_point import main
def say():
    left = gc.get_objects()
    print(len(left) < gc.get_freeze_count())
atexit.register(say)
main()
"""


def test_ending_program_leaves_no_object_to_look_through() -> None:
    # With the interpreter's own looks at every object a run of one row took a sixth more CPU.
    done = subprocess.run([sys.executable, "-c", _PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_arguments_come_as_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """click takes them itself where it gets none, and then expands *, ~ and variables in them on Windows."""
    got: list[Sequence[str] | None] = []

    class Recording(click.Group):
        def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> Any:
            got.append(args)

    monkeypatch.setattr(cli, "cli", Recording())
    monkeypatch.setattr(sys, "argv", ["d2i-csc-api", "requeue", "--matching", "*", "--person-id", "~"])
    cli.main()
    cli.main(["status"])
    assert got == [["requeue", "--matching", "*", "--person-id", "~"], ["status"]]
