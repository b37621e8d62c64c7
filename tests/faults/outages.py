"""What befalls a database while a run is at work on it, and the moment at which something befalls."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from unittest.mock import patch

import pyodbc

from api_pipeline.sandbox.simulator.answer import Answer
from api_pipeline.sql.identifiers import Dialect
from tests.support.databases import TestDatabase
from tests.support.world import World

_REFUSING = {
    Dialect.SQLITE: ["CREATE TRIGGER refused BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END"],
    Dialect.POSTGRESQL: [
        "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no space left'; END $$",
        # Of the status alone: the change that a run tries before it sends anything is none of it.
        "CREATE TRIGGER refused BEFORE UPDATE OF submission_status ON {table} EXECUTE FUNCTION {name}()",
    ],
    Dialect.SQLSERVER: [
        # It fires for a statement that changes no row as well, and then has nothing to refuse.
        "CREATE TRIGGER {name} ON {table} AFTER UPDATE AS "
        "IF UPDATE(submission_status) AND EXISTS (SELECT 1 FROM inserted) "
        "BEGIN RAISERROR(N'no space left', 16, 1); ROLLBACK TRANSACTION; END"
    ],
}
_ALLOWING = {
    Dialect.SQLITE: "DROP TRIGGER IF EXISTS refused",
    Dialect.POSTGRESQL: "DROP TRIGGER IF EXISTS refused ON {table}",
    Dialect.SQLSERVER: "IF OBJECT_ID(N'{name}', N'TR') IS NOT NULL DROP TRIGGER {name}",
}


@contextmanager
def after_requests(world: World, count: int, happen: Callable[[], object]) -> Iterator[None]:
    """Let something happen once the receiver has seen `count` more requests, while the run is at work."""
    until = world.requests() + count
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.002):
            if world.requests() >= until:
                happen()
                return

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def before_answer(
    world: World, number: int, happen: Callable[[], object], *, holds_all: bool = False
) -> Iterator[None]:
    """Let something happen after the receiver took the records of a request, and before it answers.

    `number` counts the requests from here on, from 1. So something is accepted that cannot have been written back. With
    `holds_all` no other request is answered meanwhile: on a busy machine what happens may wait for the run's writing.
    """
    simulator = world.server.simulator
    handle = simulator.handle
    lock = threading.Lock()
    came = 0

    def handle_and_let_happen(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        nonlocal came
        answer = handle(method, path, headers, body)
        if path.endswith("/children"):
            with lock:
                came += 1
                is_meant = came == number
                if is_meant and holds_all:
                    happen()
            if is_meant and not holds_all:
                happen()
        return answer

    with patch.object(simulator, "handle", handle_and_let_happen):
        yield


def refuse_writes(database: TestDatabase) -> None:
    """Let the database refuse every change of the staging table, as one does whose disk is full."""
    for statement in _REFUSING[database.dialect]:
        database.execute(statement.format(table=database.table, name=database.named("refused")))


def allow_writes(database: TestDatabase) -> None:
    """End what `refuse_writes` began; no fault where nothing was begun."""
    database.execute(_ALLOWING[database.dialect].format(table=database.table, name=database.named("refused")))


def cut_connections(database: TestDatabase) -> None:
    """PostgreSQL and SQL Server: ends every connection to the database but the test's own."""
    if database.dialect is Dialect.SQLSERVER:
        _kill_sessions(database)
        return
    own = int(database.rows("SELECT pg_backend_pid()")[0][0])
    _administer(
        database,
        "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity "
        f"WHERE datname = '{_name(database)}' AND pid NOT IN (pg_backend_pid(), {own})",
    )


def _kill_sessions(database: TestDatabase) -> None:
    sql = "SELECT session_id FROM sys.dm_exec_sessions WHERE database_id = DB_ID() AND session_id <> @@SPID"
    for (session,) in database.rows(sql):
        # A session that ended meanwhile cannot be killed.
        with suppress(pyodbc.Error):
            database.execute(f"KILL {int(session)}")


def shut_out(database: TestDatabase) -> None:
    """PostgreSQL: ends every connection to the database but the test's own, and lets no new one in."""
    _administer(database, f"ALTER DATABASE {_name(database)} ALLOW_CONNECTIONS false")
    cut_connections(database)


def let_in(database: TestDatabase) -> None:
    """End what `shut_out` began."""
    _administer(database, f"ALTER DATABASE {_name(database)} ALLOW_CONNECTIONS true")


def _name(database: TestDatabase) -> str:
    found = re.search(r"DATABASE=(\w+)", database.connection_string)
    assert found
    return found.group(1)


def _administer(database: TestDatabase, sql: str) -> None:
    text = database.connection_string.replace(f"DATABASE={_name(database)}", "DATABASE=postgres")
    connection = pyodbc.connect(text, autocommit=True)
    try:
        connection.execute(sql)
    finally:
        connection.close()
