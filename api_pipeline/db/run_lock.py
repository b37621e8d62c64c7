"""The run lock: two runs never work on one table (and shard) at once.

A run on the whole table takes the table's lock for itself; a run on a shard shares the table's lock with the other
shards and takes its shard's for itself. The lock is on a name, so that nobody else is kept from the table, and the
database (or the operating system, for SQLite) frees it when the process dies.

A lock belongs to a session. Behind a pooler that shares sessions (PgBouncer in transaction mode) it belongs to a
transaction instead, on a connection of its own that does nothing else and stays open as long as the lock. Whether that
transaction lives is asked before each other one, so that a lock that was lost is noticed before anything more is done.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from api_pipeline.db.connection import Connection
from api_pipeline.db.hidden_tables import hidden_by_schema
from api_pipeline.db.retry import LockLost, refusal_of
from api_pipeline.errors import AlreadyRunning, DatabaseError, PipelineError
from api_pipeline.sql.driver_errors import ConnectionLost, TableMissing, UnreadableText
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load

_PREFIX = "d2i-csc-api"
# What sp_getapplock answers where the statement was cancelled or was a deadlock's victim. Anything else below 0 says
# that somebody has the lock: -1 on SQL Server, and -999 on another server that speaks T-SQL. SQL Server means an error
# in the call by -999, and raises it as well.
_NOT_TRIED = (-2, -3)
_FAR_BEHIND_THE_DATA = 1 << 61


class RunLock:
    """Hold the lock until `release` or the end of the process. Made by `take`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._holder: Connection | None = None
        self._transaction = contextlib.ExitStack()
        self.files: list[sqlite3.Connection] = []
        self.resources: list[str] = []
        self.descriptors: list[int] = []

    def hold_in_transaction(self) -> Connection:
        """Return the connection whose transaction, open until `release`, holds the lock. Errors: DatabaseError."""
        try:
            self._holder = self._connection.another()
            self._transaction.callback(self._holder.close)
            self._transaction.enter_context(self._holder.transaction())
            self._holder.query(load()["keep_transaction_postgresql"].sql)
            # A pool of one connection would have none left for the work.
            self._connection.query(load()["probe"].sql)
        except DatabaseError as error:
            self.release()
            raise DatabaseError(
                "The database is behind a pooler that shares sessions (PgBouncer in transaction mode, say), which did "
                f"not give this run two connections, one for the run lock; nothing was done. {error} Enlarge the pool, "
                "or name the database server itself in DB_CONNECTION_STRING."
            ) from None
        return self._holder

    def check(self) -> None:
        """Check that the transaction lives that holds the lock. Errors: ConnectionLost."""
        try:
            if self._holder is not None:
                self._holder.check_transaction()
        except DatabaseError as error:
            raise ConnectionLost(f"The connection that held the run lock was lost. {error}") from None

    def release(self) -> None:
        """Free the lock. A server that is away frees it by itself, so that this is not an error."""
        if self._holder is not None:
            self._holder = None
            self._connection.guard = None
            with contextlib.suppress(DatabaseError):
                self._transaction.close()
            self.resources.clear()
            return
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


