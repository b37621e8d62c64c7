"""The run lock: two runs never work on one table (and shard) at once.

A run on the whole table takes the table's lock for itself; a run on a shard shares the table's lock with the other
shards and takes its shard's for itself. The lock is on a name, so that nobody else is kept from the table, and the
database (or the operating system, for SQLite) frees it when the process dies.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import struct
import sys
from pathlib import Path

from api_pipeline.db import Connection
from api_pipeline.errors import AlreadyRunning, DatabaseError
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load

_PREFIX = "d2i-csc-api"
_FAR_BEHIND_THE_DATA = 1 << 61
# How often each of two connections is asked for its process.
_ASKED = 3


class LockLost(DatabaseError):
    """The run lock was lost with its connection, and another run has it now."""


class RunLock:
    """Holds the lock until `release` or the end of the process. Made by `take`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.files: list[sqlite3.Connection] = []
        self.resources: list[str] = []
        self.descriptors: list[int] = []

    def release(self) -> None:
        """Free the lock. A server that is away frees it by itself, so that this is no error."""
        for file in self.files:
            file.close()
        self.files.clear()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()
        # A lock that ends with its connection ends a moment later, when the next command may have begun.
        with contextlib.suppress(DatabaseError):
            if self._connection.dialect is Dialect.POSTGRESQL and self.resources:
                self._connection.query(load()["unlock_postgresql"].sql)
            elif self._connection.dialect is Dialect.SQLSERVER:
                for resource in self.resources:
                    self._connection.query(load()["unlock_sqlserver"].sql, [f"{_PREFIX}:{resource}"])
        self.resources.clear()


def take(connection: Connection, table: str, shard: tuple[int, int] | None) -> RunLock:
    """Take the lock of `table` (as it stands in SQL) for this run. Errors: AlreadyRunning, DatabaseError.

    `shard` is (I, N) for run I of N, or None for the whole table. The lock lives as long as `connection`.
    """
    name = _table_number(connection, table)
    needed = [(name, shard is not None)]
    if shard is not None:
        needed.append((f"{name}.shard-{shard[0]}-of-{shard[1]}", False))
    return _take_all(connection, needed, f"the table {table}{f' (shard {shard[0]}/{shard[1]})' if shard else ''}")


def take_part(connection: Connection, table: str, part: str, what: str) -> RunLock:
    """Take the lock of one part of what is done with `table`, which keeps nobody else from its other parts.

    `part` is a name that may stand in a file's name; `what` is the part in words, for the sentence. Errors:
    AlreadyRunning, DatabaseError.
    """
    return _take_all(connection, [(f"{_table_number(connection, table)}.{part}", False)], what)


def _take_all(connection: Connection, needed: list[tuple[str, bool]], what: str) -> RunLock:
    if connection.dialect is Dialect.POSTGRESQL:
        _check_session(connection)
    lock = RunLock(connection)
    for resource, shared in needed:
        if not _try(connection, lock, resource, shared=shared):
            lock.release()
            raise AlreadyRunning(f"Another run is working on {what}; nothing was done, let it finish first.")
        lock.resources.append(resource)
    return lock


def _check_session(connection: Connection) -> None:
    """Check that the server's process belongs to this connection alone. Errors: DatabaseError.

    A pooler that shares processes between transactions would give the lock away with the process: two runs would send
    at once. Two connections that are open together, asked by turns, then meet in one process, or change theirs.
    """
    other = connection.another()
    sql = load()["session_postgresql"].sql
    try:
        pairs = [(connection.query(sql)[0][0], other.query(sql)[0][0]) for _ in range(_ASKED)]
        if len(set(pairs)) == 1 and pairs[0][0] != pairs[0][1]:
            return
        for _ in range(_ASKED):
            connection.query(load()["reset_session_postgresql"].sql)
            other.query(load()["reset_session_postgresql"].sql)
    finally:
        other.close()
    raise DatabaseError(
        "The database is behind a pooler in transaction mode (PgBouncer, say), over which the run lock does not hold; "
        "nothing was sent. Name the database server itself in DB_CONNECTION_STRING, or a pool in session mode."
    )


def _table_number(connection: Connection, table: str) -> str:
    """Return one name for the table however it is written."""
    if connection.dialect is Dialect.SQLITE:
        files = {str(row[1]): str(row[2]) for row in connection.query(load()["lock_name_sqlite"].sql)}
        # `main.` before a name says no more than the name alone.
        plain = table.replace('"', "").lower().removeprefix("main.")
        return f"{files['main']}.{plain}"
    sql = load()[f"lock_name_{connection.dialect.value}"].sql
    number = connection.query(sql, [table])[0][0]
    if number is None:
        raise DatabaseError(
            f"The table {table} does not exist in this database; check TABLE_NAME, or make it with: "
            "d2i-csc-api deploy-schema"
        )
    return str(number)


def _try(connection: Connection, lock: RunLock, resource: str, *, shared: bool) -> bool:
    if connection.dialect is Dialect.SQLITE:
        database = next(str(row[2]) for row in connection.query(load()["lock_name_sqlite"].sql) if row[1] == "main")
        return _try_file(lock, resource, shared=shared) and _try_within(lock, Path(database), resource, shared=shared)
    if connection.dialect is Dialect.SQLSERVER:
        mode = "Shared" if shared else "Exclusive"
        sql = load()["lock_sqlserver"].sql
        return bool(connection.query(sql, [f"{_PREFIX}:{resource}", mode])[0][0])
    digest = hashlib.sha256(f"{_PREFIX}:{resource}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    sql = load()["lock_shared_postgresql" if shared else "lock_postgresql"].sql
    return bool(connection.query(sql, [key])[0][0])


def _try_file(lock: RunLock, resource: str, *, shared: bool) -> bool:
    """Lock an empty SQLite file beside the database: SQLite locks files alike on Windows and Linux."""
    path = Path(f"{resource}.run-lock")
    try:
        file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error:
        raise DatabaseError(
            f"The lock file {path} cannot be opened; the account needs to write in the database's folder."
        ) from None
    try:
        file.execute("BEGIN" if shared else "BEGIN EXCLUSIVE")
        if shared:
            file.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        file.close()
        return False
    lock.files.append(file)
    return True


def _try_within(lock: RunLock, database: Path, resource: str, *, shared: bool) -> bool:
    """Lock one byte of the database file too, on Linux: somebody may remove the lock file, as on Windows nobody can.

    The byte is far behind the data and behind SQLite's own locks. Where such locks cannot be had, the file has to do.
    """
    if sys.platform != "linux":
        return True
    import fcntl

    byte = _FAR_BEHIND_THE_DATA + int.from_bytes(hashlib.sha256(resource.encode()).digest()[:6], "big")
    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    try:
        descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return True
    lock.descriptors.append(descriptor)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
