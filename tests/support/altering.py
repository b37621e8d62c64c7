"""Changes of a test's tables that databases write in different ways; tables are named without their schema."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from api_pipeline.sql.identifiers import Dialect
from tests.support.databases import TestDatabase


def rename_table(database: TestDatabase, table: str, name: str) -> None:
    """Give a table another name."""
    named = database.named(table)
    if database.dialect is Dialect.SQLSERVER:
        database.execute(f"EXEC sp_rename N'{named}', N'{name}', N'OBJECT'")
    else:
        database.execute(f"ALTER TABLE {named} RENAME TO {name}")


def rename_column(database: TestDatabase, table: str, column: str, name: str) -> None:
    """Give a column another name, in the letters that stand there."""
    named = database.named(table)
    if database.dialect is Dialect.SQLSERVER:
        database.execute(f"EXEC sp_rename N'{named}.{column}', N'{name}', N'COLUMN'")
    else:
        database.execute(f'ALTER TABLE {named} RENAME COLUMN {column} TO "{name}"')


def drop_index(database: TestDatabase, table: str, index: str) -> None:
    """Drop an index of a table."""
    if database.dialect is Dialect.SQLSERVER:
        database.execute(f"DROP INDEX {index} ON {database.named(table)}")
    else:
        database.execute(f"DROP INDEX {database.named(index)}")


@contextmanager
def giving_ids(database: TestDatabase, table: str) -> Iterator[None]:
    """Let what is inserted into a table name its ids; SQL Server gives them by itself unless a session says so."""
    is_sql_server = database.dialect is Dialect.SQLSERVER
    if is_sql_server:
        database.execute(f"SET IDENTITY_INSERT {table} ON")
    yield
    if is_sql_server:
        database.execute(f"SET IDENTITY_INSERT {table} OFF")


def give_id(database: TestDatabase, row_id: int, where: str) -> None:
    """Give a row of the live staging table another id; SQL Server changes no identity, so a copy takes its place."""
    table = database.table
    if database.dialect is not Dialect.SQLSERVER:
        database.execute(f"UPDATE {table} SET id = {row_id} WHERE {where}")
        return
    others = ", ".join(column for column in database.columns(table) if column != "id")
    with giving_ids(database, table):
        database.execute(f"INSERT INTO {table} (id, {others}) SELECT {row_id}, {others} FROM {table} WHERE {where}")
    database.execute(f"DELETE FROM {table} WHERE {where} AND id <> {row_id}")
