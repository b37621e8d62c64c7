"""How the rows of an INSERT go together."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_pipeline.db.many_rows import MOST_ROWS, parts_of, put_together
from api_pipeline.sql.binding import MOST_PARAMETERS
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import NamedSql
from tests.support.effort import examples
from tests.support.statements import count_of

VALUES = st.none() | st.integers() | st.text(max_size=3) | st.binary(max_size=3)


@settings(max_examples=examples(20, 200))
@given(st.integers(1, 60).flatmap(lambda width: st.lists(st.tuples(*[VALUES] * width), max_size=50)))
def test_every_row_is_sent_once_in_order_and_within_limits(rows: list[tuple[object, ...]]) -> None:
    sql = f"INSERT INTO t (a) VALUES ({', '.join('?' * len(rows[0]))})" if rows else "INSERT INTO t (a) VALUES (?)"

    sent = list(put_together(sql, rows))

    assert [value for _, values in sent for value in values] == [value for row in rows for value in row]
    assert all(count_of(text) == len(values) <= MOST_PARAMETERS for text, values in sent)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=30))
def test_no_column_of_one_statement_holds_values_of_two_types(rows: list[tuple[object, object]]) -> None:
    sent = [values for _, values in put_together("INSERT INTO t VALUES (?, ?)", rows)]

    for values in sent:
        for column in (values[::2], values[1::2]):
            assert len({type(value) for value in column if value is not None}) <= 1
    for first, second in pairwise(sent):
        kinds = [{type(value) for value in [*first[place::2], second[place]] if value is not None} for place in (0, 1)]
        assert any(len(kind) > 1 for kind in kinds), "two statements that could have been one"


@pytest.mark.parametrize(("width", "rows", "sizes"), [(1, 2001, [1000, 1000, 1]), (12, 400, [166, 166, 68])])
def test_limits_of_sql_server_divide_the_rows(width: int, rows: int, sizes: list[int]) -> None:
    sql = f"INSERT INTO t VALUES ({', '.join('?' * width)})"

    assert [len(values) // width for _, values in put_together(sql, [(1,) * width] * rows)] == sizes
    assert max(sizes) <= MOST_ROWS


def test_joined_statement_keeps_its_name_and_the_types_of_its_parameters() -> None:
    named = NamedSql("INSERT INTO t (a, b)\nVALUES (?text, CAST(?number AS INT))", "insert_it")

    ((sql, values),) = put_together(named, [("x", 1), (None, 2)])

    assert isinstance(sql, NamedSql)
    assert sql.name == "insert_it"
    assert sql.endswith("VALUES (?text, CAST(?number AS INT)), (?text, CAST(?number AS INT))")
    assert list(values) == ["x", 1, None, 2]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET a = ? WHERE b = ?",
        "DELETE FROM t WHERE a = ? AND b = ?",
        "INSERT INTO t SELECT a FROM u WHERE b = ? AND c = ?",
        "INSERT INTO t (a, b) VALUES (?, ?) RETURNING a",
    ],
)
def test_other_statements_are_sent_row_by_row(sql: str) -> None:
    assert list(put_together(sql, [(1, 2), (3, 4)])) == [(sql, (1, 2)), (sql, (3, 4))]


@given(st.integers(0, 2500), st.integers(1, 130), st.integers(0, 20), st.sampled_from(Dialect))
def test_the_parts_of_a_table_of_rows_keep_within_the_limits(
    rows: int, width: int, beside: int, dialect: Dialect
) -> None:
    parts = list(parts_of(dialect, range(rows), width, beside))

    assert [row for part in parts for row in part] == list(range(rows))
    assert all(0 < len(part) <= MOST_ROWS for part in parts)
    if dialect is not Dialect.POSTGRESQL:
        assert all(len(part) * width + beside <= MOST_PARAMETERS for part in parts)
        assert all((len(part) + 1) * width + beside > MOST_PARAMETERS or len(part) == MOST_ROWS for part in parts[:-1])
