"""Read the columns of a table from its database, with no more rights than the table itself needs."""

from __future__ import annotations

from api_pipeline.db import Connection, Row, unless_refused
from api_pipeline.sql.expected_tables import ExpectedTable
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load
from api_pipeline.sql.table_comparison import FoundColumn, SchemaFinding, compare

QUERIES = "diagnostics_queries.sql"
# What a driver calls the types of the columns of a result, for a table that the catalogue does not show.
_TYPE_NAMES = {"str": "nvarchar", "bytearray": "varbinary", "bytes": "varbinary", "int": "int", "Decimal": "numeric"}
_LONGEST_PLAIN = 8000


def found_columns(connection: Connection, table: str) -> list[FoundColumn]:
    """Return the columns of a table, whose name is as it stands in SQL; none where there is no such table.

    Errors: DatabaseError.
    """
    if connection.dialect is Dialect.SQLSERVER:
        return _on_sql_server(connection, table)
    parameters = [table]
    if connection.dialect is Dialect.SQLITE:
        schema, _, name = table.replace('"', "").rpartition(".")
        parameters = [name, schema or "main"]
    return _columns(connection.query(load(QUERIES)[f"columns_{connection.dialect.value}"].sql, parameters))


def differences(connection: Connection, found: list[FoundColumn], expected: ExpectedTable) -> list[SchemaFinding]:
    """Return the differences between the columns of a table and what is expected of it. Errors: DatabaseError."""
    return compare(found, expected, letters_matter=_letters_matter(connection, found, expected))


def _letters_matter(connection: Connection, found: list[FoundColumn], expected: ExpectedTable) -> bool:
    """Return whether the table lacks a column only because its name is written with other letters, large for small.

    SQL Server compares names by the database's collation, PostgreSQL letter by letter; the statement itself shows it.
    """
    names = {column.name for column in found}
    lowered = {name.lower() for name in names}
    odd = [column.name for column in expected.columns if column.name not in names and column.name in lowered]
    if not odd:
        return False
    sql = load()["table_exists"].sql.format(columns=", ".join(odd), any_table=expected.name)
    return unless_refused(lambda: connection.query(sql)) is None


def _on_sql_server(connection: Connection, table: str) -> list[FoundColumn]:
    schema, _, name = table.replace("[", "").replace("]", "").rpartition(".")
    schemas = [schema] if schema else [str(connection.query(load(QUERIES)["schema_sqlserver"].sql)[0][0]), "dbo"]
    for one in dict.fromkeys(schemas):
        rows = connection.query(load(QUERIES)["columns_sqlserver"].sql, [name, one])
        if rows:
            return _columns(rows)
    return columns_seen(connection, table)


def columns_seen(connection: Connection, table: str) -> list[FoundColumn]:
    """Return the columns as a result without rows shows them; none where that statement is refused.

    Errors: ConnectionLost, DatabaseBusy.
    """
    sql = load(QUERIES)["columns_seen_sqlserver"].sql.format(any_table=table)
    return [_seen(*column) for column in unless_refused(lambda: connection.describe(sql)) or ()]


def _seen(name: str, kind: type, size: int, is_nullable: bool) -> FoundColumn:
    type_name = _TYPE_NAMES.get(kind.__name__, kind.__name__)
    # A size beyond that of any plain type is a type without limit.
    return FoundColumn(name, type_name, None if size > _LONGEST_PLAIN else size, is_nullable)


def _columns(rows: list[Row]) -> list[FoundColumn]:
    return [
        FoundColumn(str(name), str(kind or ""), None if size is None else int(size), bool(is_nullable))
        for name, kind, size, is_nullable in rows
    ]
