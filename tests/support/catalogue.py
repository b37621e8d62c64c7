"""What a test's database says about its own tables, read without the product's help."""

from __future__ import annotations

import sqlite3

import pyodbc

from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.table_comparison import FoundColumn
from tests.support.databases import TestDatabase


def found_columns(database: TestDatabase, table: str) -> list[FoundColumn]:
    """Return the columns of a table as the database describes them; none where there is no such table."""
    schema, _, bare = table.rpartition(".")
    if isinstance(database.connection, sqlite3.Connection):
        rows = database.rows(f"PRAGMA table_info({bare})")
        return [FoundColumn(str(row[1]), str(row[2]), None, not row[3]) for row in rows]
    cursor = database.connection.cursor()
    try:
        described = cursor.columns(table=bare, schema=schema or None).fetchall()
    finally:
        cursor.close()
    return [
        FoundColumn(row.column_name, row.type_name, row.column_size, row.nullable != pyodbc.SQL_NO_NULLS)
        for row in described
    ]


_INDEXES = {
    Dialect.SQLITE: "SELECT name FROM sqlite_master WHERE type = 'index'",
    Dialect.POSTGRESQL: "SELECT indexname FROM pg_indexes WHERE schemaname <> 'pg_catalog'",
    Dialect.SQLSERVER: "SELECT name FROM sys.indexes WHERE name <> '' AND OBJECT_SCHEMA_NAME(object_id) = '{schema}'",
}


def index_names(database: TestDatabase) -> set[str]:
    """Return the names of all indexes in the test's part of the database."""
    return {str(row[0]) for row in database.rows(_INDEXES[database.dialect].format(schema=database.schema))}
