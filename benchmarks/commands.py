"""`python -m benchmarks.commands`: what other commands than `run` cost, by turns with another checkout of the program.

CPU seconds of whole processes, user and system together, on SQLite. A shared machine makes single rounds unsteady and
only ever adds to them, so the least of the rounds counts.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from api_pipeline.sandbox.simulator import LA_CODE
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect
from benchmarks.cases import Case
from benchmarks.data import TABLE, SqliteShop, dataset_of
from benchmarks.measure import BenchmarkFailed, cost_of, receiver, settings_for
from tests.support.commands import ROOT
from tests.support.ports import free_port

_PAYLOAD = '{"la_child_id":"\' || %s || \'","purge":false,"child_details":{"first_name":"\' || %s || \'"}}'
_PADDING = "x" * 220


@dataclass(frozen=True, slots=True)
class CommandCase:
    """A command to be measured, and how many rows its table has; `has_history` gives each row two payloads."""

    name: str
    arguments: tuple[str, ...]
    rows: int = 1
    has_history: bool = False


CASES = {
    "help": CommandCase("--help", ("--help",)),
    "run": CommandCase("run of one due row", ("run", "--live", "--quiet")),
    "anonymise": CommandCase(
        "anonymise, two payloads in each row", ("anonymise", "--replace", "--quiet"), 10_000, has_history=True
    ),
    "status": CommandCase("status, 90 % sent, 9 % due, as many baselines", ("status", "--quiet"), 1_000_000),
}


@contextmanager
def _database(case: CommandCase, folder: Path, rows: int, endpoint: str) -> Iterator[str]:
    """Return the connection string of a database for one run of a case.

    Errors: BenchmarkFailed where a run did not send the rows.
    """
    if case.name.startswith("status"):
        path = folder / "status.db"
        if not path.exists():
            _fill_for_status(path, rows, f"{endpoint}/children_social_care_data/{LA_CODE}/children")
        yield f"sqlite:///{path}"
        return
    shop = _SHOPS.setdefault(case.name, SqliteShop(_subfolder(folder, case.name), f"{endpoint}/receiver"))
    with shop.staging(dataset_of(Case(rows=rows, mode="deltas" if case.has_history else "full"))) as staging:
        yield staging.connection_string
        if case.arguments[0] == "run" and (sent := staging.count("submission_status = 'sent'")) != rows:
            raise BenchmarkFailed(f"{sent} of {rows} rows were sent")


_SHOPS: dict[str, SqliteShop] = {}


def _subfolder(folder: Path, name: str) -> Path:
    made = folder / "".join(filter(str.isalpha, name))
    made.mkdir(exist_ok=True)
    return made


def _fill_for_status(path: Path, rows: int, receiver_url: str) -> None:
    """Make a staging table of small payloads: of 100 rows 90 are sent, 9 due and one in error."""
    payload = f"'{_PAYLOAD % ('n', repr(_PADDING)[1:-1])}'".replace(f"' || {_PADDING} || '", _PADDING)
    state = "CASE WHEN n % 100 < 90 THEN '{0}' WHEN n % 100 < 99 THEN '{1}' ELSE '{2}' END"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        ddl.apply(connection.execute, Dialect.SQLITE, TABLE)
        numbers = f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})"
        connection.execute(
            f"{numbers} INSERT INTO {TABLE} (person_id, json_payload, previous_json_payload, submission_status, "
            f"row_state, api_response) SELECT 'P' || n, {payload}, CASE WHEN n % 100 < 95 THEN {payload} END, "
            f"{state.format('sent', 'pending', 'error')}, {state.format('unchanged', 'updated', 'updated')}, "
            "CASE WHEN n % 100 < 99 THEN 'receipt' ELSE 'REJECTED: a rule' END FROM numbers"
        )
        connection.execute(
            f"{numbers} INSERT INTO ssd_api_held (receiver, la_child_id, held_payload, held_hash, receipt) "
            f"SELECT ?, 'P' || n, {payload}, '', 'receipt' FROM numbers",
            (receiver_url,),
        )
        connection.execute("COMMIT")


def measure(case: CommandCase, rows: int, checkouts: list[Path], rounds: int, folder: Path) -> dict[Path, float]:
    """Return the least CPU seconds of a case for each checkout; each round measures them one after the other."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}/1"
    found: dict[Path, list[float]] = {checkout: [] for checkout in checkouts}
    with receiver(port, 0, folder):
        for _ in range(rounds):
            for checkout in checkouts:
                with _database(case, folder, rows, endpoint) as text:
                    command = [sys.executable, "-m", "api_pipeline", *case.arguments]
                    settings = {**settings_for(port, text, TABLE), "PYTHONPATH": str(checkout)}
                    found[checkout].append(cost_of([command], settings, folder).cpu_seconds)
    return {checkout: min(seconds) for checkout, seconds in found.items()}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--case", "names", multiple=True, type=click.Choice(list(CASES)), help="Only this case.")
@click.option("--rows", type=click.IntRange(1), help="Rows of the table instead of the case's own number.")
@click.option("--before", type=click.Path(path_type=Path, exists=True), help="Another checkout, measured by turns.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Rounds; the least counts.")
def main(names: tuple[str, ...], rows: int | None, before: Path | None, rounds: int) -> None:
    """Measure commands, and print the least CPU seconds of each."""
    checkouts = [*([before.resolve()] if before else []), ROOT]
    click.echo(f"| what | rows |{' before |' if before else ''} now |\n|---|--:|{'--:|' * len(checkouts)}")
    for name in names or CASES:
        case = CASES[name]
        count = rows or case.rows
        with tempfile.TemporaryDirectory(prefix="d2i-csc-api-bench-") as folder:
            _SHOPS.clear()
            try:
                costs = measure(case, count, checkouts, rounds, Path(folder))
            except BenchmarkFailed as failure:
                raise click.ClickException(str(failure)) from None
        click.echo(f"| {case.name} | {count:,} | {' | '.join(f'{costs[checkout]:.3f}' for checkout in checkouts)} |")


if __name__ == "__main__":
    main()
