"""A strict database: SQLite through its ODBC driver, wrapped so that it does what SQL Server does and others forgive.

`strict_database` gives one, and lets `pyodbc.connect` open it; a program of its own does by `strict_site`. Always:

- a null parameter, a long text that is not declared, more than 2,100 parameters or 1,000 rows of VALUES are refused,
  and the transaction is undone, as under XACT_ABORT;
- texts compare without case, CHAR is padded, a time is kept in steps of 1/300 s;
- statements answer, by a seeded chance, with a message before their result, a trigger's count before theirs, a
  further message behind it, and without a count.

`Mishap`s apply to the statements in transactions that a test names by number.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyodbc

from tests.support.commands import STRICT_DRIVER as DRIVER
from tests.support.databases import SQLITE_DRIVER, TestDatabase, sqlite_odbc_database

MOST_PARAMETERS = 2100
MOST_ROWS = 1000
LONGEST_TEXT = 2000
_HASHES = ("held_hash", "sent_hash", "payload_hash")
_HASH_LENGTH = 64
# Tables whose keys are BIN2 there.
_KEPT_APART = re.compile(
    r"ssd_api_(held|submission_log|unconfirmed|left_window|runs)\b|\b(sdr|xporter)_", re.IGNORECASE
)
_TEXT_COLUMN = re.compile(r"(\b(?:NVARCHAR|VARCHAR)\(\d+\)|\bTEXT\b)(?! COLLATE)", re.IGNORECASE)
_CHAR_COLUMN = re.compile(rf"\b({'|'.join(_HASHES)}) (?!BLOB)\w+(?:\(\d+\))?", re.IGNORECASE)
_CREATED = re.compile(r"^\s*CREATE TABLE (?:IF NOT EXISTS )?(\S+)", re.IGNORECASE)
_CHANGES = re.compile(r"^\s*(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{3}")
_REAL_CONNECT = pyodbc.connect


class Mishap(str, Enum):
    """What applies to a statement inside a transaction."""

    UNDONE = "the transaction is undone behind it, and nothing is said"
    DEADLOCK = "it is a deadlock's victim: an error, and the transaction is undone"
    LATE_ERROR = "a trigger fails behind its count: an error as a later result, and the transaction is undone"


@dataclass
class StrictServer:
    """What a strict database does besides what the databases in it do.

    `mishaps` are by the number of a statement among those in transactions, from 1. `chance` is how often a statement
    answers in more results than one. `refused` collects what the product should not have sent.
    """

    mishaps: Mapping[int, Mishap] = field(default_factory=dict)
    seed: int = 0
    chance: float = 0.3
    statements: int = 0
    befallen: list[Mishap] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def happens(self) -> bool:
        with self._lock:
            return self._random.random() < self.chance

    def applies_to(self) -> Mishap | None:
        """Count a statement in a transaction; return what applies to it."""
        with self._lock:
            self.statements += 1
            found = self.mishaps.get(self.statements)
            if found is not None:
                self.befallen.append(found)
            return found


_SERVERS: dict[str, StrictServer] = {}


@contextmanager
def strict_database(folder: Path, server: StrictServer | None = None) -> Iterator[TestDatabase]:
    """Give an empty strict database, which the product opens in this process; the test's own connection is a plain one.

    At the end the product must have sent nothing that SQL Server would refuse.
    """
    server = server or StrictServer()
    with sqlite_odbc_database(folder) as plain:
        text = plain.connection_string.replace(f"{{{SQLITE_DRIVER}}}", f"{{{DRIVER}}}")
        _SERVERS[text] = server
        try:
            with patch.object(pyodbc, "connect", _connect):
                yield StrictDatabase("strict", text, plain.dialect, plain.connection)
        finally:
            _SERVERS.pop(text, None)
    assert not server.refused, server.refused


def install() -> None:
    """Let `pyodbc.connect` open strict databases for the rest of this process."""
    pyodbc.connect = _connect


class StrictDatabase(TestDatabase):
    """A strict database as the tests see it: what they make in it compares and pads as well."""

    __test__ = False

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        for text in _as_sql_server_makes(sql):
            super().execute(text, parameters)


def _connect(connection_string: str, **options: Any) -> Any:
    # The product adds what it tells the driver.
    server = next((one for text, one in _SERVERS.items() if connection_string.startswith(text.rstrip(";"))), None)
    if server is None and f"{{{DRIVER}}}" in connection_string:
        server = _SERVERS.setdefault(connection_string, StrictServer())
    if server is None:
        return _REAL_CONNECT(connection_string, **options)
    real = connection_string.replace(f"{{{DRIVER}}}", f"{{{SQLITE_DRIVER}}}")
    return _Connection(_REAL_CONNECT(real, **options), server)


def _as_sql_server_makes(sql: str) -> list[str]:
    """Return the statements that make a table whose texts compare without case and whose CHAR columns are padded."""
    created = _CREATED.match(sql)
    if created is None:
        return [sql]
    table = created[1]
    if not _KEPT_APART.search(table):
        return [_TEXT_COLUMN.sub(r"\1 COLLATE NOCASE", sql)]
    hashes = [found[1] for found in _CHAR_COLUMN.finditer(sql)]
    # RTRIM is SQLite's word for a comparison that sees no blanks at the end.
    made = [_CHAR_COLUMN.sub(rf"\1 CHAR({_HASH_LENGTH}) COLLATE RTRIM", sql)]
    padded = ", ".join(f"{name} = substr({name} || '{' ' * _HASH_LENGTH}', 1, {_HASH_LENGTH})" for name in hashes)
    if padded:
        bare = table.strip('"[]').rpartition(".")[2]
        made.append(
            f"CREATE TRIGGER IF NOT EXISTS pad_{bare} AFTER INSERT ON {table} "
            f"BEGIN UPDATE {bare} SET {padded} WHERE rowid = NEW.rowid; END"
        )
    return made


class _Connection:
    """A pyodbc connection whose cursors are strict."""

    def __init__(self, raw: Any, server: StrictServer) -> None:
        self.raw = raw
        self.server = server

    @property
    def autocommit(self) -> bool:
        return bool(self.raw.autocommit)

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        self.raw.autocommit = value

    def cursor(self) -> _Cursor:
        return _Cursor(self)

    def execute(self, sql: str, *parameters: Any) -> _Cursor:
        return self.cursor().execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def undo(self) -> None:
        if not self.raw.autocommit:
            self.raw.rollback()


@dataclass(frozen=True)
class _Result:
    """One result of a statement: rows, a count, a message (neither), or an error that comes when it is fetched."""

    description: Any = None
    rows: list[Any] | None = None
    rowcount: int = -1
    error: Exception | None = None


class _Cursor:
    """A cursor that holds every result of a statement; `nextset` leads from one to the next."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._raw = connection.raw.cursor()
        self._declared: Sequence[Any] = ()
        self._results: list[_Result] = []

    @property
    def description(self) -> Any:
        return self._results[0].description if self._results else None

    @property
    def rowcount(self) -> int:
        return self._results[0].rowcount if self._results else -1

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        self._declared = sizes

    def execute(self, sql: str, *parameters: Any) -> _Cursor:
        values = (
            list(parameters[0]) if len(parameters) == 1 and isinstance(parameters[0], (list, tuple)) else parameters
        )
        self._refuse_what_sql_server_refuses(sql, values)
        connection = self._connection
        is_in_transaction = not connection.raw.autocommit
        if self._declared:
            self._raw.setinputsizes(self._declared)
        kept = [_in_three_hundredths(value) for value in values]
        for text in _as_sql_server_makes(sql):
            self._raw.execute(text, kept)
        self._declared = ()
        has_rows = self._raw.description is not None
        result = (
            _Result(self._raw.description, self._raw.fetchall()) if has_rows else _Result(rowcount=self._raw.rowcount)
        )
        self._results = self._with_others(sql, result)
        mishap = connection.server.applies_to() if is_in_transaction else None
        if mishap is not None:
            connection.undo()
            if mishap is Mishap.DEADLOCK:
                raise pyodbc.OperationalError(
                    "40001", "[40001] [Strict] chosen as the deadlock victim. (1205) (SQLExecDirectW)"
                )
            if mishap is Mishap.LATE_ERROR:
                self._results.append(
                    _Result(error=pyodbc.Error("42000", "[42000] [Strict] late trigger (50000) (SQLMoreResults)"))
                )
        return self

    def fetchall(self) -> list[Any]:
        rows = self._results[0].rows if self._results else None
        if rows is None:
            raise pyodbc.ProgrammingError("No results.  Previous SQL was not a query.")
        return rows

    def nextset(self) -> bool:
        self._results = self._results[1:]
        if self._results and self._results[0].error is not None:
            raise self._results[0].error
        return bool(self._results)

    def close(self) -> None:
        self._raw.close()

    def _with_others(self, sql: str, result: _Result) -> list[_Result]:
        happens = self._connection.server.happens
        if result.rows is not None:
            before = [_Result()] if happens() else []
            return [*before, result, *([_Result()] if happens() else [])]
        if happens():
            result = _Result(rowcount=-1)
            return [_Result(), result] if happens() else [result]
        before = [_Result(rowcount=7)] if _CHANGES.match(sql) and happens() else []
        return [*before, result, *([_Result()] if happens() else [])]

    def _refuse_what_sql_server_refuses(self, sql: str, values: Sequence[Any]) -> None:
        reason = ""
        if any(value is None for value in values):
            reason = "a null parameter without a type"
        elif len(values) > MOST_PARAMETERS:
            reason = f"{len(values)} parameters"
        elif re.search(r"\bVALUES\b", sql, re.IGNORECASE) and sql.count("), (") >= MOST_ROWS:
            reason = "too many rows of VALUES"
        else:
            for place, value in enumerate(values):
                declared = self._declared[place] if place < len(self._declared) else None
                is_long = isinstance(value, str) and len(value.encode("utf-16-le", "surrogatepass")) > 2 * LONGEST_TEXT
                if is_long and declared != (pyodbc.SQL_WVARCHAR, 0, 0):
                    reason = "a long text that is not declared as NVARCHAR(MAX)"
        if reason:
            self._connection.server.refused.append(f"{reason}: {sql[:200]}")
            with suppress(pyodbc.Error):
                self._connection.undo()
            raise pyodbc.ProgrammingError("42000", f"[42000] [Strict] {reason} (4189) (SQLExecDirectW)")


def _in_three_hundredths(value: Any) -> Any:
    """Return a time as SQL Server's DATETIME keeps it; anything else as it is."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return value
    moment = datetime.fromisoformat(value)
    steps = round(moment.microsecond * 300 / 1_000_000)
    kept = moment.replace(microsecond=0) + timedelta(milliseconds=round(steps * 10 / 3))
    return kept.isoformat(value[10], "milliseconds")
