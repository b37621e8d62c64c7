"""The strict database does what SQL Server does, so that tests on it mean something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from api_pipeline.db import Connection, DatabaseBusy, TransactionLost, connect
from api_pipeline.errors import DatabaseError
from tests.support.staging import fill, staged
from tests.support.strict import Mishap, StrictServer, strict_database

TABLE = "ssd_api_data_staging"


@contextmanager
def raw_connection(folder: Path, server: StrictServer) -> Iterator[Any]:
    with strict_database(folder, server) as database, closing(pyodbc.connect(database.connection_string)) as raw:
        database.deploy()
        yield raw
        server.refused.clear()


@contextmanager
def opened(folder: Path, server: StrictServer) -> Iterator[Connection]:
    with strict_database(folder, server) as database:
        fill(database.deploy(), database.table, [staged("Ab1"), staged("2")])
        with closing(connect(database.connection_string)) as connection:
            yield connection


@pytest.mark.parametrize(
    ("sql", "values", "reason"),
    [
        ("UPDATE {t} SET api_response = ?", [None], "null parameter"),
        ("UPDATE {t} SET api_response = ?", ["x" * 2001], "long text"),
        ("DELETE FROM {t} WHERE id IN (" + ", ".join("?" * 2101) + ")", [1] * 2101, "2101 parameters"),
        ("SELECT 1 FROM (VALUES " + ", ".join(["(1)"] * 1001) + ") AS given", [], "rows of VALUES"),
    ],
)
def test_what_sql_server_refuses_is_refused(tmp_path: Path, sql: str, values: list[object], reason: str) -> None:
    with (
        raw_connection(tmp_path, StrictServer()) as raw,
        pytest.raises(pyodbc.ProgrammingError, match=reason),
    ):
        raw.cursor().execute(sql.format(t=TABLE), values)


def test_a_product_that_sends_what_is_refused_fails_its_test(tmp_path: Path) -> None:
    server = StrictServer()
    with (
        pytest.raises(AssertionError, match="null parameter"),
        strict_database(tmp_path, server) as database,
        closing(pyodbc.connect(database.connection_string)) as raw,
        pytest.raises(pyodbc.Error),
    ):
        raw.cursor().execute("SELECT ?", [None])


def test_texts_compare_without_case_and_times_come_in_steps(tmp_path: Path) -> None:
    with opened(tmp_path, StrictServer()) as connection:
        connection.execute(f"UPDATE {TABLE} SET submission_timestamp = ?", ["2026-11-02 03:04:05.678"])

        found = connection.query(f"SELECT submission_timestamp FROM {TABLE} WHERE person_id = ?", ["AB1"])

    assert [str(row[0])[:23] for row in found] == ["2026-11-02 03:04:05.677"]


def test_a_char_is_padded_and_compares_without_its_blanks(tmp_path: Path) -> None:
    with opened(tmp_path, StrictServer()) as connection:
        columns = "receiver, la_child_id, payload_hash, run_id, begun_at"
        connection.execute(f"INSERT INTO ssd_api_unconfirmed ({columns}) VALUES ('r', 'c', '', 'run', 'now')")

        found = connection.query("SELECT payload_hash FROM ssd_api_unconfirmed WHERE payload_hash = ''")

    assert found == [(" " * 64,)]


def test_results_come_with_others_and_without_counts(tmp_path: Path) -> None:
    with raw_connection(tmp_path, StrictServer(chance=0.5)) as raw:
        counts = set()
        shapes = set()
        for _ in range(60):
            cursor = raw.cursor().execute(f"UPDATE {TABLE} SET api_response = 'x' WHERE 1 = 0")
            first = cursor.rowcount
            results = 1
            while cursor.nextset():
                results += 1
            counts.add(first)
            shapes.add(results)

    assert counts == {-1, 0, 7}
    assert shapes == {1, 2, 3}


def test_a_message_before_the_rows_is_no_result_set(tmp_path: Path) -> None:
    with (
        raw_connection(tmp_path, StrictServer(chance=1)) as raw,
        pytest.raises(pyodbc.ProgrammingError, match="No results"),
    ):
        raw.cursor().execute("SELECT 1").fetchall()


# The statements of a transaction of the product's: its number is noted, the file is locked, then come its own; at its
# end that number is looked at.
FIRST = 3


def two_updates(connection: Connection) -> None:
    with connection.transaction():
        connection.execute(f"UPDATE {TABLE} SET api_response = ?", ["one"])
        connection.execute(f"UPDATE {TABLE} SET submission_status = ?", ["sent"])


@pytest.mark.parametrize("mishap", list(Mishap))
@pytest.mark.parametrize("number", [FIRST, FIRST + 1, FIRST + 2])
def test_a_transaction_undone_behind_the_back_is_never_taken_for_done(
    tmp_path: Path, mishap: Mishap, number: int
) -> None:
    server = StrictServer({number: mishap})
    with opened(tmp_path, server) as connection:
        with pytest.raises(DatabaseError) as caught:
            two_updates(connection)
        left = connection.query(f"SELECT api_response, submission_status FROM {TABLE}")

    assert server.befallen == [mishap]
    assert left == [(None, "Pending")] * 2
    expected = {Mishap.UNDONE: TransactionLost, Mishap.DEADLOCK: DatabaseBusy, Mishap.LATE_ERROR: DatabaseError}
    assert type(caught.value) is expected[mishap]


def test_a_late_error_is_silent_for_who_does_not_read_every_result(tmp_path: Path) -> None:
    with raw_connection(tmp_path, StrictServer({1: Mishap.LATE_ERROR}, chance=0)) as raw:
        raw.autocommit = False
        cursor = raw.cursor().execute(f"DELETE FROM {TABLE}")
        assert cursor.rowcount == 0
        cursor.close()
        raw.commit()
