"""What may not be there is asked for without an error; a database that is away stays one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_pipeline.db import Connection, ConnectionLost, connect, unless_refused


@pytest.fixture
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    opened = connect(f"sqlite:///{tmp_path_factory.mktemp('database') / 'council.db'}", create=True)
    opened.execute("CREATE TABLE staged (id INTEGER)")
    yield opened
    opened.close()


def test_an_answer_is_returned_even_where_it_has_no_rows(connection: Connection) -> None:
    assert unless_refused(lambda: connection.query("SELECT id FROM staged")) == []


@pytest.mark.parametrize("sql", ["SELECT id FROM other", "SELECT colour FROM staged"])
def test_missing_table_or_column_is_none(connection: Connection, sql: str) -> None:
    assert unless_refused(lambda: connection.query(sql)) is None


def test_database_that_is_away_is_not_taken_for_a_missing_table() -> None:
    def away() -> None:
        raise ConnectionLost("The connection to the database was lost.")

    with pytest.raises(ConnectionLost):
        unless_refused(away)
