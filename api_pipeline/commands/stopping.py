"""Signals that ask a command to stop: one place for every command that lasts (contract 5, exit code 130)."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")


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
