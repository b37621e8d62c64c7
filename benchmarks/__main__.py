"""`python -m benchmarks`: measures the chosen cases and prints a table of what they cost."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from api_pipeline.sandbox.simulator import LA_CODE
from benchmarks import by_turns, stage
from benchmarks.by_turns import Turn, server_state, without_autovacuum
from benchmarks.cases import FLOOR, OTHER_PROGRAMS, PARTS, SETS, Case
from benchmarks.data import TABLE, PostgresShop, Shop, SqliteShop, Staging, dataset_of
from benchmarks.measure import (
    BenchmarkFailed,
    Cost,
    cost_of,
    median_of,
    receiver,
    seconds_to_first_request,
    settings_for,
)
from tests.support.commands import ROOT
from tests.support.ports import free_port
from tests.support.postgres import AS_A_REAL_SERVER, ServerMissing, running_server

_HEAD = (
    "| program | database | mode | rows | payload | latency | in flight | seconds | records/s | of ideal "
    "| CPU s | peak MB |"
)
_RULE = "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
_STARTS = 5
_ROUNDS = 7
_EXECUTABLE = ROOT / "dist" / "exe" / ("csc_api_pipeline.exe" if os.name == "nt" else "csc_api_pipeline")
# What is not measured case by case: parts by turns, from start to the first request, and stagings.
_OTHER_SETS = ("parts", "floor", "start", "stage", "help")


class Bench:
    """One session of measuring: a receiver's address, and a place for data of each kind of database."""

    def __init__(self, folder: Path, stack: ExitStack, *, postgres_too: bool) -> None:
        self._folder = folder
        self._port = free_port()
        self._endpoint = f"http://127.0.0.1:{self._port}/1"
        self._receiver = f"{self._endpoint}/children_social_care_data/{LA_CODE}/children"
        self._shops: dict[str, Shop] = {"sqlite": SqliteShop(folder, self._receiver)}
        if postgres_too:
            try:
                server = stack.enter_context(running_server(AS_A_REAL_SERVER))
                self._shops["postgresql"] = PostgresShop(server, self._receiver)
            except ServerMissing as reason:
                click.echo(f"No PostgreSQL: {reason}.", err=True)

    def can_run(self, case: Case) -> bool:
        """Return whether the case's database is to be had here."""
        return case.database in self._shops

    def run(self, case: Case) -> Cost:
        """Measure one run. Errors: BenchmarkFailed where it does not exit 0, or a row is not sent."""
        with self._shops[case.database].staging(dataset_of(case)) as staging:
            with receiver(self._port, case.latency_ms, self._folder):
                cost = cost_of(_commands(case), self._settings(case, staging), self._folder)
            sent = staging.count("submission_status = 'sent'")
        if sent != case.rows:
            raise BenchmarkFailed(f"{sent} of {case.rows} rows were sent")
        return cost

    def turn(self, case: Case) -> Turn:
        """Measure one run, and the server meanwhile. Errors: BenchmarkFailed as in `run`."""
        with self._shops[case.database].staging(dataset_of(case)) as staging:
            text = staging.connection_string
            with receiver(self._port, case.latency_ms, self._folder), without_autovacuum(text):
                before = server_state(text)
                cost = cost_of(_commands(case), self._settings(case, staging), self._folder)
                after = server_state(text)
            sent = staging.count("submission_status = 'sent'")
        if sent != case.rows:
            raise BenchmarkFailed(f"{sent} of {case.rows} rows were sent")
        return Turn(
            cost,
            after.cpu_seconds - before.cpu_seconds,
            after.commits - before.commits,
            (after.wal_bytes - before.wal_bytes) / 1e6,
        )

    def start(self, case: Case) -> float:
        """Return the seconds from starting the program to its first request."""
        with self._shops[case.database].staging(dataset_of(case)) as staging:
            command = _commands(case)[0]
            return seconds_to_first_request(command, self._settings(case, staging), self._folder, self._port)

    def _settings(self, case: Case, staging: Staging) -> dict[str, str]:
        return {
            **settings_for(self._port, staging.connection_string, TABLE),
            "MAX_IN_FLIGHT": str(case.in_flight),
            "USE_PARTIAL_PAYLOAD": str(case.mode == "deltas").lower(),
            "SCHEMA_CHECK": "reject" if case.checks else "off",
            "SCHEMA_CODES": "warn" if case.checks else "off",
        }


def _commands(case: Case) -> list[list[str]]:
    if module := OTHER_PROGRAMS.get(case.program):
        return [[sys.executable, "-m", f"benchmarks.{module}"]]
    run = [sys.executable, "-m", "api_pipeline", "run", "--live", "--quiet"]
    return [
        [*run, "--shard", f"{shard}/{case.shards}"] if case.shards > 1 else run for shard in range(1, case.shards + 1)
    ]


