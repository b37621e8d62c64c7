"""The collector against a simulated API inside the process.

python -m benchmarks.xporter [unchanged|first] [schools] [sqlite|postgresql]. `unchanged`: 300 ms latency, 4 schools at
once, six endpoints each, a night on which nothing changed. `first`: a first collection of many rows without latency.
The database is SQLite in the temporary folder, or a PostgreSQL server of its own by ODBC; both write every commit
through to the disk.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from api_pipeline.db import Connection, connect
from api_pipeline.xporter.collect import CollectSummary
from tests.support.postgres import AS_A_REAL_SERVER, running_server
from tests.support.xporter import TODAY, Rehearsal, make_school


def unchanged(schools: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = [make_school(number, pupils=20, weeks=1, today=TODAY) for number in range(1, schools + 1)]
        rehearsal = Rehearsal(Path(folder) / "bench.db", made)
        rehearsal.connection.execute("PRAGMA synchronous = FULL")
        rehearsal.collect(schools_at_once=4, weeks_back=0)
        rehearsal.simulator._sleep = time.sleep
        rehearsal.simulator.change(latency_s=0.3)
        before = rehearsal.connection.query('SELECT MAX(changed_at) FROM "xporter_Students"')
        seconds, summary = _timed(lambda: rehearsal.collect(schools_at_once=4, weeks_back=0))
        after = rehearsal.connection.query('SELECT MAX(changed_at) FROM "xporter_Students"')
        _say("unchanged night", seconds, summary)
        written = summary.counts.added + summary.counts.changed + summary.counts.deleted
        print(f"landing rows written: {written}; last change as before: {before == after}")


def first(schools: int, kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder, _database(kind) as connection:
        made = [make_school(number, pupils=3, weeks=1, today=TODAY) for number in range(1, schools + 1)]
        # One school's rows are served as every school's, so that the simulator's memory is not what is measured.
        full = make_school(1, pupils=1000, weeks=0, today=TODAY)
        for key in full.pupils:
            for day in range(5):
                for session in ("AM", "PM"):
                    full.mark(key, TODAY - timedelta(days=TODAY.weekday() - day), session, "/")
        for school in made:
            school.data = full.data
        rehearsal = Rehearsal(Path(folder) / "bench.db", made, connection=connection)
        if connection is None:
            rehearsal.connection.execute("PRAGMA synchronous = FULL")
        base = _peak_mb()
        seconds, summary = _timed(lambda: rehearsal.collect(schools_at_once=4, weeks_back=0))
        _say("first night", seconds, summary)
        rows = summary.counts.added
        print(f"{kind}: {rows} rows, {rows / seconds:.0f} a second")
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(f"processor time of this process: {used.ru_utime + used.ru_stime:.0f} s")
        print(f"memory: {base:.0f} MB before (the simulated schools among it), {_peak_mb():.0f} MB peak")


@contextmanager
def _database(kind: str) -> Iterator[Connection | None]:
    """Give a connection to a new database of a server of its own, None for SQLite's file."""
    if kind == "sqlite":
        yield None
        return
    with running_server(AS_A_REAL_SERVER) as server:
        connection = connect(server.connection_string(server.create_database()))
        before = _children_s()
        try:
            yield connection
        finally:
            connection.close()
    print(f"processor time of the server: {_children_s() - before:.0f} s")


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(work: object) -> tuple[float, CollectSummary]:
    began = time.monotonic()
    summary = work()  # type: ignore[operator] # a function without arguments
    return time.monotonic() - began, summary


def _say(title: str, seconds: float, summary: CollectSummary) -> None:
    print(
        f"{title}: {seconds:.1f} s, exit code {summary.exit_code}, {summary.schools} schools, {summary.rounds} rounds"
    )
    print(f"requests {summary.requests}, counts {summary.counts}, threads {threading.active_count()}")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "unchanged"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    if what == "first":
        first(count, sys.argv[3] if len(sys.argv) > 3 else "sqlite")
    else:
        unchanged(count)
