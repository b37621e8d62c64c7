"""The program's own view of a staging table of tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from api_pipeline.db import connect
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.sql.identifiers import table_names
from tests.support.databases import TestDatabase


@contextmanager
def store_of(database: TestDatabase) -> Iterator[StagingTable]:
    """Open the staging table on a connection of its own."""
    connection = connect(database.connection_string)
    try:
        yield StagingTable(connection, table_names(database.table, connection.dialect))
    finally:
        connection.close()
