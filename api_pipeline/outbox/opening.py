"""Open the staging table of the settings, without what a run needs besides: `status` and `requeue` start quickly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api_pipeline.db import connect
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.sql.identifiers import table_names

if TYPE_CHECKING:
    from api_pipeline.settings.model import Settings


@contextmanager
def open_store(settings: Settings) -> Iterator[StagingTable]:
    """Open the database and return its staging table. Errors: DatabaseError."""
    connection = connect(settings.connection_string)
    try:
        yield StagingTable(connection, table_names(settings.table_name, connection.dialect))
    finally:
        connection.close()
