"""Signals that ask a command to stop: one place for every command that lasts (contract 5, exit code 130)."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")


def end_on_signals() -> None:
    """Let each of these signals end the program with exit code 130; the second ends it at once.

    A command that lasts puts `stop_on_signals` in its place. A signal that is ignored stays so. It is not a
    KeyboardInterrupt: one that meets an import leaves its mark on the interpreter, which then ends with another code.
    """
    has_come = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal has_come
        if has_come:
            os._exit(130)
        has_come = True
        raise SystemExit(130)

    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)


def stop_on_signals() -> threading.Event:
    """Return an event that the first SIGINT, SIGTERM, SIGHUP or CTRL_BREAK sets; the second ends the process with 130.

    A signal that is ignored when the command starts stays ignored: that is how `nohup` lets a run outlive its terminal.
    A terminal that closes may send SIGHUP twice, so that a second one of these does not end the process.
    """
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set() and number != getattr(signal, "SIGHUP", None):
            os._exit(130)
        stop.set()

    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue
        signal.signal(number, on_signal)
    return stop
