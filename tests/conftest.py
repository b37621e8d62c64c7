"""Fixtures for all tests: a database of its own for each, on every kind that is to be had here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import databases
from tests.support.databases import TestDatabase, missing
from tests.support.postgres import PostgresServer, ServerMissing, running_server

_KINDS = ["sqlite", "sqlite-odbc", "postgresql-odbc", *databases.EXTERNAL_KIND]
# What a test is tried on that need not be tried on every kind: the embedded database, and one that is a server.
_BOTH = {"sqlite", "postgresql-odbc"}

# A busy machine may stop for longer than an example is given; what fails is printed so that it can be had again.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tries a test that holds for an embedded database and for a server on the external database as well."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if mark.kwargs.get("indirect") and mark.args[0] == "database" and set(mark.args[1]) >= _BOTH:
            mark.args[1].extend(kind for kind in databases.EXTERNAL_KIND if kind not in mark.args[1])


@pytest.fixture(scope="session")
def postgres_or_reason() -> Iterator[PostgresServer | str]:
    """One PostgreSQL server for all tests of this process, or why there is none."""
    with ExitStack() as stack:
        try:
            found: PostgresServer | str = stack.enter_context(running_server())
        except ServerMissing as reason:
            found = str(reason)
        yield found


@pytest.fixture
def postgres_server(postgres_or_reason: PostgresServer | str) -> PostgresServer:
    """The PostgreSQL server; where there is none, the test is skipped with the reason."""
    if isinstance(postgres_or_reason, str):
        missing(postgres_or_reason)
    return postgres_or_reason


@pytest.fixture(params=_KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestDatabase]:
    """An empty database of each kind. A test for some kinds only names them: `parametrize(..., indirect=True)`."""
    with ExitStack() as stack:
        match request.param:
            case "sqlite":
                yield stack.enter_context(databases.sqlite_database(tmp_path))
            case "sqlite-odbc":
                yield stack.enter_context(databases.sqlite_odbc_database(tmp_path))
            case "postgresql-odbc":
                server = request.getfixturevalue("postgres_server")
                yield stack.enter_context(databases.postgresql_database(server))
            case _:
                yield stack.enter_context(databases.external_database(os.environ[databases.EXTERNAL]))


@pytest.fixture
def deployed(database: TestDatabase) -> TestDatabase:
    """A database of each kind with the staging table and its control_tables, made by the packaged script; no rows in
    the live table, the sample rows in its anonymised twin."""
    return database.deploy()
