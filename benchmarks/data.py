"""Make the staging table of a case, fast: a few hundred invented children, multiplied inside the database."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyodbc

from api_pipeline.sandbox.invented_children import changed, invented_child
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect
from benchmarks.cases import Case
from tests.support.postgres import PostgresServer

TABLE = "ssd_api_data_staging"
_TEMPLATES = 300
# Seven digits that stand in a template wherever the child's own number is to come.
_NUMBER = 7777777
_FIRST = 1_000_001


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a staging table holds: cases that agree in it can start from copies of one table."""

    rows: int
    size: int
    has_history: bool
    control_tables: bool


def dataset_of(case: Case) -> Dataset:
    """Return the data that a case starts from; deltas need children that are held in an earlier version."""
    return Dataset(case.rows, case.size, case.mode != "full", case.control_tables)


Execute = Callable[[str, tuple[object, ...]], Any]


def _fill(execute: Execute, dialect: Dialect, dataset: Dataset, receiver: str) -> None:
    ddl.apply(lambda sql: execute(sql, ()), dialect, TABLE)
    rng = random.Random(dataset.size)
    execute("CREATE TABLE template (slot INTEGER PRIMARY KEY, before_text TEXT, now_text TEXT)", ())
    for slot in range(_TEMPLATES):
        child = invented_child(rng, _NUMBER, dataset.size)
        before = _text(child)
        now = _text(changed(rng, child)) if dataset.has_history else before
        execute("INSERT INTO template VALUES (?, ?, ?)", (slot, before, now))
    number = f"CAST(numbers.n + {_FIRST} AS VARCHAR(7))"
    is_sqlite = dialect is Dialect.SQLITE
    hash_of = "sha256_of(%s)" if is_sqlite else "sha256(convert_to(%s, 'UTF8'))"
    before, now = (f"REPLACE({column}, '{_NUMBER}', {number})" for column in ("before_text", "now_text"))
    history = f"{before}, {hash_of % before}" if dataset.has_history else "NULL, NULL"
    state = "updated" if dataset.has_history else "new"
    execute(
        f"WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {dataset.rows - 1}) "
        f"INSERT INTO {TABLE} (person_id, json_payload, current_hash, previous_json_payload, previous_hash, "
        "submission_status, row_state) "
        f"SELECT 'DEMO' || {number}, {now}, {hash_of % now}, {history}, 'pending', '{state}' "
        f"FROM numbers JOIN template ON slot = n % {_TEMPLATES} ORDER BY n",
        (),
    )
    if dataset.has_history:
        text_hash = "LOWER(HEX(previous_hash))" if is_sqlite else "ENCODE(previous_hash, 'hex')"
        execute(
            "INSERT INTO ssd_api_held (receiver, la_child_id, held_payload, held_hash, receipt) "
            f"SELECT ?, person_id, previous_json_payload, {text_hash}, 'earlier' FROM {TABLE}",
            (receiver,),
        )
    if not dataset.control_tables:
        for table in ("held", "submission_log", "unconfirmed", "runs"):
            execute(f"DROP TABLE ssd_api_{table}", ())
    execute("DROP TABLE template", ())


def _text(child: dict[str, Any]) -> str:
    return json.dumps(child, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Staging:
    """A staging table ready for a run: its connection string, and a way to count rows by a condition."""

    connection_string: str
    count: Callable[[str], int]


class SqliteShop:
    """Give SQLite databases in `folder`: made once for each kind of data, copied for each run."""

    def __init__(self, folder: Path, receiver: str) -> None:
        self._folder = folder
        self._receiver = receiver
        self._made: dict[Dataset, Path] = {}

    @contextmanager
    def staging(self, dataset: Dataset) -> Iterator[Staging]:
        """Yield a fresh copy, and remove it afterwards."""
        if dataset not in self._made:
            self._made[dataset] = self._make(dataset)
        path = self._folder / "run.db"
        shutil.copyfile(self._made[dataset], path)

        def count(where: str) -> int:
            connection = sqlite3.connect(path)
            try:
                return int(connection.execute(f"SELECT COUNT(*) FROM {TABLE} WHERE {where}").fetchone()[0])
            finally:
                connection.close()

        try:
            yield Staging(f"sqlite:///{path}", count)
        finally:
            for left in self._folder.glob("run.db*"):
                left.unlink()

    def _make(self, dataset: Dataset) -> Path:
        for old in self._made.values():
            old.unlink()
        self._made.clear()
        path = self._folder / "made.db"
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = OFF")
            connection.create_function("sha256_of", 1, _sha256, deterministic=True)
            connection.execute("BEGIN")
            _fill(connection.execute, Dialect.SQLITE, dataset, self._receiver)
            connection.execute("COMMIT")
        finally:
            connection.close()
        return path


class PostgresShop:
    """Give PostgreSQL databases on one server: made once for each kind of data, copied for each run."""

    def __init__(self, server: PostgresServer, receiver: str) -> None:
        self._server = server
        self._receiver = receiver
        self._made: dict[Dataset, str] = {}

    @contextmanager
    def staging(self, dataset: Dataset) -> Iterator[Staging]:
        """Yield a fresh copy, and remove it afterwards."""
        if dataset not in self._made:
            self._made[dataset] = self._make(dataset)
        name = self._server.create_database(template=self._made[dataset])
        text = self._server.connection_string(name)

        def count(where: str) -> int:
            connection = pyodbc.connect(text, autocommit=True)
            try:
                return int(connection.execute(f"SELECT COUNT(*) FROM {TABLE} WHERE {where}").fetchval())
            finally:
                connection.close()

        try:
            yield Staging(text, count)
        finally:
            self._server.drop_database(name)

    def _make(self, dataset: Dataset) -> str:
        for old in self._made.values():
            self._server.drop_database(old)
        self._made.clear()
        name = self._server.create_database()
        connection = pyodbc.connect(self._server.connection_string(name), autocommit=True)
        try:
            _fill(
                lambda sql, values: connection.execute(sql, values) if values else connection.execute(sql),
                Dialect.POSTGRESQL,
                dataset,
                self._receiver,
            )
            connection.execute("VACUUM ANALYZE")
        finally:
            connection.close()
        return name


Shop = SqliteShop | PostgresShop


def _sha256(text: str) -> bytes:
    from hashlib import sha256

    return sha256(text.encode("utf-8")).digest()
