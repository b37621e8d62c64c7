"""Standard output and standard error: whatever is printed passes here, whatever becomes of the reader (contract 5, 6).

A closed pipe, a full disk or a missing console changes nothing for the run: what cannot be written is dropped. What is
written holds no known secret and no sign that steers a terminal.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from api_pipeline.common.terminal import is_terminal
from api_pipeline.logs.plain_text import harmless

if TYPE_CHECKING:
    from api_pipeline.logs.redaction import Redactor

_redactors: list[Redactor] = []


def redact_output(redactor: Redactor) -> None:
    """Let both streams hide the secrets that `redactor` knows, until `guarded_streams` ends."""
    _redactors.append(redactor)


def _redacted(text: str) -> str:
    for redactor in _redactors:
        text = redactor.hide_known(text)
    return text


class GuardedStream(io.TextIOBase):
    """A text stream that passes everything to another stream (None: there is none) and never fails."""

    def __init__(self, stream: TextIO | None, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._stream = stream
        self._redact = redact
        self._is_screen = stream is not None and is_terminal(stream)

    def write(self, text: str) -> int:
        """Write `text` without secrets and steering signs; drop it when nobody reads any more."""
        if not isinstance(text, str):
            raise TypeError("this stream takes text")
        if self._stream is not None:
            self._attempt(self._stream, self._redact(harmless(text)))
        return len(text)

    def flush(self) -> None:
        """Write out what is buffered."""
        self._attempt(self._stream, "")

    def writable(self) -> bool:
        """Return True: what is written is taken, or dropped."""
        return True

    def isatty(self) -> bool:
        """Return whether a person may be watching."""
        return self._is_screen

    def fileno(self) -> int:
        """Return the number of the file behind the stream. Errors: OSError when there is none."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override] # a property of the library's class, too
        """Return the encoding of the stream behind."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override] # the same
        """Return how letters are written that the encoding lacks."""
        return "backslashreplace"

    def _attempt(self, stream: TextIO | None, text: str) -> None:
        if stream is None:
            return
        try:
            stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding) if text else text)
            stream.flush()
        except (OSError, ValueError):
            self._stream = None
            _silence(stream)


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Put a guard before standard output and standard error, for as long as the program runs.

    Standard input is empty where there is none.
    """
    _open_missing_files()
    before = sys.stdin, sys.stdout, sys.stderr
    _redactors.clear()
    sys.stdin = before[0] or io.TextIOWrapper(io.BytesIO())
    sys.stdout, sys.stderr = (GuardedStream(stream, _redacted) for stream in before[1:])
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
        _redactors.clear()


def _open_missing_files() -> None:
    """Open something in the place of each closed standard stream, so that a database never gets its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened != number:
                    os.dup2(opened, number)
                    os.close(opened)


def _silence(stream: TextIO) -> None:
    """Connect the file behind a stream to nothing, so that its buffer cannot fail at the program's end either."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
