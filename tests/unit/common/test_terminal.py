"""Who is at the other end of a stream: a person at a terminal, or a file, a pipe, a device."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from api_pipeline.common.terminal import is_terminal
from api_pipeline.logs.output import GuardedStream


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    if os.name != "posix":
        pytest.skip("needs a pseudo-terminal")
    try:
        ours, theirs = os.openpty()
    except OSError:
        pytest.skip("this machine has no pseudo-terminal")
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield stream


def test_terminal_is_one_behind_the_guard_too(terminal: TextIO) -> None:
    assert is_terminal(terminal)
    assert is_terminal(GuardedStream(terminal, str))  # type: ignore[arg-type] # a text stream, to all that use it


def test_device_of_characters_that_is_no_console_is_not_a_terminal(terminal: TextIO) -> None:
    """NUL on Windows: `isatty` is true there, and the system says that it is no console."""
    looked_at: list[int] = []

    def is_console(number: int) -> bool:
        looked_at.append(number)
        return False

    assert not is_terminal(terminal, is_console)
    assert looked_at == [terminal.fileno()]


def test_what_is_no_file_is_closed_or_leads_to_nothing_is_not_a_terminal(tmp_path: Path) -> None:
    class Shell(io.StringIO):
        """The output of a development environment's own shell."""

        def isatty(self) -> bool:
            return True

    closed = (tmp_path / "file").open("w", encoding="utf-8")
    closed.close()
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        assert [is_terminal(stream) for stream in (Shell(), io.StringIO(), closed, nothing)] == [False] * 4