class LockKeeper:
    """Take the run lock of a table, and take it again after its connection was lost.

    Once another run has it, this one may write nothing more: that run may be at work on the same rows.
    """

    def __init__(self, connection: Connection, table: str, shard: tuple[int, int] | None) -> None:
        self._connection = connection
        self._table = table
        self._shard = shard
        self._lock: RunLock | None = None
        self._other: AlreadyRunning | None = None

    def take(self) -> None:
        """Take the lock. Errors: AlreadyRunning, DatabaseError."""
        self.release()
        self._lock = take(self._connection, self._table, self._shard)

    def retake(self) -> None:
        """Take the lock on a new connection. Errors: DatabaseError; LockLost where another run has or had it."""
        self._check_not_lost()
        try:
            self.take()
        except AlreadyRunning as error:
            self._other = error
            self._connection.guard = self._check_not_lost
            self._check_not_lost()

    def release(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _check_not_lost(self) -> None:
        if self._other is not None:
            raise LockLost(f"When the database came back, another run was at work. {self._other}") from None


@contextlib.contextmanager
def locked(connection: Connection, table: str, shard: tuple[int, int] | None) -> Iterator[LockKeeper]:
    """Hold the run lock of `table` (its name as it stands in SQL) until the end of the block. Errors: as `take`."""
    keeper = LockKeeper(connection, table, shard)
    keeper.take()
    try:
        yield keeper
    finally:
        keeper.release()


def take(connection: Connection, table: str, shard: tuple[int, int] | None) -> RunLock:
    """Take the lock of `table` (as it stands in SQL) for this run. Errors: AlreadyRunning, DatabaseError.

    `shard` is (I, N) for run I of N, or None for the whole table. The lock lives as long as `connection`.
    """
    return connection.read_together(lambda: _take(connection, table, shard))


def _take(connection: Connection, table: str, shard: tuple[int, int] | None) -> RunLock:
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
    lock = RunLock(connection)
    asked = lock.hold_in_transaction() if connection.is_pooled else connection
    try:
        for resource, shared in needed:
            if not _try(asked, lock, resource, shared=shared):
                raise AlreadyRunning(f"Another run is working on {what}; nothing was done, let it finish first.")
            lock.resources.append(resource)
    except PipelineError:
        # A program that goes on, such as a notebook, would keep the part that was taken.
        lock.release()
        raise
    if connection.is_pooled:
        connection.guard = lock.check
    return lock


def database_file(connection: Connection) -> Path:
    """Return the file of a SQLite database. Errors: DatabaseError, also for a path that is not UTF-8."""
    try:
        rows = connection.query(load()["lock_name_sqlite"].sql)
    except UnreadableText:
        raise DatabaseError(
            "The path of the SQLite database file has a name that is not UTF-8, and SQLite cannot give it; rename that "
            "folder or file, or name another file in DB_CONNECTION_STRING."
        ) from None
    return Path(next(str(row[2]) for row in rows if row[1] == "main"))


def _table_number(connection: Connection, table: str) -> str:
    """Return one name for the table, however it is written."""
    if connection.dialect is Dialect.SQLITE:
        # `main.` before a name says no more than the name alone.
        plain = table.replace('"', "").lower().removeprefix("main.")
        return f"{database_file(connection)}.{plain}"
    sql = load()[f"lock_name_{connection.dialect.value}"].sql
    number = connection.query(sql, [table])[0][0]
    if number is None:
        # SQL Server gives no number of a table on which the login has no right; then the statement is refused.
        refusal = refusal_of(connection, table)
        if refusal is not None and not isinstance(refusal, TableMissing):
            raise refusal
        if hidden := hidden_by_schema(connection, table):
            raise DatabaseError("; ".join(hidden))
        raise DatabaseError(
            f"The table {table} does not exist in this database; check TABLE_NAME, or make it with: "
            "d2i-csc-api deploy-schema --apply"
        )
    return str(number)


def _try(connection: Connection, lock: RunLock, resource: str, *, shared: bool) -> bool:
    if connection.dialect is Dialect.SQLITE:
        database = database_file(connection)
        return _try_file(lock, resource, shared=shared) and _try_within(lock, database, resource, shared=shared)
    if connection.dialect is Dialect.SQLSERVER:
        mode = "Shared" if shared else "Exclusive"
        sql = load()["lock_sqlserver"].sql
        return _is_taken(int(connection.query(sql, [f"{_PREFIX}:{resource}", mode])[0][0]))
    digest = hashlib.sha256(f"{_PREFIX}:{resource}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    length = "transaction_" if connection.is_pooled else ""
    sql = load()[f"lock_{length}{'shared_' if shared else ''}postgresql"].sql
    return bool(connection.query(sql, [key])[0][0])


def _is_taken(answer: int) -> bool:
    """Return whether the lock was taken, as `sp_getapplock` answers. Errors: DatabaseError where nothing is known."""
    if answer in _NOT_TRIED:
        raise DatabaseError(
            f"The run lock could not be taken: sp_getapplock answers {answer}. Nothing was done; try again, and ask "
            "the database administrator if it stays so."
        )
    return answer >= 0


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
    except sqlite3.Error as error:
        file.close()
        if "locked" in str(error):
            return False
        raise DatabaseError(
            f"The lock file {path} cannot be used ({error}); see that the disk has room and that the account may write "
            "in the database's folder, then try again."
        ) from None
    lock.files.append(file)
    return True


def _try_within(lock: RunLock, database: Path, resource: str, *, shared: bool) -> bool:
    """Lock one byte of the database file too, on Linux: somebody may remove the lock file, as on Windows nobody can.

    The byte is far behind the data and behind SQLite's own locks. Where such locks are not possible, the file has to
    do.
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
