"""What the fault tests share: a world for each test, on the embedded database unless it asks for another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.simulator import SimulatorServer
from tests.support.databases import TestDatabase, postgresql_database, sqlite_database
from tests.support.postgres import PostgresServer
from tests.support.world import World


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer() as running:
        yield running


@pytest.fixture
def world(server: SimulatorServer, tmp_path: Path) -> Iterator[World]:
    with sqlite_database(tmp_path) as database:
        yield World(database.deploy(), server, tmp_path)


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[TestDatabase]:
    with postgresql_database(postgres_server) as database:
        yield database.deploy()


@pytest.fixture
def postgres_world(postgres: TestDatabase, server: SimulatorServer, tmp_path: Path) -> World:
    return World(postgres, server, tmp_path)
