"""The product, the floor and today's tool by turns, with what each costs the client and the server.

A shared machine makes wall times unsteady, so CPU seconds and their ratios count. Linux only: the server's CPU seconds
are read from /proc.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyodbc

from benchmarks.cases import Case
from benchmarks.measure import Cost, median_of

_HEAD = "| program | mode | rows | client CPU s | server CPU s | commits | WAL MB | peak MB |"
_RULE = "|---|---|--:|--:|--:|--:|--:|--:|"


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a PostgreSQL server has done so far: CPU seconds of all its processes, commits, bytes of WAL."""

    cpu_seconds: float
    commits: int
    wal_bytes: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What one run cost: its own process, and the server meanwhile."""

    cost: Cost
    cpu_seconds: float
    commits: int
    wal_mb: float


def server_state(connection_string: str) -> ServerState:
    """Return what the server behind a connection has done so far, in this database as far as commits go."""
    connection = pyodbc.connect(connection_string, autocommit=True)
    try:
        connection.execute("SELECT pg_stat_force_next_flush()")
        pid, commits, wal = connection.execute(
            "SELECT pg_backend_pid(), (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()), "
            "CAST(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS BIGINT)"
        ).fetchone()
        # Behind the closing the session's process may be gone at once.
        postmaster = _parent_of(int(pid))
    finally:
        connection.close()
    return ServerState(_cpu_of_family(postmaster), int(commits), int(wal))


@contextmanager
def without_autovacuum(connection_string: str) -> Iterator[None]:
    """Let the server do no work of its own on tables that grow: its commits would count as those of the program."""
    connection = pyodbc.connect(connection_string, autocommit=True)
    try:
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            connection.execute("ALTER SYSTEM RESET autovacuum")
            connection.execute("SELECT pg_reload_conf()")
    finally:
        connection.close()


def _fields(pid: int) -> list[str]:
    # The name in the second field may hold blanks.
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _parent_of(pid: int) -> int:
    return int(_fields(pid)[1])


def _cpu_of_family(postmaster: int) -> float:
    """Return the CPU seconds of the server's main process, of its ended children and of those that live."""
    ticks = sum(map(int, _fields(postmaster)[11:15]))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = _fields(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == postmaster:
                ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(cases: Sequence[Case], run: Callable[[Case], Turn], rounds: int, echo: Callable[[str], object]) -> None:
    """Run the cases by turns, print the medians, and the ratios of the first case to each other one of its mode."""
    turns: dict[Case, list[Turn]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            turns[case].append(run(case))
    echo(f"{_HEAD}\n{_RULE}")
    medians = {case: _median(found) for case, found in turns.items()}
    for case, turn in medians.items():
        cells = (case.name, case.mode, f"{case.rows:,}", f"{turn.cost.cpu_seconds:.2f}", f"{turn.cpu_seconds:.2f}")
        echo(f"| {' | '.join(cells)} | {turn.commits:,} | {turn.wal_mb:.0f} | {turn.cost.peak_mb:.0f} |")
    for case, other in ((case, other) for case in cases for other in cases):
        if case.program == "ours" and other.program != "ours" and case.mode == other.mode:
            echo(_ratios(case, medians[case], other, medians[other]))


def _ratios(case: Case, ours: Turn, other: Case, theirs: Turn) -> str:
    client = ours.cost.cpu_seconds / theirs.cost.cpu_seconds
    server = ours.cpu_seconds / theirs.cpu_seconds
    return (
        f"{case.name}, {case.mode}, beside {other.program}: client {client:.2f} x, server {server:.2f} x, "
        f"commits {ours.commits / theirs.commits:.2f} x, WAL {ours.wal_mb / theirs.wal_mb:.2f} x, "
        f"peak memory {ours.cost.peak_mb / theirs.cost.peak_mb:.2f} x"
    )


def _median(turns: Sequence[Turn]) -> Turn:
    return Turn(
        median_of([turn.cost for turn in turns]),
        statistics.median(turn.cpu_seconds for turn in turns),
        round(statistics.median(turn.commits for turn in turns)),
        statistics.median(turn.wal_mb for turn in turns),
    )
