"""The tables of a synthetic SSD in a database: made, filled in pages, and brought from one night to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from api_pipeline.db import Connection
from api_pipeline.sandbox.synthetic_ssd.life import Row
from api_pipeline.sandbox.synthetic_ssd.nights import Night
from api_pipeline.sandbox.synthetic_ssd.person import SyntheticPerson
from api_pipeline.sandbox.synthetic_ssd.ssd import SyntheticSsd
from api_pipeline.sql.identifiers import Dialect, parse_table_name
from api_pipeline.staging.tables import PROFESSIONAL, SSD_TABLES, SsdColumn, SsdKind, SsdTable

_TYPES = {
    Dialect.SQLSERVER: {SsdKind.DATE: "DATETIME", SsdKind.INTEGER: "INT", "text": "NVARCHAR({})", "long": "MAX"},
    Dialect.POSTGRESQL: {SsdKind.DATE: "TIMESTAMP", SsdKind.INTEGER: "INTEGER", "text": "VARCHAR({})"},
    Dialect.SQLITE: {SsdKind.DATE: "TEXT", SsdKind.INTEGER: "INTEGER", "text": "TEXT"},
}
_JOINED = ("_person_id", "_referral_id", "_cla_id", "_s47_enquiry_id", "_assessment_id")
_PEOPLE_IN_A_PAGE = 500


def create_tables(
    execute: Callable[[str], object], dialect: Dialect, schema: str | None = None, *, has_indexes: bool = True
) -> None:
    """Make the SSD's tables with the columns that `stage` reads, and indexes on what it joins by.

    Without `has_indexes` they have their primary keys alone, as the SSD's own scripts make them.
    Errors: SettingsError where `schema` is not a name of a schema, and whatever `execute` raises.
    """
    for table in SSD_TABLES:
        name = _named(table, dialect, schema)
        columns = [f"{column.name} {_type(column, dialect)}{_null(column, table)}" for column in table.columns]
        execute(f"CREATE TABLE {name} ({', '.join(columns)}, PRIMARY KEY ({', '.join(table.key)}))")
        joined = [column for column in table.columns[1:] if column.name.endswith(_JOINED)] if has_indexes else []
        for column in joined:
            index = _index(column, dialect, schema)
            execute(f"CREATE INDEX {index} ON {_on(table, dialect, schema)} ({column.name})")


def fill(connection: Connection, ssd: SyntheticSsd, schema: str | None = None) -> int:
    """Put a whole synthetic SSD into empty tables, some people at a time; return the number of rows. Errors:
    DatabaseError."""
    count = len(ssd.professionals())
    with connection.transaction():
        _insert(connection, PROFESSIONAL, _in_order(PROFESSIONAL, ssd.professionals()), schema)
    people = ssd.persons()
    while page := list(islice(people, _PEOPLE_IN_A_PAGE)):
        with connection.transaction():
            count += _insert_people(connection, page, schema)
    return count


def write_night(connection: Connection, night: Night, schema: str | None = None) -> None:
    """Bring the tables from before a night to after it, in one transaction. Errors: DatabaseError."""
    with connection.transaction():
        for table in SSD_TABLES:
            before = [row for step in night.steps if step.before for row in step.before.rows(table)]
            keys = [row[: len(table.key)] for row in before]
            where = " AND ".join(f"{column} = ?" for column in table.key)
            connection.execute_many(f"DELETE FROM {_named(table, connection.dialect, schema)} WHERE {where}", keys)  # noqa: S608 - constant names
        _insert_people(connection, [step.after for step in night.steps if step.after], schema)


def _insert_people(connection: Connection, people: Sequence[SyntheticPerson], schema: str | None) -> int:
    count = 0
    for table in SSD_TABLES:
        rows = [row for person in people for row in person.rows(table)]
        _insert(connection, table, rows, schema)
        count += len(rows)
    return count


def _insert(connection: Connection, table: SsdTable, rows: Sequence[tuple[object, ...]], schema: str | None) -> None:
    marks = ", ".join("?time" if column.kind is SsdKind.DATE else "?" for column in table.columns)
    head = f"INSERT INTO {_named(table, connection.dialect, schema)} ({', '.join(table.column_names)})"
    connection.execute_many(f"{head} VALUES ({marks})", rows)


def _in_order(table: SsdTable, rows: Iterable[Row]) -> list[tuple[object, ...]]:
    return [tuple(map(row.get, table.column_names)) for row in rows]


def _named(table: SsdTable, dialect: Dialect, schema: str | None) -> str:
    return parse_table_name(f"{schema}.{table.name}" if schema else table.name).sql(dialect)


def _on(table: SsdTable, dialect: Dialect, schema: str | None) -> str:
    # SQLite alone takes the schema before the index instead of before the table.
    return table.name if dialect is Dialect.SQLITE else _named(table, dialect, schema)


def _index(column: SsdColumn, dialect: Dialect, schema: str | None) -> str:
    name = f"ix_{column.name}"
    return parse_table_name(f"{schema}.{name}").sql(dialect) if schema and dialect is Dialect.SQLITE else name


def _type(column: SsdColumn, dialect: Dialect) -> str:
    types = _TYPES[dialect]
    if column.kind is not SsdKind.TEXT:
        return types[column.kind]
    if column.length is None:
        return "NVARCHAR(MAX)" if dialect is Dialect.SQLSERVER else "TEXT"
    return types["text"].format(column.length)


def _null(column: SsdColumn, table: SsdTable) -> str:
    return " NOT NULL" if column.name in table.key else ""
