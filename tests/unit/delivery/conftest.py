"""What tests of a run are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.outbox.staging_table import StagingTable
from tests.support.databases import TestDatabase, postgresql_database
from tests.support.nights import Night
from tests.support.postgres import PostgresServer
from tests.support.prepared import Made


@pytest.fixture
def night(store: StagingTable, tmp_path: Path) -> Night:
    """Return a run on the embedded table."""
    return Night(store, tmp_path)


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[TestDatabase]:
    """Yield a staging table and its control tables on PostgreSQL."""
    with postgresql_database(postgres_server, Made.DEPLOYED) as database:
        yield database
