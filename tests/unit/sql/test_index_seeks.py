"""No parameter is compared with a VARCHAR column: SQL Server would convert the column, and read the table for one row.

A text travels as NVARCHAR, which goes before VARCHAR. Under a collation whose name begins with SQL_ no index serves
the converted column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlglot
from sqlglot import exp

from api_pipeline.sdr.schema import render as render_sdr
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect
from tests.support.statements import SDR, STAGING, t_sql_statements

pytestmark = pytest.mark.unmeasured

TABLE = re.compile(r"CREATE TABLE (\S+) \((.*?)\n\)", re.DOTALL)
NARROW = re.compile(r"^    (\w+) (?:VARCHAR|CHAR)\(", re.MULTILINE)
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Like)


def narrow_columns() -> dict[str, set[str]]:
    """Return for each table of ours the columns that hold no Unicode."""
    scripts = ddl.render(Dialect.SQLSERVER, STAGING) + render_sdr(Dialect.SQLSERVER, SDR)
    return {name: set(NARROW.findall(body)) for name, body in TABLE.findall(scripts)}


NARROW_COLUMNS = narrow_columns()


def converted(sql: str) -> Iterator[str]:
    """Yield the comparisons of a statement in which SQL Server converts a column to the type of a parameter."""
    statement = sqlglot.parse_one(sql, dialect="tsql")
    narrow = set().union(*(NARROW_COLUMNS.get(table.name, set()) for table in statement.find_all(exp.Table)))
    for node in statement.find_all(*COMPARISONS):
        # What stands at the left of SET is a column that is written, not one that is compared.
        if isinstance(node.parent, exp.Update) and node.arg_key == "expressions":
            continue
        sides = [node.this, *([node.expression] if isinstance(node, exp.Binary) else node.expressions)]
        columns = [side for side in sides if isinstance(side, exp.Column) and side.name in narrow]
        if columns and any(isinstance(side, exp.Parameter) for side in sides):
            yield node.sql()


def test_no_parameter_is_compared_with_a_column_that_holds_no_unicode() -> None:
    statements = dict(t_sql_statements())

    assert len(statements) > 100
    assert {name: found for name, sql in statements.items() if (found := list(converted(sql)))} == {}


@pytest.mark.parametrize(
    "condition", ["run_id = @v", "@v <= run_id", "outcome IN ('accepted', @v)", "sent_hash = @v", "run_id LIKE @v"]
)
def test_a_column_that_sql_server_would_convert_shows(condition: str) -> None:
    assert len(list(converted(f"SELECT id FROM ssd_api_submission_log WHERE {condition}"))) == 1


@pytest.mark.parametrize(
    "condition", ["run_id = CAST(@v AS VARCHAR(100))", "person_id = @v", "outcome = 'accepted'", "batch = @v"]
)
def test_a_column_that_keeps_its_type_does_not(condition: str) -> None:
    assert list(converted(f"SELECT id FROM ssd_api_submission_log WHERE {condition}")) == []
