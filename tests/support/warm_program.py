"""The command as a process of its own that need not load its modules first: a fork of one that has loaded them.

A process of Python that sends rows spends half a second of CPU on imports, and hundreds of tests start one. The server
below imports the whole package once for a test session and runs nothing; each call forks it. The fork has its own
streams, folder, environment, signal handlers and exit code, and ends as any process ends. It works where there is
`fork`; `run_cli` and `started_cli` of `tests.support.commands` start a new process elsewhere.
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
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).resolve().parents[2]
_LARGEST_REQUEST = 1 << 20
# What the interpreter reads when it starts, so that a fork cannot be given another value.
_READ_AT_START = ("PYTHON", "LANG", "LC_", "LD_", "COVERAGE_")
# A library reads it when the program first asks for a secret.
_READ_LATER = "PYTHON_KEYRING_BACKEND"


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
        with self._forked(args, env, cwd, [stream.fileno() for stream in streams]) as answer:
            process = Forked(["d2i-csc-api", *args], answer)
            try:
                return process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise

    @contextlib.contextmanager
    def started(self, args: Sequence[str], env: Mapping[str, str], cwd: Path) -> Iterator[Forked]:
        """Start the command, its output in pipes, and kill it at the end where it still runs."""
        with contextlib.ExitStack() as ours:
            with contextlib.ExitStack() as theirs:
                given = theirs.enter_context(Path(os.devnull).open("rb"))
                pipes = [os.pipe(), os.pipe()]
                out, err = (ours.enter_context(_text(reading)) for reading, _ in pipes)
                for _, writing in pipes:
                    theirs.callback(os.close, writing)
                streams = [given.fileno(), *(writing for _, writing in pipes)]
                answer = ours.enter_context(self._forked(args, env, cwd, streams))
            process = Forked(["d2i-csc-api", *args], answer, out, err)
            try:
                yield process
            finally:
                process.kill()
                process.communicate(timeout=20)

    def _forked(self, args: Sequence[str], env: Mapping[str, str], cwd: Path, streams: Sequence[int]) -> socket.socket:
        """Return what tells the number of the new program, and then how it ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            request = json.dumps({"args": list(args), "env": dict(env), "cwd": str(cwd)}).encode()
            with self._lock:
                socket.send_fds(self._socket, [request], [theirs.fileno(), *streams])
        return ours


class Forked(subprocess.Popen[str]):
    """A fork of the program, with what tests use of `subprocess.Popen`: only its parent can wait for it, not we."""

    def __init__(
        self, args: Sequence[str], answer: socket.socket, out: IO[str] | None = None, err: IO[str] | None = None
    ) -> None:
        self.args = args
        self.stdin, self.stdout, self.stderr = None, out, err
        self.returncode: int | None = None
        self._answer = answer
        self.pid = int(_line(answer, None))

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code. Errors: subprocess.TimeoutExpired."""
        if self.returncode is None:
            try:
                self.returncode = int(_line(self._answer, timeout))
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it has ended. Any thread may do so while another waits."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002 - the base's word
        """Wait for its end and return the rest of both outputs. Errors: subprocess.TimeoutExpired."""
        said = ["", ""]

        def read(place: int, stream: IO[str] | None) -> None:
            said[place] = stream.read() if stream else ""

        readers = [
            threading.Thread(target=read, args=each, daemon=True) for each in enumerate((self.stdout, self.stderr))
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        return said[0], said[1]


def _text(descriptor: int) -> IO[str]:
    return open(descriptor, encoding="utf-8", errors="replace")


def _at_start(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START) and name != _READ_LATER}


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
    ended, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Who is told how a fork ended, by its number.
    answers: dict[int, int] = {}
    while True:
        readable, _, _ = select.select([ended, control], [], [])
        if ended in readable:
            ended.recv(_LARGEST_REQUEST)
            _report_ends(answers)
        if control not in readable:
            continue
        request, descriptors, _, _ = socket.recv_fds(control, _LARGEST_REQUEST, 4)
        if not request:
            os._exit(0)
        answer, *streams = descriptors
        number = os.fork()
        if number == 0:
            _leave_server([control, ended, told], [answer, *answers.values()], streams)
            _become(json.loads(request))
            return
        answers[number] = answer
        _tell(answer, number)
        for descriptor in streams:
            os.close(descriptor)


def _report_ends(answers: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            answer = answers.pop(ended[0])
            _tell(answer, os.waitstatus_to_exitcode(ended[1]))
            os.close(answer)


def _tell(answer: int, number: int) -> None:
    # Who asked may be gone.
    with contextlib.suppress(OSError):
        os.write(answer, b"%d\n" % number)


def _leave_server(sockets: Sequence[socket.socket], descriptors: Sequence[int], streams: Sequence[int]) -> None:
    """Keep nothing of the server's in a fork but its modules, and take the streams of the call."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for one in sockets:
        one.close()
    for descriptor in descriptors:
        os.close(descriptor)
    for place, descriptor in enumerate(streams):
        os.dup2(descriptor, place)
        os.close(descriptor)


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
