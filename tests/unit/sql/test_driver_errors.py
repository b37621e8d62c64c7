"""What a database says is told as what it is, and none of a row's values with it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from api_pipeline.errors import DatabaseError
from api_pipeline.sql.driver_errors import ConnectionLost, DatabaseBusy, StatementFailed, as_database_error
from api_pipeline.sql.statements import load


class DriverError(Exception):
    """Stands for pyodbc.Error: state and text are its arguments."""


FULL = [
    ("53100", "ERROR: could not extend file: No space left on device"),
    ("42000", "[SQL Server]Could not allocate space for 'x' as 'PRIMARY' is full. (1105) (SQLExecDirectW)"),
    ("42000", "[SQL Server]The transaction log for database 'x' is full due to 'LOG_BACKUP'. (9002) (SQLExecDirectW)"),
    ("HY000", "[SQLite]database or disk is full (13)"),
]
CANCELLED = [
    ("57014", "ERROR: canceling statement due to statement timeout"),
    ("HY008", "[Microsoft][ODBC Driver 18 for SQL Server]Operation canceled (0) (SQLExecDirectW)"),
    ("HY000", "[SQLite]interrupted (9)"),
    ("42000", "[SQL Server]The query has been canceled because of its cost. (8649) (SQLExecDirectW)"),
]


@pytest.mark.parametrize(("state", "text"), FULL)
def test_full_disk_is_told_as_such(state: str, text: str) -> None:
    error = as_database_error(DriverError(state, text), "UPDATE x SET y = 1")
    assert error.exit_code == 3
    assert str(error).startswith(f"The database has no room left (SQLSTATE {state}")
    assert "spool" not in str(error), "most commands keep no receipts"


@pytest.mark.parametrize(("state", "text"), CANCELLED)
def test_cancelled_statement_is_told_as_such(state: str, text: str) -> None:
    error = as_database_error(DriverError(state, text), "UPDATE x SET y = 1")
    assert error.exit_code == 3
    assert str(error).startswith(f"A statement was cancelled (SQLSTATE {state}")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        *(FULL + CANCELLED),
        ("57014", 'ERROR: canceling statement due to statement timeout: relation "x" does not exist'),
        ("53200", "ERROR: out of memory"),
        ("XX001", "ERROR: invalid page in block 3"),
        ("HY000", "[SQL Server]a logical consistency-based I/O error: incorrect checksum (824) (SQLExecDirectW)"),
    ],
)
def test_statement_that_could_not_end_is_no_refusal(state: str, text: str) -> None:
    assert type(as_database_error(DriverError(state, text))) is StatementFailed


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("42S22", "[SQL Server]Invalid column name 'x'. (207) (SQLExecDirectW)"),
        ("42501", "ERROR: permission denied for table x"),
        ("42000", "[SQL Server]Incorrect syntax near 'x'. (102) (SQLExecDirectW)"),
        ("22P02", 'ERROR: invalid input syntax for type integer: "interrupted"'),
    ],
)
def test_what_is_not_there_or_not_allowed_or_of_another_type_is_refused(state: str, text: str) -> None:
    assert type(as_database_error(DriverError(state, text))) is DatabaseError


@pytest.fixture
def embedded() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE x (y TEXT)")
        yield connection


def test_real_embedded_database_that_is_full_is_told_as_such(embedded: sqlite3.Connection) -> None:
    embedded.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.Error) as raised:
        embedded.execute("INSERT INTO x VALUES (?)", ["Quillfeather" * 5000])
    assert "has no room left" in str(as_database_error(raised.value))
    assert "Quillfeather" not in str(as_database_error(raised.value))


def test_real_embedded_database_that_is_read_only_is_told_as_such(embedded: sqlite3.Connection) -> None:
    embedded.executescript("CREATE TABLE t (a); PRAGMA query_only = ON")
    with pytest.raises(sqlite3.Error) as raised:
        embedded.execute("INSERT INTO t VALUES (1)")
    assert str(as_database_error(raised.value, "INSERT INTO t VALUES (1)")) == (
        "The database file may not be written; let the account that runs the command write the file and its folder."
    )


def test_real_embedded_statement_that_is_cancelled_is_told_as_such(embedded: sqlite3.Connection) -> None:
    embedded.set_progress_handler(lambda: 1, 1)
    with pytest.raises(sqlite3.Error) as raised:
        embedded.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n")
    assert "was cancelled" in str(as_database_error(raised.value))


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (0, r"^The file that DB_CONNECTION_STRING names is not a SQLite database, or is damaged;.* restore a backup"),
        (4096, r"^The database is damaged \(SQLSTATE HY000\); have the database administrator .* restore a backup"),
    ],
)
def test_damaged_database_file_is_reported_as_damaged(tmp_path: Path, place: int, said: str) -> None:
    path = tmp_path / "council.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute("CREATE TABLE x (y TEXT)")
        made.executemany("INSERT INTO x VALUES (?)", [["a" * 1000]] * 50)
    content = bytearray(path.read_bytes())
    content[place : place + 4096] = b"\xff" * 4096
    path.write_bytes(content)

    with closing(sqlite3.connect(path)) as damaged, pytest.raises(sqlite3.DatabaseError) as raised:
        damaged.execute("SELECT y FROM x").fetchall()
    assert re.match(said, str(as_database_error(raised.value)))
    assert type(as_database_error(raised.value)) is StatementFailed


def test_damage_that_postgresql_reports_is_reported_as_damage() -> None:
    error = as_database_error(DriverError("XX001", "ERROR: invalid page in block 3 of relation base/1/2"))
    assert str(error).startswith("The database is damaged (SQLSTATE XX001)")


@pytest.mark.parametrize(
    ("state", "text", "expected"),
    [
        ("42S02", "[SQL Server]Invalid object name 'x'. (208) (SQLExecDirectW)", "(SQLSTATE 42S02, native error 208, "),
        ("42000", "[SQL Server]The UPDATE permission was denied. (229) (SQLExecDirectW)", "native error 229, "),
        ("42S22", "[SQL Server]Invalid column name 'row_state'. (207) (SQLExecDirectW)", "native error 207, "),
        ("25006", "ERROR: cannot execute UPDATE in a read-only transaction", "(SQLSTATE 25006, "),
    ],
)
def test_what_is_missing_or_forbidden_names_statement_and_table(state: str, text: str, expected: str) -> None:
    statement = load()["may_write"].sql.format(table="csc.staging")

    error = as_database_error(DriverError(state, text), statement)

    assert f"{expected}the statement may_write on csc.staging)" in str(error)


def test_missing_column_is_not_called_a_missing_table() -> None:
    text = 'ERROR: column "held_payload" of relation "ssd_api_held" does not exist (1) (SQLExecDirectW)'
    error = as_database_error(DriverError("42703", text), "ALTER TABLE x")
    assert type(error) is DatabaseError
    assert str(error).startswith("A column is missing from a table (SQLSTATE 42703")


_DRIVER = "[Microsoft][ODBC Driver 18 for SQL Server]"


@pytest.mark.parametrize(
    ("state", "text", "kind", "told"),
    [
        (
            "40001",
            f"{_DRIVER}[SQL Server]chosen as the deadlock victim. (1205) (SQLExecDirectW)",
            DatabaseBusy,
            "40001, native error 1205",
        ),
        (
            "42000",
            f"{_DRIVER}[SQL Server]Lock request time out period. (1222) (SQLExecDirectW)",
            DatabaseBusy,
            "42000, native error 1222",
        ),
        (
            "42000",
            f"{_DRIVER}[SQL Server]canceling statement due to lock timeout (50000) (SQLExecDirectW)",
            DatabaseBusy,
            "42000, native error 50000",
        ),
        (
            "42000",
            f"{_DRIVER}[SQL Server]Snapshot isolation. (3960) (SQLExecDirectW)",
            DatabaseBusy,
            "42000, native error 3960",
        ),
        (
            "HY000",
            f"{_DRIVER}[SQL Server]Cannot obtain a LOCK resource. (1204) (SQLExecDirectW)",
            DatabaseBusy,
            "HY000, native error 1204",
        ),
        (
            "42000",
            f"{_DRIVER}[SQL Server]The service is busy. (40501) (SQLExecDirectW)",
            DatabaseBusy,
            "42000, native error 40501",
        ),
        (
            "08S01",
            f"{_DRIVER}TCP Provider: Error code 0x68 (104) (SQLExecDirectW)",
            ConnectionLost,
            "08S01, native error 104",
        ),
        *(
            (
                "42000",
                f"{_DRIVER}[SQL Server]It is not available; try again. ({number}) (SQLExecDirectW)",
                ConnectionLost,
                f"42000, native error {number}",
            )
            for number in (596, 983, 40197, 40613)
        ),
        *(
            (
                "42000",
                f"{_DRIVER}[SQL Server]Try again. ({number}) (SQLExecute)",
                DatabaseBusy,
                f"42000, native error {number}",
            )
            for number in (701, 921, 922, 3966, 8628, 8651, 10936)
        ),
        *(
            (state, f"{_DRIVER}It could not be recovered. (0) (SQLExecute)", ConnectionLost, state)
            for state in ("IMC02", "IMC06")
        ),
        ("HY008", f"{_DRIVER}Operation canceled (0) (SQLExecDirectW)", StatementFailed, "HY008"),
        (
            "42000",
            f"{_DRIVER}[SQL Server]The log is full. (9002) (SQLExecDirectW)",
            StatementFailed,
            "42000, native error 9002",
        ),
    ],
)
def test_every_kind_names_statement_table_state_and_number(
    state: str, text: str, kind: type[DatabaseError], told: str
) -> None:
    error = as_database_error(
        DriverError(state, text), load()["mark_failed"].sql.format(table="csc.t", rows="x", ids=1)
    )

    assert type(error) is kind
    assert f"(SQLSTATE {told}, the statement mark_failed on csc.t)" in str(error)
    assert "d2i-csc-api test-schema" not in str(error)
    assert "; " in str(error)


def test_number_in_the_servers_words_is_not_taken_for_the_servers_number() -> None:
    error = DriverError("42000", f"{_DRIVER}[SQL Server]The amount (1205) is no number. (50000) (SQLExecute)")

    assert type(as_database_error(error)) is DatabaseError


def test_database_that_the_login_is_no_user_of_is_a_question_of_rights() -> None:
    text = 'The server principal "csc" is not able to access the database "HDM" under the current security context.'

    error = as_database_error(DriverError("42000", f"{_DRIVER}[SQL Server]{text} (916) (SQLExecDirectW)"))

    assert str(error).startswith("The login may not do this in the database (SQLSTATE 42000, native error 916)")


def test_embedded_database_names_the_statement_for_which_it_is_busy() -> None:
    statement = load()["any_row"].sql.format(table="staging", page="LIMIT 1")

    error = as_database_error(sqlite3.OperationalError("database is locked"), statement)

    assert type(error) is DatabaseBusy
    assert "busy (the statement any_row on staging); try again" in str(error)


def test_missing_column_is_named_if_the_statement_carries_no_values() -> None:
    statement = load()["table_exists"].sql.format(columns="id, row_state", any_table="csc.staging")
    error = DriverError("42S22", f"{_DRIVER}[SQL Server]Invalid column name 'row_state'. (207) (SQLExecDirectW)")

    assert "the server says \"Invalid column name 'row_state'\"" in str(
        as_database_error(error, statement, has_values=False)
    )
    assert "the server says" not in str(as_database_error(error, statement))
