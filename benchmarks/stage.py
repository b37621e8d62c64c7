"""`python -m benchmarks.stage`: measures whole stagings, the first night and a night with changes."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import click

from api_pipeline.db import Connection, connect
from api_pipeline.sandbox.simulator import LA_CODE
from api_pipeline.sandbox.synthetic_ssd import SyntheticSsd, create_tables, fill, write_night
from api_pipeline.sql import ddl
from api_pipeline.sql.connection_string import SQLITE_PREFIX
from api_pipeline.sql.identifiers import Dialect
from benchmarks.measure import BenchmarkFailed, Cost, cost_of, median_of
from tests.support.postgres import AS_A_REAL_SERVER, PostgresServer, ServerMissing, running_server

TABLE = "ssd_api_data_staging"
# The synthetic people live around this day; measuring it in another year gives the same rows.
AS_OF = date(2026, 8, 10)
_ENDPOINT = "http://127.0.0.1:1/1"
_RECEIVER = f"{_ENDPOINT}/children_social_care_data/{LA_CODE}/children"
_SEED = 20260810
_ROWS_IN_A_PAGE = 1000
_LARGE = 50_000
_HEAD = "| database | people | SSD rows | night | seconds | people/s | CPU s | peak MB |"
_RULE = "|---|--:|--:|---|--:|--:|--:|--:|"
FIRST = "first"
UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class StageCase:
    """A council to be measured on two nights: `share` of its people change before the second; None: no second.

    Without `has_indexes` the SSD has its primary keys alone.
    """

    people: int
    database: str = "postgresql"
    share: float | None = 0.03
    has_indexes: bool = True

    @property
    def name(self) -> str:
        """Return what the line is called in the table."""
        return self.database if self.has_indexes else f"{self.database}, no indexes"


SMOKE = (StageCase(200, "sqlite"), StageCase(200))
CASES = (
    StageCase(10_000, "sqlite"),
    StageCase(10_000),
    StageCase(10_000, has_indexes=False),
    StageCase(50_000, "sqlite"),
    StageCase(50_000),
)


class Place(Protocol):
    """Where databases of one kind are made and copied; a database is known by its name."""

    def new(self) -> str:
        """Make an empty database."""

    def text(self, name: str) -> str:
        """Return its connection string."""

    def copied(self, name: str) -> str:
        """Make a copy."""

    def drop(self, name: str) -> None:
        """Take a database away."""


class SqlitePlace:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def new(self) -> str:
        self._count += 1
        return str(self._folder / f"stage-{self._count}.db")

    def text(self, name: str) -> str:
        return f"{SQLITE_PREFIX}{name}"

    def copied(self, name: str) -> str:
        copy = self.new()
        shutil.copyfile(name, copy)
        return copy

    def drop(self, name: str) -> None:
        Path(name).unlink()


class PostgresPlace:
    """Databases of one server."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def new(self) -> str:
        return self._server.create_database()

    def text(self, name: str) -> str:
        return self._server.connection_string(name)

    def copied(self, name: str) -> str:
        return self._server.create_database(template=name)

    def drop(self, name: str) -> None:
        self._server.drop_database(name)


def places(folder: Path, stack: ExitStack, wanted: Sequence[StageCase]) -> dict[str, Place]:
    """Return the places that can be had here, by the name of their database."""
    found: dict[str, Place] = {"sqlite": SqlitePlace(folder)}
    if any(case.database == "postgresql" for case in wanted):
        try:
            found["postgresql"] = PostgresPlace(stack.enter_context(running_server(AS_A_REAL_SERVER)))
        except ServerMissing as reason:
            click.echo(f"No PostgreSQL: {reason}.", err=True)
    return found


def measure(cases: Sequence[StageCase], folder: Path, stack: ExitStack, repeat: int) -> None:
    """Measure the cases whose database is to be had here, and print a line for each night."""
    found = places(folder, stack, cases)
    click.echo(f"{_HEAD}\n{_RULE}")
    for case in cases:
        if case.database in found:
            # The largest cases are long enough to be steady by themselves.
            times = 1 if case.people >= _LARGE else repeat
            for night, rows, cost in _nights(case, found[case.database], folder, times):
                click.echo(_line(case, night, rows, cost))


