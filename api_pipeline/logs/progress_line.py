"""Show how far a command is: one line that is redrawn on a terminal, or a new line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

_LINE_EVERY_S = 10.0
_REDRAW_EVERY_S = 0.2


class ProgressLine:
    """A line about work under way, shown not more often than a person or a log needs; nothing when `quiet`."""

    def __init__(self, stream: TextIO, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._quiet = quiet
        self._clock = clock
        self._shown = clock()
        self._drawn = 0
        self.is_terminal = stream.isatty()

    def is_due(self) -> bool:
        """Return whether it is time for the next line; then it counts as shown."""
        now = self._clock()
        if self._quiet or now - self._shown < (_REDRAW_EVERY_S if self.is_terminal else _LINE_EVERY_S):
            return False
        self._shown = now
        return True

    def show(self, text: str) -> None:
        """Write the line, in place of the one before it on a terminal."""
        # With blanks over the line before: a console of Windows shows escape sequences as signs, unless asked not to.
        self._stream.write(f"\r{text:<{self._drawn}}" if self.is_terminal else f"{text}\n")
        self._drawn = len(text)
        self._stream.flush()

    def close(self) -> None:
        """Clear the line, so that the summary stands alone."""
        if self.is_terminal and not self._quiet:
            self._stream.write(f"\r{'':{self._drawn}}\r")
            self._stream.flush()
