"""Open the staging table that the settings name. Every command that works on the table opens it here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api_pipeline.db import connect
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.sql.identifiers import table_names

if TYPE_CHECKING:
    from api_pipeline.settings.model import Settings

_BUSY_WAIT_S = 30


@contextmanager
def open_store(settings: Settings, *, busy_wait_s: float = _BUSY_WAIT_S) -> Iterator[StagingTable]:
    """Open the database and return its staging table. Errors: DatabaseError.

    `busy_wait_s` is how long one statement waits, in seconds, for what another program has locked.
    """
    connection = connect(settings.connection_string, busy_wait_s=busy_wait_s)
    try:
        yield StagingTable(connection, table_names(settings.table_name, connection.dialect))
    finally:
        connection.close()
