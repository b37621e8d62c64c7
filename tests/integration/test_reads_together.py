"""Reads that go together in one transaction are done each by itself where the database ends that transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from api_pipeline.assembly.checks import check_tables
from api_pipeline.assembly.request import RunRequest
from api_pipeline.db import Connection, DatabaseBusy, connect
from api_pipeline.errors import DatabaseError
from api_pipeline.outbox.staged_rows import Selection
from api_pipeline.outbox.staging_table import StagingTable
from api_pipeline.outbox.survey import try_to_write
from api_pipeline.sql.identifiers import table_names
from tests.support.databases import TestDatabase
from tests.support.loaded_settings import LIVE, load
from tests.support.staging import fill, staged

on_postgresql = pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)


@pytest.fixture
def connection(database: TestDatabase) -> Iterator[Connection]:
    with closing(connect(database.connection_string, busy_wait_s=0.1)) as opened:
        yield opened


@on_postgresql
@pytest.mark.parametrize("ends_it", ["ROLLBACK", "SELECT nothing FROM nowhere"])
def test_reads_are_done_each_by_itself_where_their_transaction_ends(connection: Connection, ends_it: str) -> None:
    def look() -> list[tuple[object, ...]]:
        with suppress(DatabaseError):
            connection.query(ends_it)
        return connection.query("SELECT 1")

    assert connection.read_together(look) == [(1,)]
    with connection.transaction():
        assert connection.query("SELECT 2") == [(2,)]


@pytest.mark.parametrize("database", ["sqlite", "postgresql-odbc"], indirect=True)
def test_reads_inside_a_transaction_leave_its_end_to_it(database: TestDatabase, connection: Connection) -> None:
    connection.execute(f"CREATE TABLE {database.named('line')} (number INTEGER)")

    with suppress(ZeroDivisionError), connection.transaction():
        connection.execute(f"INSERT INTO {database.named('line')} VALUES (1)")
        connection.read_together(lambda: connection.query("SELECT 1"))
        raise ZeroDivisionError
    assert database.count(database.named("line")) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_reads_of_the_embedded_database_keep_nobody_from_writing(
    database: TestDatabase, connection: Connection
) -> None:
    def look() -> None:
        connection.query("SELECT 1")
        with closing(connect(database.connection_string, busy_wait_s=0.1)) as other, other.transaction():
            other.execute("CREATE TABLE line (number INTEGER)")

    connection.read_together(look)


@on_postgresql
def test_reads_that_meet_a_lock_are_not_done_again(connection: Connection) -> None:
    tries = []

    def look() -> None:
        tries.append(1)
        raise DatabaseBusy("locked")

    with pytest.raises(DatabaseBusy):
        connection.read_together(look)
    assert len(tries) == 1


@on_postgresql
def test_a_table_that_others_lock_is_not_tried_by_writing(deployed: TestDatabase, connection: Connection) -> None:
    fill(deployed, deployed.table, [staged("A")])
    store = StagingTable(connection, table_names(deployed.table, connection.dialect))
    with closing(connect(deployed.connection_string)) as other, other.transaction():
        other.execute(f"LOCK TABLE {deployed.table} IN ACCESS EXCLUSIVE MODE")
        try_to_write(store)
    assert [row.api_response for row in store.read_page(Selection(), None)] == [None]


@on_postgresql
def test_what_is_retained_is_seen_where_the_journals_table_is_missing(
    deployed: TestDatabase, connection: Connection, tmp_path: Path
) -> None:
    settings = load(tmp_path, {**LIVE, **deployed.settings, "ALLOW_LIVE_DATA_TO_TEST": "true"})
    store = StagingTable(connection, table_names(deployed.table, connection.dialect))
    deployed.execute(f"DROP TABLE {deployed.named('ssd_api_runs')}")
    deployed.execute(f"INSERT INTO {deployed.named('ssd_api_left_window')} (person_id, elements) VALUES ('A', '[]')")

    assert check_tables(store, settings, RunRequest("run"))
    assert store.has_retained()
    assert not store.has_journal()
