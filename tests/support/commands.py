"""Ways to run the command: as a program of its own, or inside the test's process for speed."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO
from unittest.mock import patch

from tests.support.warm_program import WarmProgram

ROOT = Path(__file__).resolve().parents[2]
STRICT_DRIVER = "Strict"
# What a program needs to start at all, and nothing that could set it up: no proxy, no setting of this project.
_KEPT = (
    *("PATH", "SYSTEMROOT", "COMSPEC", "PATHEXT", "TEMP", "TMP", "TMPDIR", "HOME", "USERPROFILE", "LD_LIBRARY_PATH"),
    *("ODBCINI", "ODBCSYSINI", "ODBCINSTINI", "LANG", "LC_ALL", "COVERAGE_PROCESS_START"),
)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command left behind: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both outputs together, for what must appear in neither."""
        return self.out + self.err


def clean_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the command: what a program needs to start, and `env`."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # The developer's own credential store must not answer for the tests.
    kept["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    kept["PYTHONPATH"] = str(ROOT)
    if f"{{{STRICT_DRIVER}}}" in env.get("DB_CONNECTION_STRING", ""):
        kept["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "support" / "strict_site"), str(ROOT)])
    return {**kept, **env}


def run_cli(
    args: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    *,
    stdin: str | None = None,
    timeout_s: float = 60.0,
) -> Completed:
    """Run the command as a process of its own in the folder `cwd` and wait for its end.

    Errors: subprocess.TimeoutExpired after `timeout_s` seconds.
    """
    whole = clean_environment(env)
    warm = _warm_program()
    if warm is None or not warm.fits(whole):
        done = subprocess.run(
            _command(args),
            env=whole,
            cwd=cwd,
            input=stdin if stdin is not None else "",
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
        )
        return Completed(done.returncode, done.stdout, done.stderr)
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write((stdin or "").encode())
        given.seek(0)
        code = warm.run(args, whole, cwd, (given, out, err), timeout_s)
        return Completed(code, _text_of(out), _text_of(err))


@cache
def _warm_program() -> WarmProgram | None:
    """Return the server that forks the command for this test process; None where a process cannot be forked."""
    return None if sys.platform == "win32" else WarmProgram(clean_environment({}))


def _text_of(stream: IO[bytes]) -> str:
    stream.seek(0)
    return io.TextIOWrapper(io.BytesIO(stream.read()), "utf-8", "replace").read()


@contextlib.contextmanager
def started_cli(args: Sequence[str], env: Mapping[str, str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the command as a program of its own and kills it at the end where it still runs."""
    whole = clean_environment(env)
    warm = _warm_program()
    if warm is not None and warm.fits(whole):
        with warm.started(args, whole, cwd) as forked:
            yield forked
        return
    process = subprocess.Popen(
        _command(args),
        env=whole,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def invoke_cli(args: Sequence[str], env: Mapping[str, str], cwd: Path) -> Completed:
    """Run the command inside this process, as `run_cli` does but without the time a new program takes to start.

    Working folder and environment belong to the process: not for tests that run it in threads.
    """
    from api_pipeline.cli import main

    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(cwd)
    try:
        with (
            _signal_handlers_kept(),
            patch.dict(os.environ, clean_environment(env), clear=True),
            patch.object(sys, "argv", ["d2i-csc-api", *args]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = _exit_code(main)
    finally:
        os.chdir(before)
    return Completed(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Take out the handlers that a run leaves behind: its process ends with it, but this one goes on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = [(number, signal.getsignal(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _exit_code(main: object) -> int:
    assert callable(main)
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _command(args: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "api_pipeline", *args]
