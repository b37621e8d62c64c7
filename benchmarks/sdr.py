"""The Single Data Return: first upload, idle rerun and memory, against a simulated TEC in a process of its own.

Run: python -m benchmarks.sdr [--rows N] [--limit N] [--latency-ms N] [--database sqlite|postgresql]
Prints one JSON object. The rows are learners of about 465 bytes; the simulator keeps no records. PostgreSQL is a server
of the benchmark's own, with the settings that it comes with. CPU seconds of the simulator and of PostgreSQL are read
from /proc, on Linux alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from api_pipeline.db import connect
from api_pipeline.sdr import schema
from api_pipeline.sdr.opening import make_store
from tests.support.postgres import AS_A_REAL_SERVER, running_server

_PAGE = 1000
_PAYLOAD = (
    '{{"studentIdentificationCode":"S{0:07d}","gender":"F","dateOfBirth":"1999-03-12T00:00:00Z","nameIdCode":"AAAAA",'
    '"totalFeeForDomesticStudent":1234.5,"filler":"' + "x" * 320 + '"}}'
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--check", default="warn", help="SDR_CHECK of the submissions")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _database(given.database, Path(folder)) as connection:
        _fill(connection, given.rows)
        simulate = ["simulate", "--port", "0", "--no-keep", "--batch-limit", str(given.limit)]
        command = [sys.executable, "-m", "api_pipeline", "sdr", *simulate, "--latency-ms", str(given.latency_ms)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
        try:
            settings = {**_settings(server, connection, given.limit), "SDR_CHECK": given.check}
            first = _timed(settings, folder)
            idle = _timed(settings, folder)
        finally:
            server.terminate()
            server.wait()
    # The records', and the login, the list of returns and the submission token.
    requests = -(-given.rows // given.limit) + 3
    report = {
        "rows": given.rows,
        "limit": given.limit,
        "latency_ms": given.latency_ms,
        "check": given.check,
        "database": given.database,
        "first_upload": {**first, "rows_per_s": round(given.rows / first["wall_s"])},
        "idle_rerun": {**idle, "rows_per_s": round(given.rows / idle["wall_s"])},
        "wall_by_requests_and_latency": (
            round(first["wall_s"] / (requests * given.latency_ms / 1000), 2) if given.latency_ms else None
        ),
    }
    print(json.dumps(report, indent=2))


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    """Give the connection string of an empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'sdr.db'}"
        return
    with running_server(AS_A_REAL_SERVER) as server:
        yield server.connection_string(server.create_database())


def _cpu() -> dict[str, float]:
    """Return the CPU seconds so far of each program that this one started, with those of its own processes."""
    total: dict[str, float] = {}
    ours: dict[int, str] = {}
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            before, _, after = path.read_text(encoding="ascii", errors="replace").rpartition(")")
            number, name = int(before.partition(" ")[0]), before.partition("(")[2]
            fields = after.split()
            found.append((number, int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")))
            if int(fields[1]) == os.getpid():
                ours[number] = "postgresql" if name == "postgres" else "simulator"
    for number, parent, seconds in found:
        program = ours.get(number) or ours.get(parent)
        if program:
            total[program] = total.get(program, 0.0) + seconds
    return total


def _fill(connection_string: str, rows: int) -> None:
    connection = connect(connection_string, create=True)
    try:
        schema.apply(connection, "sdr_staging")
        store = make_store(connection, "sdr_staging")
        for start in range(0, rows, _PAGE):
            numbers = range(start, min(start + _PAGE, rows))
            with connection.transaction():
                store.insert("insert_staged", [("learners", f"S{n:07d}", _PAYLOAD.format(n)) for n in numbers])
        # As the database does by itself within a minute of such a change: the run does not follow it at once.
        connection.execute("ANALYZE")
    finally:
        connection.close()


def _settings(server: subprocess.Popen[str], connection: str, limit: int) -> dict[str, str]:
    assert server.stdout is not None
    settings: dict[str, str] = {}
    for line in server.stdout:
        found = re.fullmatch(r"(SDR_\w+)=(.*)\n", line)
        if found:
            settings[found[1]] = found[2]
        elif settings:
            break
    extra = {
        "DB_CONNECTION_STRING": connection,
        "TESTING_MODE": "false",
        "SDR_BATCH_SIZE": str(limit),
        "SDR_CHECK": "off",
    }
    # As installed: with the compiled modules that an environment for development may forbid to write.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **settings, **extra}


def _timed(settings: dict[str, str], folder: str) -> dict[str, Any]:
    code = (
        "import resource,sys,json;from api_pipeline.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: code=end.code or 0\n"
        "used=resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(json.dumps({'code':code,'cpu_s':round(used.ru_utime+used.ru_stime,2),'rss_mib':round(used.ru_maxrss/1024)}))"
    )
    period = str(time.gmtime().tm_year * 100 + 12)
    before = _cpu()
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, "sdr", "submit", period, "--quiet"],
        env=settings,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    if not done.stdout.strip() or '"code": 0' not in done.stdout:
        raise SystemExit(f"the submission failed: {done.stdout}{done.stderr}")
    used = {f"{program}_cpu_s": round(seconds - before[program], 2) for program, seconds in _cpu().items()}
    return {"wall_s": round(wall, 2), **json.loads(done.stdout.splitlines()[-1]), **used}


if __name__ == "__main__":
    main()
