"""Fixtures for unit tests that need a store: an embedded database of their own, reached as the program reaches it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_pipeline.outbox.staging_table import StagingTable
from tests.support.databases import TestDatabase, sqlite_database
from tests.support.stores import store_of


@pytest.fixture(scope="session")
def deployed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database file in which the packaged script has made the tables: a copy is faster than the script."""
    folder = tmp_path_factory.mktemp("deployed")
    with sqlite_database(folder) as database:
        database.deploy()
    return folder / "staging.db"


@pytest.fixture
def table(deployed_file: Path, tmp_path: Path) -> Iterator[TestDatabase]:
    """Yield the staging table and its control tables in a new file, without a row in the live table."""
    shutil.copy(deployed_file, tmp_path)
    with sqlite_database(tmp_path) as database:
        yield database


@pytest.fixture
def store(table: TestDatabase) -> Iterator[StagingTable]:
    """Yield the program's own view of that table."""
    with store_of(table) as store:
        yield store
