"""The synthetic SSD in real databases: made, filled and changed, and read back as it was made."""

from __future__ import annotations

import random
from datetime import date, datetime
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.db import connect
from api_pipeline.errors import SettingsError
from api_pipeline.sandbox.synthetic_ssd import ALL_CASES, SyntheticSsd, create_tables, fill, write_night
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.staging.tables import PROFESSIONAL, SSD_TABLES, SsdTable
from tests.support.databases import TestDatabase

AS_OF = date(2026, 8, 10)


@pytest.mark.slow
def test_tables_are_made_filled_and_changed_on_every_database(database: TestDatabase) -> None:
    ssd, rng = SyntheticSsd(len(ALL_CASES) + 10, AS_OF), random.Random(7)
    connection = connect(database.connection_string)
    try:
        create_tables(connection.execute, connection.dialect, database.schema)
        count = fill(connection, ssd, database.schema)
        assert count == sum(database.count(database.named(table.name)) for table in SSD_TABLES)
        assert database.count(database.named("ssd_person")) == ssd.people
        _compare(database, ssd)
        for _ in range(2):
            write_night(connection, ssd.next_night(rng, 0.1), database.schema)
        _compare(database, ssd)
    finally:
        connection.close()


def _compare(database: TestDatabase, ssd: SyntheticSsd) -> None:
    everybody = list(ssd.persons())
    for table in SSD_TABLES:
        wanted = [row for person in everybody for row in person.rows(table)]
        if table is PROFESSIONAL:
            wanted = [tuple(map(row.get, table.column_names)) for row in ssd.professionals()]
        assert _read(database, table) == {row[: len(table.key)]: row for row in wanted}, table.name


def _read(database: TestDatabase, table: SsdTable) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = database.rows(f"SELECT {', '.join(table.column_names)} FROM {database.named(table.name)}")
    dates = [column.kind.value == "date" for column in table.columns]
    return {
        row[: len(table.key)]: tuple(
            datetime.fromisoformat(value) if is_date and isinstance(value, str) else value
            for value, is_date in zip(row, dates, strict=True)
        )
        for row in rows
    }


def test_tables_may_stand_in_a_schema() -> None:
    made: list[str] = []
    create_tables(made.append, Dialect.POSTGRESQL, "ssd_development")

    tables = [sql for sql in made if sql.startswith("CREATE TABLE")]
    assert len(tables) == len(SSD_TABLES)
    assert all(sql.startswith("CREATE TABLE ssd_development.ssd_") for sql in tables)


def test_invalid_schema_name_is_refused() -> None:
    with pytest.raises(SettingsError):
        create_tables(lambda _sql: None, Dialect.SQLITE, "x; DROP TABLE y")


def test_statements_for_sql_server_are_tsql() -> None:
    made: list[str] = []
    create_tables(made.append, Dialect.SQLSERVER, "ssd")

    for sql in made:
        assert isinstance(sqlglot.parse_one(sql, dialect="tsql"), exp.Create)
    assert any("NVARCHAR(MAX)" in sql for sql in made)
    assert any("DATETIME" in sql for sql in made)
