"""Whether a person may be at the other end of a stream."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO


def _is_console(number: int) -> bool:
    if sys.platform != "win32":
        return True
    # Slow to import, and needed on Windows alone.
    import ctypes
    import msvcrt

    handle, mode = ctypes.c_void_p(msvcrt.get_osfhandle(number)), ctypes.c_ulong()
    return bool(ctypes.windll.kernel32.GetConsoleMode(handle, ctypes.byref(mode)))


def is_terminal(stream: TextIO, is_console: Callable[[int], bool] = _is_console) -> bool:
    """Return whether a stream is a terminal, on Windows a console; a closed one is not.

    On Windows `isatty` is true for every device of characters: also for NUL, from which a task may read.
    So `is_console` says of the number of its file whether it is a console; the default asks the system.
    """
    try:
        return stream.isatty() and is_console(stream.fileno())
    except (OSError, ValueError):
        return False
