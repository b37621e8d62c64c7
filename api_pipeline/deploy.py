"""Make the tables: the packaged DDL for the configured database, as text or applied."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from api_pipeline.db import Connection, KeyTaken, connect, refusal_of
from api_pipeline.diagnostics.columns import lacking, refuse_second_table
from api_pipeline.errors import DatabaseError
from api_pipeline.sql import ddl
from api_pipeline.sql.connection_string import is_embedded
from api_pipeline.sql.expected_tables import expected_tables
from api_pipeline.sql.identifiers import STAGING_TABLE, Dialect

_LOG = logging.getLogger(__name__)
_INDEX = re.compile(r"CREATE INDEX IF NOT EXISTS (\S+) ON (\S+)")


def script_of(dialect: str, table: str | None) -> str:
    """Return the script for a kind of database (`sqlserver2012` is a kind of its own), without connecting to any."""
    version = "2012" if dialect == "sqlserver2012" else "2016"
    return ddl.render(Dialect(dialect.removesuffix("2012")), table or STAGING_TABLE, version)


def script_for(connection_string: str, table: str) -> str:
    """Return the script for the database that the connection string names. Errors: DatabaseError."""
    if is_embedded(connection_string):
        return ddl.render(Dialect.SQLITE, table)
    connection = connect(connection_string)
    try:
        return ddl.render(connection.dialect, table)
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Deployed:
    """What the script made, and what it found and left as it was; `dialect` is the kind of database.

    `unusable` are those of the found tables that a run cannot use as they are; `test-schema` says why.
    """

    dialect: str
    made: tuple[str, ...]
    found: tuple[str, ...]
    unusable: tuple[str, ...]


def make_tables(connection_string: str, table: str) -> Deployed:
    """Run the script on the database, make an embedded one that is missing; return what was made and what was there.

    Errors: DatabaseError, SettingsError where the database has a staging table under another name.
    """
    connection = connect(connection_string, create=True)
    try:
        refuse_second_table(connection, table)
        found = _tables_there(connection, table)
        ddl.apply(lambda statement: _execute(connection, statement), connection.dialect, table)
        made = [name for name in _tables_there(connection, table) if name not in found]
        tables = expected_tables(connection.dialect, table)
        unusable = [one.name for one in tables if one.name in found and lacking(connection, one)]
        return Deployed(connection.dialect.value, tuple(made), tuple(found), tuple(unusable))
    finally:
        connection.close()


def _execute(connection: Connection, statement: str) -> None:
    """Run a statement; an index that a view, or a table of somebody else, cannot have is passed over.

    The scripts for SQL Server see to that by themselves. PostgreSQL refuses IF NOT EXISTS where somebody else makes the
    same at that moment; a second time it is there.
    """
    try:
        try:
            connection.execute(statement)
        except KeyTaken:
            connection.execute(statement)
    except DatabaseError as error:
        index = _INDEX.match(statement)
        if index is None or type(error) is not DatabaseError:
            raise
        _LOG.warning(
            "the index %s of %s was not made; everything works without it, but slower: %s", *index.groups(), error
        )


def _tables_there(connection: Connection, table: str) -> list[str]:
    """Return which of the script's tables are in the database. Errors: DatabaseError (database away or busy)."""
    return [name for name in ddl.table_names(connection.dialect, table) if not refusal_of(connection, name, "*")]