def _line(case: Case, cost: Cost) -> str:
    rate = case.rows / cost.seconds
    ideal = f"{100 * rate / case.ideal_rate:.0f} %" if case.ideal_rate and case.program == "ours" else ""
    in_flight = 1 if case.program in OTHER_PROGRAMS else case.in_flight
    cells = (
        case.name,
        case.database,
        case.mode,
        f"{case.rows:,}",
        f"{case.size / 1000:g} KB",
        f"{case.latency_ms} ms",
        in_flight,
        f"{cost.seconds:.2f}",
        f"{rate:,.0f}",
        ideal,
        f"{cost.cpu_seconds:.2f}",
        f"{cost.peak_mb:.0f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def _measure(bench: Bench, cases: Iterable[Case], repeat: int, *, skip_missing: bool) -> None:
    click.echo(f"{_HEAD}\n{_RULE}")
    for case in cases:
        if not bench.can_run(case):
            if skip_missing:
                continue
            raise BenchmarkFailed(f"{case.database} is not to be had here")
        # The largest cases are long enough to be steady by themselves.
        times = 1 if case.rows >= 100_000 else repeat
        click.echo(_line(case, median_of([bench.run(case) for _ in range(times)])))


def _measure_parts(bench: Bench, cases: Sequence[Case], rounds: int) -> None:
    """Measure what parts of the program cost, by turns: a machine that grows busier does so for all of them."""
    whole, *without = cases
    costs: dict[Case, list[Cost]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            costs[case].append(bench.run(case))
    click.echo(f"{_HEAD}\n{_RULE}")
    for case in cases:
        click.echo(_line(case, median_of(costs[case])))
    for case in without:
        added = [100 * (one.seconds / other.seconds - 1) for one, other in zip(costs[whole], costs[case], strict=True)]
        shown = ", ".join(f"{round(percent)}" for percent in sorted(added))
        click.echo(f"in comparison with {case.name}: {round(statistics.median(added)):+d} % (rounds: {shown})")


def _measure_start(bench: Bench) -> None:
    for database in ("sqlite", "postgresql"):
        case = Case(rows=10_000, database=database)
        if bench.can_run(case):
            seconds = [bench.start(case) for _ in range(_STARTS)]
            click.echo(f"start to first request, {database}, 10,000 rows due: {statistics.median(seconds):.2f} s")


def _measure_help(folder: Path, starts: int) -> None:
    programs = {"as a package": [sys.executable, "-m", "api_pipeline"], "as an executable": [str(_EXECUTABLE)]}
    for name, command in programs.items():
        if name == "as an executable" and not _EXECUTABLE.is_file():
            click.echo("No executable: scripts/build-exe makes it.", err=True)
            continue
        seconds = [cost_of([[*command, "--help"]], {}, folder).seconds for _ in range(starts)]
        click.echo(f"--help, {name}: {statistics.median(seconds):.2f} s")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--smoke", is_flag=True, help="A small one: 300 rows, every database that is there, no timing asked.")
@click.option("--all", "everything", is_flag=True, help="Every set of cases (more than half an hour).")
@click.option("--set", "sets", multiple=True, type=click.Choice([*SETS, *_OTHER_SETS]), help="One named set of cases.")
@click.option("--rows", multiple=True, type=click.IntRange(1, 1_000_000), help="A case of your own, with the rest:")
@click.option("--size", type=click.IntRange(500), default=6500, show_default=True, help="Bytes of one payload.")
@click.option("--mode", type=click.Choice(["full", "deltas"]), default="full", show_default=True)
@click.option("--database", type=click.Choice(["postgresql", "sqlite"]), default="postgresql", show_default=True)
@click.option("--latency-ms", type=click.IntRange(0), default=0, show_default=True)
@click.option("--in-flight", type=click.IntRange(1, 16), default=4, show_default=True)
@click.option("--shards", type=click.IntRange(1, 16), default=1, show_default=True)
@click.option("--reference/--no-reference", help="The straightforward program as well.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Runs of a case; medians count.")
def main(
    smoke: bool,
    everything: bool,
    sets: tuple[str, ...],
    rows: tuple[int, ...],
    reference: bool,
    repeat: int,
    **own: object,
) -> None:
    """Measure whole runs against the embedded receiver, and print what they cost."""
    names = [name for name in (*SETS, *_OTHER_SETS) if name != "smoke"] if everything else list(sets)
    if smoke:
        names, repeat = ["smoke"], 1
    case = replace(Case(rows=1), **own)  # type: ignore[arg-type] # click has checked each by its type
    cases = [replace(case, rows=count, program=program) for count in rows for program in _programs(reference)]
    if not names and not cases:
        raise click.UsageError("Say what to measure: --smoke, --all, --set or --rows.")
    wanted = [*(found for name in names for found in SETS.get(name, ())), *cases]
    needs_postgres = bool({"parts", "floor", "start"} & set(names)) or any(
        found.database == "postgresql" for found in wanted
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="d2i-csc-api-bench-")))
        bench = Bench(folder, stack, postgres_too=needs_postgres)
        try:
            if wanted:
                _measure(bench, wanted, repeat, skip_missing=smoke)
            if "parts" in names:
                for turns in PARTS:
                    _measure_parts(bench, turns, max(repeat, _ROUNDS))
            if "floor" in names:
                by_turns.measure(FLOOR, bench.turn, repeat, click.echo)
            if "start" in names:
                _measure_start(bench)
            if smoke or "help" in names:
                _measure_help(folder, 1 if smoke else _STARTS)
            if smoke or "stage" in names:
                stage.measure(stage.SMOKE if smoke else stage.CASES, folder, stack, repeat)
        except BenchmarkFailed as failure:
            raise click.ClickException(str(failure)) from None


def _programs(reference: bool) -> tuple[str, ...]:
    return ("ours", "reference") if reference else ("ours",)


if __name__ == "__main__":
    main()
