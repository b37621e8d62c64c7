"""Signals that ask a command to stop: one place for every command that lasts (contract 5, exit code 130)."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import FrameType

# The signals that ask for a stop, as far as the platform has them.
_SIGNALS: tuple[int, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP") if hasattr(signal, name)
)
_SIGHUP: int | None = getattr(signal, "SIGHUP", None)


def end_on_signals() -> None:
    """Let each of these signals end the program with exit code 130; a signal that is ignored stays so.

    A command that lasts puts `stop_on_signals` in its place. SIGINT leaves what is under way in order, as a prompt that
    hides what is typed; it is not a KeyboardInterrupt, which in an import makes the interpreter end with another code.
    The others end the program at once, as they do by themselves: Python drops an error that is raised in a callback.
    So does SIGINT during an import: an error that is raised in one makes compiled modules crash or panic.
    """
    has_come = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal has_come
        if has_come or number != signal.SIGINT or _is_importing(frame):
            os._exit(130)
        has_come = True
        raise SystemExit(130)

    atexit.register(_ignore_signals)
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)


def _ignore_signals() -> None:
    """Keep the exit code of a program that has ended: a signal would kill the interpreter on its way out."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def stop_on_signals(*, prompts: bool = False) -> threading.Event:
    """Return an event that the first SIGINT, SIGTERM, SIGHUP or CTRL_BREAK sets; the second ends the process with 130.

    A signal that is ignored when the command starts stays ignored: that is how `nohup` lets a run outlive its terminal.
    A terminal that closes may send SIGHUP twice, so that a second one of these does not end the process. A command
    that `prompts` lets a signal interrupt what it reads.
    """
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and number != _SIGHUP:
            os._exit(130)
        stop.set()

    for number in _SIGNALS:
        if number != _SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)
            if sys.platform != "win32" and not prompts:
                # Python has a signal interrupt system calls, also those of a database driver: Microsoft's gives up the
                # connection then (error 10004). Python's own waits are in pieces, for Windows.
                signal.siginterrupt(number, False)
    return stop
