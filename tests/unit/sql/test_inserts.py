"""Every INSERT into a table of ours names each column that must have a value.

SQL Server need not wait for a row to refuse a statement that leaves one out (error 515): so a statement that is to
insert nothing, and only tries a right, would fail with every right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp

from api_pipeline.sdr.schema import render as render_sdr
from api_pipeline.sql import ddl
from api_pipeline.sql.identifiers import Dialect, table_names
from api_pipeline.sql.statements import load
from tests.support.statements import SDR, STAGING, t_sql_statements

TABLE = re.compile(r"CREATE TABLE (\S+) \((.*?)\n\)", re.DOTALL)
NEEDED = re.compile(r"^    (\w+) (?!.*(?:IDENTITY|DEFAULT)).*NOT NULL", re.MULTILINE)
RIGHTS = "rights_queries.sql"


def needed() -> dict[str, set[str]]:
    """Return for each table of ours the columns that an INSERT must give a value."""
    scripts = ddl.render(Dialect.SQLSERVER, STAGING) + render_sdr(Dialect.SQLSERVER, SDR)
    return {name: set(NEEDED.findall(body)) for name, body in TABLE.findall(scripts)}


def statements() -> Iterator[tuple[str, str]]:
    yield from t_sql_statements()
    names = table_names(STAGING, Dialect.SQLSERVER)._asdict()
    yield from ((name, one.sql.format(**names)) for name, one in load(RIGHTS).items())


def left_out(sql: str, columns: dict[str, set[str]]) -> set[str]:
    """Return the columns that an INSERT leaves out although they must have a value; none for another statement."""
    statement = sqlglot.parse_one(sql, dialect="tsql")
    # The columns of the staging table are pieces of a statement.
    if not isinstance(statement, exp.Insert) or not isinstance(statement.this, exp.Schema):
        return set()
    given = {column.name for column in statement.this.expressions}
    return columns.get(statement.this.this.name, set()) - given


def test_every_insert_names_each_column_that_must_have_a_value() -> None:
    columns = needed()
    found = {name: left_out(sql, columns) for name, sql in statements() if not sql.startswith(f"INSERT INTO {STAGING}")}

    assert len(columns) > 10
    assert {"insert_held", "may_insert_held"} <= {name.removeprefix("queries-") for name in found}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_a_column_that_is_left_out_shows() -> None:
    sql = "INSERT INTO ssd_api_held (receiver, la_child_id) SELECT receiver, la_child_id FROM ssd_api_held WHERE 1 = 0"

    assert left_out(sql, needed()) == {"held_hash"}
