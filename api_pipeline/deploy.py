"""Make the tables: the packaged DDL for the configured database, as text or applied."""

from __future__ import annotations

from api_pipeline.db import connect
from api_pipeline.diagnostics.database import refuse_second_table
from api_pipeline.sql import ddl
from api_pipeline.sql.connection_string import is_embedded
from api_pipeline.sql.identifiers import Dialect

_STAGING_TABLE = "ssd_api_data_staging"


def script_of(dialect: str, table: str | None) -> str:
    """Return the script for a kind of database (`sqlserver2012` is a kind of its own), without connecting to any."""
    version = "2012" if dialect == "sqlserver2012" else "2016"
    return ddl.render(Dialect(dialect.removesuffix("2012")), table or _STAGING_TABLE, version)


def script_for(connection_string: str, table: str) -> str:
    """Return the script for the database that the connection string names. Errors: DatabaseError."""
    if is_embedded(connection_string):
        return ddl.render(Dialect.SQLITE, table)
    connection = connect(connection_string)
    try:
        return ddl.render(connection.dialect, table)
    finally:
        connection.close()


def make_tables(connection_string: str, table: str) -> str:
    """Run the script on the database, make an embedded one that is missing; return the name of its dialect.

    Errors: DatabaseError, SettingsError where the database has a staging table under another name.
    """
    connection = connect(connection_string, create=True)
    try:
        refuse_second_table(connection, table)
        ddl.apply(connection.execute, connection.dialect, table)
        return connection.dialect.value
    finally:
        connection.close()
