"""Start programs as whole processes and measure what they cost (Linux and macOS: it asks the kernel by wait4)."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from api_pipeline.sandbox.simulator import CLIENT_ID, CLIENT_SECRET, LA_CODE, SCOPE, SUPPLIER_KEY
from tests.support.commands import clean_environment

_STARTUP_S = 30.0
_BYTES_IN_MAXRSS = 1 if sys.platform == "darwin" else 1024


class BenchmarkFailed(Exception):
    """A run that was to be measured did not do its work; the text says what it said."""


# Linux counts the memory of the process that starts another to the peak of the other, so a small one starts them.
_STARTER = """
import os, subprocess, sys
started = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(started.pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status) & 255)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What processes that ran side by side cost together: wall-clock and CPU seconds, and the largest one's memory."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def median_of(costs: Sequence[Cost]) -> Cost:
    """Return the median of the seconds, and the largest memory."""
    return Cost(
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.cpu_seconds for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def cost_of(commands: Sequence[Sequence[str]], env: Mapping[str, str], folder: Path) -> Cost:
    """Run programs side by side and return what they cost. Errors: BenchmarkFailed where one does not exit 0."""
    began = time.perf_counter()
    with TemporaryFile() as output, TemporaryDirectory() as usages:
        files = [Path(usages) / str(place) for place in range(len(commands))]
        running = [
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _STARTER, str(file), *command],
                env=clean_environment(env),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            for command, file in zip(commands, files, strict=True)
        ]
        codes = [process.wait() for process in running]
        seconds = time.perf_counter() - began
        if any(codes):
            output.seek(0)
            raise BenchmarkFailed(f"exit codes {codes}:\n{output.read().decode(errors='replace')[-4000:]}")
        used = [tuple(map(float, file.read_text().split())) for file in files]
    return Cost(seconds, sum(cpu for cpu, _ in used), max(peak for _, peak in used) * _BYTES_IN_MAXRSS / 1e6)


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
