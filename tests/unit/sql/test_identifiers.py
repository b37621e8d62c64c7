"""Which TABLE_NAMEs name one table."""

from __future__ import annotations

import pytest

from api_pipeline.sql.identifiers import Dialect, is_same_table


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("other", ["Rows", "ROWS", "dbo.rows", "[rows]", "[dbo].[rows]", "[DBO].Rows"])
def test_schema_brackets_and_capitals_do_not_make_another_table(other: str, dialect: Dialect) -> None:
    assert is_same_table("rows", other, dialect)
    assert is_same_table(other, "rows", dialect)


@pytest.mark.parametrize("dialect", Dialect)
def test_capitals_in_brackets_are_another_name_on_postgresql_alone(dialect: Dialect) -> None:
    assert is_same_table("rows", "[Rows]", dialect) is (dialect is not Dialect.POSTGRESQL)
    assert is_same_table("[Rows]", "dbo.[Rows]", dialect)


@pytest.mark.parametrize("other", ["rows_anon", "rows.other", "", "no table's name", "a.b.rows", "[rows"])
def test_another_name_or_none_is_another_table(other: str) -> None:
    assert not is_same_table("rows", other, Dialect.SQLSERVER)
    assert is_same_table(other, other, Dialect.SQLSERVER)