def _nights(case: StageCase, place: Place, folder: Path, repeat: int) -> Iterator[tuple[str, int, Cost]]:
    ssd = SyntheticSsd(case.people, AS_OF, _SEED, all_cases_first=False)
    source = place.new()
    try:
        with _opened(place, source) as connection:
            ddl.apply(connection.execute, connection.dialect, TABLE)
            create_tables(connection.execute, connection.dialect, has_indexes=case.has_indexes)
            rows = fill(connection, ssd)
            _tidy(connection)
        yield FIRST, rows, median_of([_cost_on_a_copy(place, source, folder) for _ in range(repeat)])
        if case.share is None:
            return
        _stage(place, source, folder)
        with _opened(place, source) as connection:
            _send_all(connection)
            _tidy(connection)
        yield UNCHANGED, rows, median_of([_cost_on_a_copy(place, source, folder) for _ in range(repeat)])
        with _opened(place, source) as connection:
            write_night(connection, ssd.next_night(random.Random(_SEED), case.share, AS_OF))
            _tidy(connection)
        costs = [_cost_on_a_copy(place, source, folder) for _ in range(repeat)]
        yield f"{100 * case.share:g} % changed", rows, median_of(costs)
    finally:
        place.drop(source)


def _cost_on_a_copy(place: Place, source: str, folder: Path) -> Cost:
    copy = place.copied(source)
    try:
        return _stage(place, copy, folder)
    finally:
        place.drop(copy)


def _stage(place: Place, name: str, folder: Path) -> Cost:
    settings = {
        "DB_CONNECTION_STRING": place.text(name),
        "TABLE_NAME": TABLE,
        "API_ENDPOINT": _ENDPOINT,
        "LA_CODE": LA_CODE,
    }
    command = [sys.executable, "-m", "api_pipeline", "stage", "--quiet", "--as-of", AS_OF.isoformat()]
    return cost_of([command], settings, folder)


@contextmanager
def _opened(place: Place, name: str) -> Iterator[Connection]:
    with closing(connect(place.text(name), create=True)) as connection:
        if connection.dialect is Dialect.SQLITE:
            connection.execute("PRAGMA synchronous = OFF")
        yield connection


def _send_all(connection: Connection) -> None:
    """Make the table what it is after a night on which everything was accepted."""
    with connection.transaction():
        connection.execute(
            f"UPDATE {TABLE} SET submission_status = 'sent', row_state = 'unchanged', "
            "previous_json_payload = json_payload, previous_hash = current_hash, api_response = 'receipt'"
        )
    last = 0
    page = connection.page(_ROWS_IN_A_PAGE)["page"]
    while rows := connection.query(
        f"SELECT id, person_id, json_payload FROM {TABLE} WHERE id > ? ORDER BY id {page}", [last]
    ):
        last = int(rows[-1][0])
        with connection.transaction():
            connection.execute_many(
                "INSERT INTO ssd_api_held (receiver, la_child_id, held_payload, held_hash, receipt) "
                "VALUES (?, ?, ?, ?, 'receipt')",
                [(_RECEIVER, person, text, sha256(text.encode()).hexdigest()) for _, person, text in rows],
            )


def _tidy(connection: Connection) -> None:
    connection.execute("ANALYZE" if connection.dialect is Dialect.SQLITE else "VACUUM ANALYZE")


def _line(case: StageCase, night: str, rows: int, cost: Cost) -> str:
    rate = case.people / cost.seconds
    cells = (case.name, f"{case.people:,}", f"{rows:,}", night, f"{cost.seconds:.1f}", f"{rate:,.0f}")
    return f"| {' | '.join((*cells, f'{cost.cpu_seconds:.1f}', f'{cost.peak_mb:.0f}'))} |"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--smoke", is_flag=True, help="A small one: 200 people, every database that is there.")
@click.option("--people", multiple=True, type=click.IntRange(1, 1_000_000), help="A case of your own, with the rest:")
@click.option("--database", type=click.Choice(["postgresql", "sqlite"]), default="postgresql", show_default=True)
@click.option("--share", type=click.FloatRange(0, 1), default=0.03, show_default=True, help="Changed before night two.")
@click.option("--indexes/--no-indexes", default=True, help="Whether the SSD has indexes besides its keys.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Runs of a night; medians count.")
def main(smoke: bool, people: tuple[int, ...], database: str, share: float, indexes: bool, repeat: int) -> None:
    """Measure whole stagings of a synthetic SSD; without options 10,000 and 50,000 people on every database."""
    own = tuple(StageCase(count, database, share, indexes) for count in people)
    cases = own or (SMOKE if smoke else CASES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="d2i-csc-api-bench-")))
        try:
            measure(cases, folder, stack, 1 if smoke else repeat)
        except BenchmarkFailed as failure:
            raise click.ClickException(str(failure)) from None


if __name__ == "__main__":
    main()
