"""Whether a person may be at the other end of a stream."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO


def is_terminal(stream: TextIO, is_console: Callable[[int], bool] | None = None) -> bool:
    """Return whether a stream is a terminal, on Windows a console; a closed one is not.

    On Windows `isatty` is true for every device of characters: also for NUL, from which a task may read.
    So `is_console` is asked as well about the number of its file; the default is what the system says.
    """
    try:
        return stream.isatty() and (is_console or _is_console)(stream.fileno())
    except (OSError, ValueError):
        return False


def _is_console(number: int) -> bool:
    if sys.platform != "win32":
        return True
    # Slow to import, and needed on Windows alone.
    import ctypes
    import msvcrt

    handle, mode = ctypes.c_void_p(msvcrt.get_osfhandle(number)), ctypes.c_ulong()
    return bool(ctypes.windll.kernel32.GetConsoleMode(handle, ctypes.byref(mode)))
