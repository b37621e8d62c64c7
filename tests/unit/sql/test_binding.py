"""How parameters are written, so that no driver has to ask the server what they are."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_pipeline.errors import DatabaseError
from api_pipeline.sql.binding import LONGEST_PLAIN_TEXT, Rows, bind, declared_lengths
from api_pipeline.sql.identifiers import Dialect
from api_pipeline.sql.statements import load
from tests.support.statements import count_of

VALUES = st.none() | st.integers() | st.text(max_size=20) | st.datetimes() | st.binary(max_size=40)
dialects = pytest.mark.parametrize("dialect", Dialect)
AT = datetime(2026, 11, 2, 3, 4, 5, 678000)  # noqa: DTZ001 - the tables' times have no zone


@dialects
@given(values=st.lists(VALUES, max_size=8))
def test_no_null_is_ever_bound_and_every_other_value_is(dialect: Dialect, values: list[object]) -> None:
    sql = "INSERT INTO t VALUES (" + ", ".join(["?"] * len(values)) + ")"

    bound = bind(sql, values, dialect)

    there = [value for value in values if value is not None]
    assert None not in bound.values
    assert len(bound.values) == len(there) == bound.sql.count("?") == len(bound.unlimited)
    assert bound.sql.count("NULL") == len(values) - len(there)


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (Dialect.SQLSERVER, "CAST(NULL AS NVARCHAR(MAX)), CAST(NULL AS DATETIME2(3)), CAST(NULL AS BIGINT)"),
        (Dialect.POSTGRESQL, "CAST(NULL AS TEXT), CAST(NULL AS TIMESTAMP), CAST(NULL AS BIGINT)"),
        (Dialect.SQLITE, "NULL, NULL, NULL"),
    ],
)
def test_null_has_the_type_that_its_marker_names(dialect: Dialect, expected: str) -> None:
    assert bind("?text, ?time, ?number", [None, None, None], dialect).sql == expected


@pytest.mark.parametrize(
    ("dialect", "expected", "value"),
    [
        (Dialect.SQLSERVER, "SET a = CAST(? AS DATETIME2(3))", "2026-11-02T03:04:05.678"),
        (Dialect.POSTGRESQL, "SET a = CAST(? AS TIMESTAMP)", "2026-11-02T03:04:05.678"),
        (Dialect.SQLITE, "SET a = ?", "2026-11-02 03:04:05.678"),
    ],
)
@pytest.mark.parametrize("marker", ["?", "?time"])
def test_time_travels_as_iso_text_in_a_cast(dialect: Dialect, expected: str, value: str, marker: str) -> None:
    bound = bind(f"SET a = {marker}", [AT], dialect)

    assert (bound.sql, bound.values) == (expected, [value])


def test_time_with_a_zone_is_sent_as_utc() -> None:
    moment = AT.replace(tzinfo=timezone(timedelta(hours=2)))

    assert bind("?", [moment], Dialect.SQLSERVER).values == ["2026-11-02T01:04:05.678"]


@pytest.mark.parametrize(
    ("marker", "text", "expected"),
    [
        ("?", "x" * LONGEST_PLAIN_TEXT, False),
        ("?", "x" * (LONGEST_PLAIN_TEXT + 1), True),
        ("?", "\N{GRINNING FACE}" * (LONGEST_PLAIN_TEXT // 2 + 1), True),
        ("?", "\N{GRINNING FACE}" * (LONGEST_PLAIN_TEXT // 2), False),
        ("?text", "x", True),
    ],
)
def test_text_is_declared_without_limit_where_it_is_long_or_may_be(marker: str, text: str, expected: bool) -> None:
    assert bind(marker, [text], Dialect.SQLSERVER).unlimited == [expected]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", 2, "x" * 64], [64, None, 64]),
        (["1", "x" * 65], [256, 256]),
        (["1", "x" * 257, "x" * 2001], [2000, 2000, 0]),
        (["\N{GRINNING FACE}" * 33], [256]),
        ([1, b"x"], None),
    ],
)
def test_short_texts_of_a_statement_are_declared_with_one_length(
    values: list[object], expected: list[int | None] | None
) -> None:
    bound = bind(f"SELECT {', '.join('?' * len(values))}", values, Dialect.SQLSERVER)

    assert declared_lengths(bound, Dialect.SQLSERVER) == expected


@given(values=st.lists(VALUES, max_size=8), others=st.lists(VALUES, max_size=8))
def test_declarations_depend_on_types_alone_if_the_texts_are_ids(values: list[object], others: list[object]) -> None:
    others = [other if type(other) is type(value) else value for value, other in zip(values, others, strict=False)]
    values = values[: len(others)]
    sql = f"SELECT {', '.join('?' * len(values))}"

    one, other = (bind(sql, given, Dialect.SQLSERVER) for given in (values, others))

    assert one.sql == other.sql
    assert declared_lengths(one, Dialect.SQLSERVER) == declared_lengths(other, Dialect.SQLSERVER)


@pytest.mark.parametrize("dialect", [Dialect.POSTGRESQL, Dialect.SQLITE])
def test_other_databases_are_told_of_long_texts_alone(dialect: Dialect) -> None:
    assert declared_lengths(bind("SELECT ?, ?", ["a", 1], dialect), dialect) is None
    assert declared_lengths(bind("SELECT ?, ?text, ?", ["a", "b", 1], dialect), dialect) == [None, 0, None]


def test_question_mark_in_a_literal_or_a_name_is_no_parameter() -> None:
    bound = bind("SELECT 'what?', 'it''s ?', \"odd?\" WHERE a = ?", [1], Dialect.SQLITE)

    assert bound.sql == "SELECT 'what?', 'it''s ?', \"odd?\" WHERE a = ?"


def test_wrong_number_of_values_names_the_statement_and_no_value() -> None:
    with pytest.raises(DatabaseError, match="keep_changed has 3 parameters and was given 1") as error:
        bind(load()["keep_changed"].sql.format(table="t"), ["secret"], Dialect.SQLITE)

    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        *("queries.sql", "staging_queries.sql", "anonymise_queries.sql", "report_queries.sql"),
        *("diagnostics_queries.sql", "explain_queries.sql", "rights_queries.sql"),
    ],
)
def test_every_marker_of_every_statement_is_understood(name: str) -> None:
    for statement in load(name).values():
        assert count_of(statement.sql) == statement.sql.count("?")


@pytest.mark.parametrize(
    ("dialect", "expected", "values"),
    [
        (
            Dialect.SQLSERVER,
            "SELECT ? FROM (VALUES (?, ?), (?, CAST(NULL AS NVARCHAR(MAX)))) AS given (column1, column2) "
            "WHERE id IN (?, ?) AND a = ?",
            ["x", 1, "a", 2, 1, 2, "y"],
        ),
        (
            Dialect.POSTGRESQL,
            "SELECT ? FROM UNNEST(CAST(? AS BIGINT[]), CAST(? AS TEXT[])) AS given (column1, column2) "
            "WHERE id = ANY (CAST(? AS BIGINT[])) AND a = ?",
            ["x", "{1,2}", '{"a",null}', "{1,2}", "y"],
        ),
        (
            Dialect.SQLITE,
            "SELECT ? FROM (VALUES (?, ?), (?, NULL)) AS given WHERE id IN (?, ?) AND a = ?",
            ["x", 1, "a", 2, 1, 2, "y"],
        ),
    ],
)
def test_lists_and_tables_are_written_in_their_places(dialect: Dialect, expected: str, values: list[object]) -> None:
    rows = Rows((int, str), [(1, "a"), (2, None)])

    bound = bind("SELECT ? FROM ?rows WHERE id ?among AND a = ?", ["x", rows, [1, 2], "y"], dialect)

    assert (bound.sql, bound.values) == (expected, values)
