"""What the fault tests share: a world for each test, on the embedded database unless it asks for another.

Where TEST_DB_CONNECTION_STRING names a database, every test is tried on that one as well, but for those that do to a
database what nobody may do to a shared one (cut all its connections, lock its file).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from api_pipeline.sandbox.simulator import SimulatorServer
from tests.support.databases import (
    EXTERNAL,
    EXTERNAL_KIND,
    TestDatabase,
    external_database,
    postgresql_database,
    sqlite_database,
)
from tests.support.postgres import PostgresServer
from tests.support.prepared import Made
from tests.support.strict import strict_database
from tests.support.world import World


@pytest.fixture(params=["sqlite", *EXTERNAL_KIND])
def world(request: pytest.FixtureRequest, server: SimulatorServer, tmp_path: Path) -> Iterator[World]:
    with _database(request.param, tmp_path) as database:
        yield World(database if database.made is Made.DEPLOYED else database.deploy(), server, tmp_path)


def _database(kind: str, folder: Path) -> AbstractContextManager[TestDatabase]:
    if kind in EXTERNAL_KIND:
        return external_database(os.environ[EXTERNAL])
    return strict_database(folder) if kind == "strict" else sqlite_database(folder, Made.DEPLOYED)


@pytest.fixture
def deployed_world(deployed: TestDatabase, server: SimulatorServer, tmp_path: Path) -> World:
    """Return a world on each kind of database."""
    return World(deployed, server, tmp_path)


@pytest.fixture
def embedded_world(server: SimulatorServer, tmp_path: Path) -> Iterator[World]:
    with sqlite_database(tmp_path, Made.DEPLOYED) as database:
        yield World(database, server, tmp_path)


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[TestDatabase]:
    with postgresql_database(postgres_server, Made.DEPLOYED) as database:
        yield database


@pytest.fixture
def postgres_world(postgres: TestDatabase, server: SimulatorServer, tmp_path: Path) -> World:
    return World(postgres, server, tmp_path)
