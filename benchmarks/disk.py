"""`python -m benchmarks.disk`: measures what the tables take on the disk after one night and after many."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import click

from api_pipeline.db import Connection, connect
from api_pipeline.sandbox.invented_children import changed
from api_pipeline.sandbox.simulator import LA_CODE
from api_pipeline.sql.identifiers import Dialect
from benchmarks.data import TABLE, Dataset, PostgresShop, Shop, SqliteShop
from benchmarks.measure import BenchmarkFailed, cost_of, receiver, settings_for
from tests.support.ports import free_port
from tests.support.postgres import AS_A_REAL_SERVER, ServerMissing, running_server

_LOG = "ssd_api_submission_log"
_BASELINES = "ssd_api_held"
_OTHERS = ("ssd_api_unconfirmed", "ssd_api_runs", "ssd_api_left_window", "ssd_api_built")
_SEED = 20261127
_HEAD = "| database | nights | LOG_KEEP_DAYS | staging table | baselines | submission log | other tables | together |"
_RULE = "|---|--:|--:|--:|--:|--:|--:|--:|"


@dataclass(frozen=True, slots=True)
class DiskCase:
    """A table of `rows` new rows, and `nights` more of which each changes `share` of them; full payloads are sent.

    `keep_days` is LOG_KEEP_DAYS, None where it is not set.
    """

    rows: int
    size: int
    nights: int
    share: float
    keep_days: int | None


def measure(case: DiskCase, shop: Shop, folder: Path, port: int) -> Iterator[tuple[int, Mapping[str, int]]]:
    """Yield, after one night and after the last, how many nights there were and the bytes of each table.

    Errors: BenchmarkFailed where a run does not exit 0.
    """
    rng = random.Random(_SEED)
    with shop.staging(Dataset(case.rows, case.size, has_history=False, control_tables=True)) as staging:
        settings = settings_for(port, staging.connection_string, TABLE)
        for night in range(case.nights + 1):
            with closing(connect(staging.connection_string)) as connection:
                if night:
                    _change(connection, rng, case, night)
                last_line = _last_line(connection)
            if case.keep_days is not None:
                # A line is as old as if the last night were today, see _age: what counts is the difference.
                settings["LOG_KEEP_DAYS"] = str(case.keep_days + case.nights - night)
            with receiver(port, 0, folder):
                cost_of([[sys.executable, "-m", "api_pipeline", "run", "--live", "--quiet"]], settings, folder)
            with closing(connect(staging.connection_string)) as connection:
                if connection.dialect is Dialect.POSTGRESQL:
                    # As its own housekeeping does between two nights.
                    connection.execute("VACUUM ANALYZE")
                if night in (0, case.nights):
                    yield night + 1, _bytes_of(connection)
                if case.keep_days is not None:
                    _age(connection, last_line, case.nights - night)
                    if connection.dialect is Dialect.POSTGRESQL and night == 0:
                        # So that the old versions of all lines are not free space that later nights fill.
                        connection.execute(f"VACUUM FULL {_LOG}")


def _change(connection: Connection, rng: random.Random, case: DiskCase, night: int) -> None:
    """Change a share of the rows as a council's SQL does: another share each night, so that all have their turn."""
    every = round(1 / case.share)
    rows = connection.query(f"SELECT id, json_payload FROM {TABLE} WHERE id % {every} = {night % every}")
    with connection.transaction():
        for row_id, text in rows:
            new = json.dumps(changed(rng, json.loads(text)), ensure_ascii=False, separators=(",", ":"))
            connection.execute(
                f"UPDATE {TABLE} SET json_payload = ?text, current_hash = ?, submission_status = 'pending', "
                "row_state = 'updated' WHERE id = ?",
                [new, sha256(new.encode()).digest(), row_id],
            )


def _last_line(connection: Connection) -> int:
    return int(connection.query(f"SELECT COALESCE(MAX(id), 0) FROM {_LOG}")[0][0])


def _age(connection: Connection, after: int, days: int) -> None:
    """Make the lines of a night's log as old as they are when the last night is over."""
    when = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(days=days)
    connection.execute(f"UPDATE {_LOG} SET logged_at = ?time WHERE id > ?", [when, after])


def _bytes_of(connection: Connection) -> dict[str, int]:
    """Return the bytes of each table with its indexes and its long texts, and on SQLite of nothing that is free."""
    found: dict[str, int] = {}
    for table in (TABLE, _BASELINES, _LOG, *_OTHERS):
        sql = f"SELECT pg_total_relation_size('{table}')"
        if connection.dialect is Dialect.SQLITE:
            sql = (
                "SELECT COALESCE(SUM(pgsize), 0) FROM dbstat WHERE name IN "
                f"(SELECT name FROM sqlite_master WHERE tbl_name = '{table}')"
            )
        found[table] = int(connection.query(sql)[0][0])
    return found


def _line(database: str, case: DiskCase, nights: int, found: Mapping[str, int]) -> str:
    parts = [found[TABLE], found[_BASELINES], found[_LOG], sum(found[table] for table in _OTHERS)]
    keep = "off" if case.keep_days is None else str(case.keep_days)
    cells = [database, str(nights), keep, *(f"{part / case.rows:,.0f}" for part in (*parts, sum(parts)))]
    return f"| {' | '.join(cells)} |"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rows", type=click.IntRange(100), default=2000, show_default=True, help="Rows of the staging table.")
@click.option("--size", type=click.IntRange(300), default=6500, show_default=True, help="Bytes of a payload.")
@click.option("--nights", type=click.IntRange(1), default=30, show_default=True, help="Nights after the first.")
@click.option("--share", type=click.FloatRange(0.001, 1), default=0.03, show_default=True, help="Changed each night.")
@click.option("--keep-days", type=click.IntRange(1), default=14, show_default=True, help="LOG_KEEP_DAYS, where set.")
@click.option("--database", "databases", multiple=True, type=click.Choice(["sqlite", "postgresql"]), help="Only this.")
def main(rows: int, size: int, nights: int, share: float, keep_days: int, databases: tuple[str, ...]) -> None:
    """Measure bytes a row on the disk, after one night and after many, with and without LOG_KEEP_DAYS."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="d2i-csc-api-bench-")))
        port = free_port()
        address = f"http://127.0.0.1:{port}/1/children_social_care_data/{LA_CODE}/children"
        click.echo(f"{_HEAD}\n{_RULE}")
        for database in databases or ("sqlite", "postgresql"):
            try:
                shop: Shop = SqliteShop(folder, address)
                if database == "postgresql":
                    shop = PostgresShop(stack.enter_context(running_server(AS_A_REAL_SERVER)), address)
                for keep in (None, keep_days):
                    case = DiskCase(rows, size, nights, share, keep)
                    for count, found in measure(case, shop, folder, port):
                        click.echo(_line(database, case, count, found))
            except ServerMissing as reason:
                click.echo(f"No PostgreSQL: {reason}.", err=True)
            except BenchmarkFailed as failure:
                raise click.ClickException(str(failure)) from None


if __name__ == "__main__":
    main()
