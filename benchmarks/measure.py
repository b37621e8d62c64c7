"""Start programs as whole processes and measure what they cost (Linux and macOS: it asks the kernel by wait4)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from api_pipeline.sandbox.simulator import CLIENT_ID, CLIENT_SECRET, LA_CODE, SCOPE, SUPPLIER_KEY
from tests.support.commands import clean_environment

_STARTUP_S = 30.0
_BYTES_IN_MAXRSS = 1 if sys.platform == "darwin" else 1024


class BenchmarkFailed(Exception):
    """A run that was to be measured did not do its work; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What processes that ran side by side cost together: wall-clock and CPU seconds, and the largest one's memory."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def cost_of(commands: Sequence[Sequence[str]], env: Mapping[str, str], folder: Path) -> Cost:
    """Run programs side by side and return what they cost. Errors: BenchmarkFailed where one does not exit 0."""
    began = time.perf_counter()
    with TemporaryFile() as output:
        running = [
            subprocess.Popen(
                command, env=clean_environment(env), cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            for command in commands
        ]
        cpu, peak, codes = 0.0, 0.0, []
        for process in running:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            codes.append(process.returncode)
            cpu += usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss * _BYTES_IN_MAXRSS / 1e6)
        seconds = time.perf_counter() - began
        if any(codes):
            output.seek(0)
            raise BenchmarkFailed(f"exit codes {codes}:\n{output.read().decode(errors='replace')[-4000:]}")
    return Cost(seconds, cpu, peak)


def seconds_to_first_request(command: Sequence[str], env: Mapping[str, str], folder: Path, port: int) -> float:
    """Return the time from starting a program to its first connection to `port`, and end the program.

    Errors: BenchmarkFailed where none comes.
    """
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(_STARTUP_S)
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=clean_environment(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            listener.accept()[0].close()
            return time.perf_counter() - began
        except TimeoutError:
            raise BenchmarkFailed("no request came") from None
        finally:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(port: int, connection_string: str, table: str) -> dict[str, str]:
    """Return the settings that lead the program to the embedded receiver on `port` and to a staging table."""
    return {
        "DB_CONNECTION_STRING": connection_string,
        "TABLE_NAME": table,
        "API_ENDPOINT": f"http://127.0.0.1:{port}/1",
        "TOKEN_ENDPOINT": f"http://127.0.0.1:{port}/oauth2/v2.0/token",
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": CLIENT_SECRET,
        "SCOPE": SCOPE,
        "SUPPLIER_KEY": SUPPLIER_KEY,
        "LA_CODE": LA_CODE,
    }


@contextmanager
def receiver(port: int, latency_ms: int, folder: Path) -> Iterator[None]:
    """Serve the embedded receiver in a process of its own: nothing is kept, and no schema is checked."""
    command = [sys.executable, "-m", "api_pipeline", "simulate-api", "--port", str(port)]
    command += ["--latency-ms", str(latency_ms), "--no-check", "--no-keep"]
    process = subprocess.Popen(
        command, env=clean_environment({}), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        _wait_until_it_answers(process, port)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _STARTUP_S
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise BenchmarkFailed("the receiver did not start")
