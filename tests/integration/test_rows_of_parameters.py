"""Rows and lists of parameters reach each database as they are, whatever form they travel in."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from api_pipeline.db import Rows, connect
from tests.support.databases import TestDatabase

_TEXTS = ["plain", "quo\"te's", "back\\slash", "M\u0101ori \U0001f600", "{braces}", "", "a,b"]


@pytest.mark.strict
def test_rows_arrive_with_every_type_and_null(database: TestDatabase) -> None:
    moment = datetime(2026, 8, 20, 3, 4, 5, 677000, tzinfo=timezone.utc).replace(tzinfo=None)
    rows: list[tuple[object, ...]] = [(number, text, moment, text.encode()) for number, text in enumerate(_TEXTS, 100)]
    rows.append((1, None, None, None))
    connection = connect(database.connection_string)
    try:
        sql = "SELECT column1, column2, column3, column4 FROM ?rows ORDER BY column1"
        found = connection.query(sql, [Rows((int, str, datetime, bytes), rows)])
    finally:
        connection.close()
    assert [(row[0], row[1]) for row in found[1:]] == [(row[0], row[1]) for row in rows[:-1]]
    assert found[0] == (1, None, None, None)
    # A column of an expression has no type in SQLite, and its ODBC driver reads bytes from it as some text.
    if database.name not in ("sqlite-odbc", "strict"):
        assert {bytes(row[3]) for row in found[1:]} == {text.encode() for text in _TEXTS}
    assert {str(row[2])[:23] for row in found[1:]} == {"2026-08-20 03:04:05.677"}


@pytest.mark.parametrize("database", ["postgresql-odbc"], indirect=True)
def test_nulls_arrive_whatever_the_login_makes_of_nulls_in_arrays(database: TestDatabase) -> None:
    (name,) = database.rows("SELECT current_database()")[0]
    database.execute(f"ALTER DATABASE {name} SET array_nulls = off")
    connection = connect(database.connection_string)
    try:
        rows = Rows((int, str), [(1, None), (2, "text")])
        found = connection.query("SELECT column2 FROM ?rows ORDER BY column1", [rows])
    finally:
        connection.close()
    assert found == [(None,), ("text",)]


def test_lists_find_what_is_in_them_alone(database: TestDatabase) -> None:
    connection = connect(database.connection_string)
    try:
        rows = Rows((int, str), list(enumerate(_TEXTS)))
        texts = [_TEXTS[1], _TEXTS[3], _TEXTS[5], "unknown"]
        by_text = connection.query("SELECT column1 FROM ?rows WHERE column2 ?among", [rows, texts])
        by_number = connection.query("SELECT column1 FROM ?rows WHERE column1 ?among", [rows, [2, 4, 99]])
    finally:
        connection.close()
    assert sorted(row[0] for row in by_text) == [1, 3, 5]
    assert sorted(row[0] for row in by_number) == [2, 4]
