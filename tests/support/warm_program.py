"""The command as a process of its own that need not load its modules first: a fork of one that has loaded them.

A process of Python that sends rows spends half a second of CPU on imports, and hundreds of tests start one. The server
below imports the whole package once for a test session and runs nothing; each call forks it. The fork has its own
streams, folder, environment, signal handlers and exit code, and ends as any process ends. It works where there is
`fork`; `tests.support.commands.run_cli` starts a new process elsewhere.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).resolve().parents[2]
_LARGEST_REQUEST = 1 << 20
# What the interpreter reads when it starts, so that a fork cannot be given another value.
_READ_AT_START = ("PYTHON", "LANG", "LC_", "LD_", "COVERAGE_")


class WarmProgram:
    """The server of this test process. Calls may come from several threads at once."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.warm_program", str(theirs.fileno())],
                cwd=_ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def fits(self, env: Mapping[str, str]) -> bool:
        """Return whether a program of this environment can be a fork of the server."""
        return self._process.poll() is None and _at_start(env) == _at_start(self._env)

    def run(
        self, args: Sequence[str], env: Mapping[str, str], cwd: Path, streams: Sequence[IO[bytes]], timeout_s: float
    ) -> int:
        """Run the command to its end and return its exit code; minus the signal that ended it, as subprocess does.

        Errors: subprocess.TimeoutExpired after `timeout_s` seconds; the program is killed first.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                request = json.dumps({"args": list(args), "env": dict(env), "cwd": str(cwd)}).encode()
                descriptors = [theirs.fileno(), *(stream.fileno() for stream in streams)]
                with self._lock:
                    socket.send_fds(self._socket, [request], descriptors)
            number = int(_line(ours, None))
            try:
                return int(_line(ours, timeout_s))
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
                _line(ours, None)
                raise subprocess.TimeoutExpired(["d2i-csc-api", *args], timeout_s) from None


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}


def _line(connection: socket.socket, timeout_s: float | None) -> bytes:
    until = None if timeout_s is None else time.monotonic() + timeout_s
    text = b""
    while not text.endswith(b"\n"):
        connection.settimeout(None if until is None else max(until - time.monotonic(), 0.001))
        more = connection.recv(1)
        if not more:
            raise EOFError("the server of the warm program ended")
        text += more
    return text


def _serve(control: socket.socket) -> None:
    """Fork for each request until the tests end. Return in the forks alone, which then are the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, _LARGEST_REQUEST, 4)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            if _is_program(descriptors):
                _become(json.loads(request))
                return
        for descriptor in descriptors:
            os.close(descriptor)


def _is_program(descriptors: Sequence[int]) -> bool:
    """Fork once more: one side becomes the program, the other waits for it and reports its number and its end."""
    answer, *streams = descriptors
    number = os.fork()
    if number == 0:
        os.close(answer)
        for place, descriptor in enumerate(streams):
            os.dup2(descriptor, place)
            os.close(descriptor)
        return True
    for descriptor in streams:
        os.close(descriptor)
    os.write(answer, b"%d\n" % number)
    _, status = os.waitpid(number, 0)
    os.write(answer, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(request: dict[str, object]) -> None:
    """Take the folder, the environment and the arguments of the call, as a new process has them."""
    args, env, cwd = request["args"], request["env"], request["cwd"]
    assert isinstance(args, list)
    assert isinstance(env, dict)
    os.chdir(str(cwd))
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.path[0] = str(cwd)
    sys.argv = [str(_ROOT / "api_pipeline" / "__main__.py"), *args]


def _run_program() -> None:
    """Run the program as `python -m api_pipeline` does, and end without taking every loaded module apart.

    That would cost more than most commands do. What a program does at its end happens: its threads are waited for, its
    exit functions run, its streams are flushed. A traceback, or a failure to flush, ends it in the usual way.
    """
    code: str | int | None = None
    try:
        runpy.run_module("api_pipeline", run_name="__main__")
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            raise
    threading._shutdown()  # type: ignore[attr-defined] # what the interpreter itself calls first
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or 0) & 0xFF)


def _load_everything() -> None:
    package = importlib.import_module("api_pipeline")
    for module in pkgutil.walk_packages(package.__path__, "api_pipeline."):
        if not module.name.endswith(("__main__", "entry_point")):
            # A module for another system, or for an extra that is not installed, cannot be loaded here.
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


if __name__ == "__main__":
    if sys.platform != "win32":
        _load_everything()
        gc.collect()
        gc.freeze()
        _serve(socket.socket(fileno=int(sys.argv[1])))
        _run_program()
